/** The keys of a target beyond where it leads to: what is done with its requests and answers, and how inner layers are chosen. */
import { z } from 'zod'
import { parseTemplate } from '../http/template.ts'
import { parsePasswordHash } from '../identity/password-hash.ts'
import { messageOf } from '../errors.ts'
import { REDIRECT_VARIABLES } from '../route/fixed-answer.ts'
import { parseOriginHost } from '../address/host.ts'
import { parsePrefix } from '../route/path-map.ts'
import { answerFields, duration, fieldEdits, integer, parsedBy, ranges, size } from './schema-parts.ts'

const text = (error: string): z.ZodString => z.string({ error })
const flag = z.boolean({ error: 'expected true or false' })
const off = z.literal(false)

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/ // RFC 9110 §5.6.2
const fieldName = text('expected the name of a header field').regex(TOKEN, { error: 'expected the name of a header field' })

const PATH = 'expected a path that starts with "/"'
const prefix = text(PATH).check(parsedBy(parsePrefix))

const FILE = 'expected the path of a file'
const file = text(FILE).min(1, { error: FILE })

const paths = {
  stripPrefix: z
    .union([z.boolean(), prefix], { error: 'expected true (the path of the route), false, or a path such as "/app"' })
    .optional()
    .meta({
      description:
        'Removes this prefix from paths before the origin gets them; true: the path of the route. Location, Content-Location and the Path of cookies are mapped back.',
    }),
  rewrite: z
    .union(
      [
        off,
        prefix,
        z.strictObject(
          {
            pattern: text('expected a regular expression that starts with "^"'),
            to: text('expected a path that starts with "/", with $1 … $9 for groups'),
          },
          { error: 'expected a map with the keys pattern and to' },
        ),
      ],
      { error: 'expected a path, or a map with the keys pattern and to' },
    )
    .optional()
    .meta({
      description:
        'A path: stands for the path of the route (or is put before every path), and is mapped back. A map: paths that match the whole pattern (RE2 syntax) become "to".',
      examples: ['/internal', { pattern: '^/users/([0-9]+)', to: '/api/user/$1' }],
    }),
}

const fields = {
  headers: z
    .strictObject(
      { request: fieldEdits('request').optional(), response: fieldEdits('response').optional() },
      { error: 'expected a map with the keys request and response' },
    )
    .optional()
    .meta({ description: 'Header fields to set, add or remove. Values may have ${client}, ${host} and ${scheme} in them.' }),
  preserveHost: flag.optional().meta({ description: 'The origin gets the public host in its Host field.', default: false }),
  removeCsps: flag.optional().meta({ description: 'Removes Content-Security-Policy fields from answers; --remove-csps when absent.' }),
}

const HASH = 'expected a hash of a password; make one with: socket-gateway hash-password'
const checkUsers = (context: { readonly value: Readonly<Record<string, string>>; readonly issues: unknown[] }): void => {
  const refuse = (name: string, message: string): void =>
    void context.issues.push({ code: 'custom', path: [name], message, input: name, params: { complete: true } })
  const names = Object.keys(context.value)
  if (names.length === 0)
    context.issues.push({ code: 'custom', message: 'expected at least one user', input: {}, params: { complete: true } })
  for (const name of names) {
    // RFC 7617 §2: the first colon ends the name.
    if (!/^[^:\p{C}]{1,255}$/u.test(name)) refuse(name, 'expected a name of 1 to 255 printable characters without a colon')
    try {
      parsePasswordHash(context.value[name]!)
    } catch (error) {
      refuse(name, messageOf(error))
    }
  }
}

const access = {
  allow: ranges
    .optional()
    .meta({ description: 'Addresses of clients that may come; every other gets 403.', examples: [['10.0.0.0/8', '::1']] }),
  deny: ranges.optional().meta({ description: 'Addresses of clients that may not come, even if they are allowed.' }),
  basicAuth: z
    .union(
      [
        off,
        z.strictObject(
          {
            users: z
              .record(z.string(), text(HASH), { error: 'expected a map of names to hashes of passwords' })
              .check(checkUsers)
              .meta({ description: 'Name → hash, as "socket-gateway hash-password" prints it.' }),
            realm: text('expected a text')
              .regex(/^[\x20-\x7e]{1,100}$/, { error: 'expected a text of 1 to 100 ASCII characters' })
              .optional()
              .meta({ description: 'What browsers show; the public host when absent.' }),
            forward: flag.optional().meta({ description: 'The origin gets Authorization as well.', default: false }),
          },
          { error: 'expected a map with the key users' },
        ),
      ],
      { error: 'expected a map with the key users, or false' },
    )
    .optional()
    .meta({ description: 'Name and password (RFC 7617) before anything else; false: none, for a route below a target that has it.' }),
}

const BODY = {
  headers: answerFields.optional().meta({ description: 'Header fields of the answer.' }),
  body: text('expected a text').max(1_048_576, { error: 'expected at most 1 MiB' }).optional().meta({ description: 'Its body.' }),
  file: file.optional().meta({ description: 'A file with its body, at most 1 MiB, in UTF-8.' }),
}

const LOCATION = 'expected an address such as "https://new.example.com${path}${query}" or "/new"'
const location = text(LOCATION)
  .regex(/^(?:https?:\/\/|\$\{scheme\}:\/\/|\/|\$\{path\})[\x21-\x7e]*$/, { error: LOCATION })
  .check(parsedBy(value => parseTemplate(value, REDIRECT_VARIABLES)))

const answers = {
  redirect: z
    .union(
      [
        off,
        location,
        z.strictObject(
          {
            to: location,
            status: z.literal([301, 302, 303, 307, 308], { error: 'expected 301, 302, 303, 307 or 308' }).optional().meta({ default: 302 }),
          },
          { error: 'expected a map with the key to' },
        ),
      ],
      { error: LOCATION },
    )
    .optional()
    .meta({
      description:
        'Answers what the policy allows with a redirect; ${scheme}, ${host}, ${path} and ${query} stand for those of the request.',
    }),
  respond: z
    .union(
      [
        off,
        z.strictObject(
          { status: integer(200, 599).optional().meta({ default: 200 }), ...BODY },
          { error: 'expected a map with the keys status, headers and body' },
        ),
      ],
      { error: 'expected a map with the keys status, headers and body' },
    )
    .optional()
    .meta({ description: 'Answers what the policy allows without any origin.' }),
  maintenance: z
    .union(
      [
        off,
        z.strictObject(
          { status: integer(200, 599).optional().meta({ default: 503 }), ...BODY },
          { error: 'expected a map with the keys status, headers and body' },
        ),
      ],
      { error: 'expected a map with the keys status, headers and body' },
    )
    .optional()
    .meta({ description: 'The answer while no inner layer for the target is connected, instead of 502.' }),
}

const BALANCE = 'expected "least", "round-robin", "sticky", or a map with the key cookie or header'
const choosing = {
  balance: z
    .union(
      [
        z.enum(['least', 'round-robin', 'sticky']),
        z.strictObject({ cookie: fieldName }, { error: BALANCE }),
        z.strictObject({ header: fieldName }, { error: BALANCE }),
      ],
      { error: BALANCE },
    )
    .optional()
    .meta({
      description:
        'Which inner layer gets a request: the one with the least outstanding bytes, each in turn, always the same for a client (by a cookie of ours), or the same for the same value of a header.',
      default: 'least',
    }),
  health: z
    .union(
      [
        off,
        z.strictObject(
          {
            path: text(PATH)
              .regex(/^\/[\x21-\x7e]*$/, { error: PATH })
              .optional()
              .meta({ description: 'Inner layers ask the origin for it; 200 to 399 is healthy.' }),
            interval: duration(1).optional().meta({ description: 'Time between two questions.', default: '10s' }),
            timeout: duration(1).optional().meta({ description: 'Longest time for an answer.', default: '5s' }),
            unhealthy: integer(1, 100).optional().meta({ description: 'Failures in a row that make it unhealthy.', default: 3 }),
            healthy: integer(1, 100).optional().meta({ description: 'Successes in a row that make it healthy again.', default: 2 }),
            failures: integer(0, 1_000).optional().meta({
              description: 'Requests in a row that did not reach the origin until the inner layer is ejected; 0: never.',
              default: 5,
            }),
            eject: duration(1).optional().meta({ description: 'How long, the first time.', default: '10s' }),
          },
          { error: 'expected a map with keys such as path and interval' },
        ),
      ],
      { error: 'expected a map with keys such as path and interval, or false' },
    )
    .optional()
    .meta({ description: 'Which inner layers are asked last, because the origin cannot be reached through them; false: none.' }),
  retries: z
    .union(
      [
        off,
        z.strictObject(
          {
            attempts: integer(0, 5).optional().meta({ description: 'Attempts beyond the first.', default: 2 }),
            budget: integer(1, 100).optional().meta({ description: 'Percent of the requests that may be repeated.', default: 20 }),
          },
          { error: 'expected a map with the keys attempts and budget' },
        ),
      ],
      { error: 'expected a map with the keys attempts and budget, or false' },
    )
    .optional()
    .meta({
      description:
        'Repeats idempotent requests through another inner layer when the origin did not answer; false: nothing is ever repeated.',
    }),
}

const limits = {
  timeouts: z
    .strictObject(
      {
        connect: duration(1).optional().meta({ description: 'Until the origin has accepted a connection.' }),
        head: duration(1).optional().meta({ description: 'Silence of the origin before its answer begins; --timeout when absent.' }),
        idle: duration(0).optional().meta({ description: 'Silence in the middle of an answer or of an upgraded connection; 0: for ever.' }),
      },
      { error: 'expected a map with the keys connect, head and idle' },
    )
    .optional()
    .meta({ description: 'How long to wait for the origin.' }),
  limits: z
    .strictObject(
      {
        body: size.optional().meta({ description: 'Bytes of a request body; more: 413.' }),
        concurrency: integer(1, 1_000_000).optional().meta({ description: 'Requests at the same time; more: 503.' }),
        rate: z
          .strictObject(
            {
              perSecond: z
                .number({ error: 'expected a number above 0' })
                .positive({ error: 'expected a number above 0' })
                .max(1_000_000, { error: 'expected at most 1000000' })
                .meta({ description: 'Requests in a second, in the long run.' }),
              burst: integer(1, 1_000_000)
                .optional()
                .meta({ description: 'Requests that may come at once; perSecond, at least 1, when absent.' }),
              header: fieldName
                .optional()
                .meta({ description: 'Counts by the value of this field; by the address of the client when absent.' }),
            },
            { error: 'expected a map with the key perSecond' },
          )
          .optional()
          .meta({ description: 'Requests of one client; more: 429.' }),
      },
      { error: 'expected a map with the keys body, concurrency and rate' },
    )
    .optional()
    .meta({ description: 'How much clients may ask for.' }),
}

const origin = {
  http2: flag.optional().meta({ description: 'HTTP/2 to the origin: by ALPN with https, by prior knowledge with http.', default: false }),
  tls: z
    .strictObject(
      {
        ca: file.optional().meta({ description: 'Authorities to trust instead of the usual ones, PEM.' }),
        servername: text('expected a host name')
          .check(parsedBy(parseOriginHost, 'expected a host name: '))
          .optional()
          .meta({ description: 'Name in SNI and in the certificate; hostname when absent.' }),
        verify: flag.optional().meta({ description: 'false: any certificate is accepted.', default: true }),
        certificate: file.optional().meta({ description: 'Client certificate, PEM; with key.' }),
        key: file.optional().meta({ description: 'Its private key, PEM; nobody else may read the file.' }),
      },
      { error: 'expected a map with keys such as ca and servername' },
    )
    .optional()
    .meta({ description: 'TLS towards the origin. The outer layer reads the files when it reads this one.' }),
  upgrades: z
    .union(
      [
        off,
        z.array(
          text('expected a protocol such as "websocket"')
            .regex(TOKEN, { error: 'expected a protocol such as "websocket"' })
            .refine(name => !/^(?:h2c|http\/|tls)/i.test(name), {
              error: 'expected another protocol: h2c, HTTP and TLS are never switched to',
            }),
          { error: 'expected a list of protocols such as ["websocket"], or false' },
        ),
      ],
      { error: 'expected a list of protocols such as ["websocket"], or false' },
    )
    .optional()
    .meta({ description: 'Protocols that a client may switch to; false: none.', default: ['websocket'] }),
}

/** Every key but those of `schema.ts`, in the order of the documentation. */
export const treatmentKeys = { ...paths, ...fields, ...access, ...answers, ...choosing, ...limits, ...origin }
