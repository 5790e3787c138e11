/** The shape of the file of the service. Messages start with "expected"; what was got instead is added where the place is known. */
import { z } from 'zod'
import { parseHostPort, parsePortRange } from '../../address/host-port.ts'
import { parseHost } from '../../address/host.ts'
import { isProviderName, providerSchema } from '../visitors/visitors-schema.ts'
import { file, flag, integer, parsedBy, size, text } from '../keys/parts.ts'

const HOST = 'expected a host name such as edge.example.com'
/** Is it a host name, and neither an address nor one with a port? */
export const isHostName = (value: string): boolean => {
  try {
    return parseHost(value).port === undefined && !/^[\d.]+$|^\[/.test(value)
  } catch {
    return false
  }
}
const hostName = text(HOST)
  .refine(isHostName, { error: HOST })
  .transform(value => parseHost(value).host)

const isUrl = (value: string, protocols: readonly string[]): boolean => URL.canParse(value) && protocols.includes(new URL(value).protocol)

const LINK = 'expected the URL of a socket port such as wss://link.example.com, without user, path, query and fragment'
const isLink = (value: string): boolean => {
  if (!isUrl(value, ['ws:', 'wss:'])) return false
  const { username, password, pathname, search, hash } = new URL(value)
  return username === '' && password === '' && pathname === '/' && search === '' && hash === ''
}
const link = text(LINK).refine(isLink, { error: LINK })

const STORE = 'expected sqlite:FILE, or the URL of a database such as postgres://name@db.lan/gateway'
/** Says nothing of what was given: a URL may hold a password. */
const secretUrl = (expected: string, isGood: (value: string) => boolean): z.ZodString =>
  text(expected).check(
    parsedBy((value: string) => {
      if (!isGood(value)) throw new Error(expected)
    }),
  )
const store = secretUrl(STORE, value => /^sqlite:./.test(value) || isUrl(value, ['postgres:', 'postgresql:']))

const SSH_HOST = 'expected HOST or HOST:PORT, such as ssh.example.com:22'
const sshHost = text(SSH_HOST).refine(value => isHostName(value) || isHostName(parseHostPort(value)?.host ?? ''), { error: SSH_HOST })

const PORTS = 'expected a range of ports such as 40000-59999, all above 1023'
const ports = text(PORTS)
  .refine(
    value => {
      const range = parsePortRange(value)
      return range !== undefined && range[0] >= 1024
    },
    { error: PORTS },
  )
  .transform(value => parsePortRange(value)!)

const DOMAIN = 'expected the domain of mail addresses such as example.com'
const SIGN_UP = 'expected closed, open, or {domains: [example.com]}'
const signUp = z.union(
  [
    z.literal(['closed', 'open']),
    z.strictObject(
      {
        domains: z
          .array(
            text(DOMAIN)
              .refine(isHostName, { error: DOMAIN })
              .transform(value => value.toLowerCase()),
            { error: 'expected a list of domains' },
          )
          .min(1, { error: 'expected at least one domain' }),
      },
      { error: SIGN_UP },
    ),
  ],
  { error: SIGN_UP },
)

const SMTP = 'expected the URL of a mail server such as smtps://mail.example.com or smtp://name@mail.lan:587'
const FROM = 'expected a mail address such as gateway@example.com'
/** As browsers judge it, without the parts that name people. */
const ADDRESS = /^[^\s@<>"\x00-\x1f\x7f]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/i
const from = text(FROM).regex(ADDRESS, { error: FROM })
const MAIL = 'expected outbox, or {smtp: smtps://mail.example.com, from: gateway@example.com}'
const mail = z.union(
  [
    z.literal('outbox'),
    z.strictObject(
      {
        smtp: secretUrl(SMTP, value => isUrl(value, ['smtp:', 'smtps:']) && new URL(value).hostname !== ''),
        from,
        passwordFile: file.optional(),
      },
      { error: MAIL },
    ),
  ],
  { error: MAIL },
)

const PORTAL_PROVIDER = 'expected a list of names of identityProviders'
const count = integer(0, 1_000_000).optional()
const WORD = 'expected a word of lower-case letters, digits and dashes'
const ABUSE = 'expected an e-mail address or a https:// URL'
const VERSION = 'expected a version such as v1.0-9-g0efd9e3'

/** The file of the service. */
export const serviceFileSchema = z.strictObject(
  {
    zone: hostName,
    store: store.optional(),
    storePasswordFile: file.optional(),
    secrets: file.optional(),
    hosts: z
      .strictObject(
        {
          api: hostName.optional(),
          auth: hostName.optional(),
          portal: hostName.optional(),
          link: z.union([link, z.array(link)], { error: `${LINK}, or a list of them` }).optional(),
          ssh: sshHost.optional(),
          download: hostName.optional(),
        },
        { error: 'expected a map with the keys api, auth, portal, link, ssh and download' },
      )
      .optional(),
    ssh: z
      .strictObject(
        { port: integer(0, 65_535), host: text('expected an address to listen on').optional() },
        { error: 'expected a map with the key port' },
      )
      .optional(),
    clientVersion: text(VERSION)
      .regex(/^[\w.+-]{1,100}$/, { error: VERSION })
      .optional(),
    downloads: file.optional(),
    abuse: text(ABUSE)
      .regex(/^(?:[^\s@<>"]{1,64}@[A-Za-z0-9.-]{1,190}|https:\/\/[\x21-\x7e]{1,200})$/, { error: ABUSE })
      .optional(),
    ports: ports.optional(),
    signUp: signUp.optional(),
    mail: mail.optional(),
    identityProviders: z
      .record(z.string(), providerSchema, { error: 'expected a map of names to providers' })
      .check(
        parsedBy((providers: Readonly<Record<string, unknown>>) => {
          const odd = Object.keys(providers).find(name => !isProviderName(name))
          if (odd !== undefined)
            throw new Error(`expected a short name of lower-case letters, digits and dashes, got ${JSON.stringify(odd)}`)
        }),
      )
      .optional(),
    portalProviders: z.array(text(PORTAL_PROVIDER), { error: PORTAL_PROVIDER }).optional(),
    limits: z
      .strictObject(
        {
          http: count,
          tcp: count,
          tunnels: count,
          logWatchers: count,
          creationsPerHour: count,
          requestsPerSecond: integer(1, 1_000_000).optional(),
          concurrency: integer(1, 1_000_000).optional(),
          maxConnections: integer(1, 1_000_000).optional(),
          bytesPerDay: size.optional(),
          vanity: flag.optional(),
          customDomains: flag.optional(),
        },
        { error: 'expected a map of limits' },
      )
      .optional(),
    interstitial: flag.optional(),
    inspect: flag.optional(),
    names: z
      .strictObject(
        {
          domains: z.enum(['dns', 'trusted'], { error: 'expected dns or trusted' }).optional(),
          refused: z.array(text(WORD).regex(/^[a-z0-9-]{1,63}$/, { error: WORD }), { error: 'expected a list of words' }).optional(),
        },
        { error: 'expected a map with the keys refused and domains' },
      )
      .optional(),
  },
  { error: 'expected a map with the key zone' },
)
