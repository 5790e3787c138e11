/** `access`: visitors that are let in by proving who they are. */
import { parseHost } from '../../address/host.ts'
import { z } from 'zod'
import { emailKey, type Access, type CertificateRule, type DemandedClaims, type JwtRule, type LoginRule } from '../../route/access.ts'
import { Policy, PolicyRule } from '../../route/policy.ts'
import { isOn, listOf, mapIn, targetKey, type KeyFault, type RawKeys, type TargetPlace } from './key.ts'
import { file, flag, isSafeUrl, off, parsedBy, text } from './parts.ts'

/** One value, or a list with at least one. */
export const oneOrMore = <T extends z.ZodType>(one: T, error: string) =>
  z.union([one, z.array(one).min(1, { error: 'expected at least one' })], { error: `${error}, or a list of them` })

const PROVIDER = 'expected the name of a provider, as the file of --visitors has it'
/** The name of a provider. */
export const providerName = text(PROVIDER).regex(/^[a-z0-9-]{1,40}$/, { error: PROVIDER })

const EMAIL = 'expected an e-mail address such as ada@example.com'
const email = text(EMAIL).refine(value => emailKey(value) !== undefined, { error: EMAIL })
const DOMAIN = 'expected the domain of e-mail addresses such as example.com'
const domain = text(DOMAIN).refine(value => emailKey(`x@${value}`) !== undefined && !value.startsWith('*'), { error: DOMAIN })
const GROUP = 'expected the name of a group, as the provider has it'
const group = text(GROUP).min(1, { error: GROUP })
const CLAIM = 'expected the value of a claim: a text, a number, true or false'
const claimValue = z.union([z.string(), z.number(), z.boolean()], { error: CLAIM })
const CLAIMS = 'expected a map of claims to the values that they must have'
const claims = z.record(z.string(), oneOrMore(claimValue, CLAIM), { error: CLAIMS })
const ORIGIN = 'expected the origin of pages such as https://app.example.com'
const origin = text(ORIGIN).refine(value => URL.canParse(value) && new URL(value).origin === value.toLowerCase(), { error: ORIGIN })

const LOGIN = 'expected a map with emails, domains, groups, claims or anyone'
const login = z.strictObject(
  {
    provider: oneOrMore(providerName, PROVIDER)
      .optional()
      .meta({ description: 'Where visitors log in; every provider of --visitors when absent.' }),
    emails: z.array(email, { error: 'expected a list of e-mail addresses' }).optional().meta({ description: 'People who may come.' }),
    domains: z
      .array(domain, { error: 'expected a list of domains' })
      .optional()
      .meta({ description: 'Domains of e-mail addresses, compared whole; one of emails and domains is enough.' }),
    groups: z
      .array(group, { error: 'expected a list of groups' })
      .optional()
      .meta({ description: 'Groups of which a visitor has to be in one.' }),
    claims: claims
      .optional()
      .meta({ description: 'Claims of the provider that a visitor has to have, all of them; the provider has to keep them.' }),
    anyone: flag.optional().meta({ description: 'Everybody who can log in at the provider; only where it knows nobody else.' }),
    origins: z
      .array(origin, { error: 'expected a list of origins' })
      .optional()
      .meta({ description: 'Other sites whose pages may change things, or open WebSockets, with the session of this host.' }),
  },
  { error: LOGIN },
)

const ISSUER = 'expected the URL of an issuer such as https://ci.example.com (http only to this machine)'
const JWKS = 'expected the URL of keys such as https://ci.example.com/jwks (http only to this machine)'
const jwt = z.strictObject(
  {
    issuer: text(ISSUER).refine(isSafeUrl, { error: ISSUER }),
    jwks: text(JWKS)
      .refine(isSafeUrl, { error: JWKS })
      .optional()
      .meta({ description: 'Where the keys of the issuer are; as its OpenID configuration says, at the issuer itself, when absent.' }),
    audience: oneOrMore(text('expected an audience').min(1, { error: 'expected an audience' }), 'expected an audience').meta({
      description: 'One of these has to be the audience of the token.',
    }),
    claims: claims.optional().meta({ description: 'Claims that the token has to have, all of them.' }),
    publicOnly: flag.optional().meta({
      description: 'Its keys are fetched by https from addresses of the Internet alone: for issuers that others may name.',
      default: false,
    }),
  },
  { error: 'expected a map with issuer and audience' },
)

const NAME = 'expected a name such as build.example.com or *.staff.example.com'
/** Names that certificates of clients have. */
export const certificateNames = z.array(text(NAME).regex(/^(?:\*\.)?[^\s*]{1,253}$/, { error: NAME }), {
  error: 'expected a list of names',
})
const certificates = z.strictObject(
  {
    ca: file.meta({ description: 'File with the authorities of the certificates, in PEM.' }),
    crl: file.optional().meta({
      description: 'File with lists of revoked certificates, in PEM, one of each authority in the chain; none is asked for when absent.',
    }),
    names: certificateNames
      .optional()
      .meta({ description: 'Names that a certificate has to have one of; all of the authorities when absent.' }),
  },
  { error: 'expected a map with the key ca' },
)

const PATH = 'expected a path that starts with "/", or a regular expression that starts with "^"'
const pathRule = (pattern: string): PolicyRule => {
  if (!/^[/^]/.test(pattern)) throw new Error(PATH)
  return new PolicyRule({ pattern, methods: ['*'], line: 0 })
}
const publicPath = text(PATH).check(parsedBy(pathRule))

const HOURS = 'expected a number of hours from 0.01 to 720'
const hours = z.number({ error: HOURS }).min(0.01, { error: HOURS }).max(720, { error: HOURS })
const jwtRules = oneOrMore(jwt, 'expected a map with issuer and audience').optional()
const ACCESS = 'expected a map with login, tokens, jwt, certificates or public, or false'

const schema = {
  access: z
    .union(
      [
        off,
        z.strictObject(
          {
            login: login.optional().meta({ description: 'People who log in with a browser.' }),
            tokens: flag.optional().meta({ description: 'Service tokens, as "socket-gateway service-token create" makes them.' }),
            jwt: jwtRules.meta({ description: 'JWTs of other issuers, verified by the keys that these publish.' }),
            certificates: certificates.optional().meta({ description: 'Client certificates in TLS.' }),
            public: z
              .array(publicPath, { error: 'expected a list of paths' })
              .optional()
              .meta({ description: 'Paths that everybody may ask for; the policy decides on them all the same.' }),
            sessionHours: hours
              .optional()
              .meta({ description: 'Hours after which a visitor has to log in again; as the gateway has it when absent.' }),
          },
          { error: ACCESS },
        ),
      ],
      { error: ACCESS },
    )
    .optional()
    .meta({
      description:
        'Who may come, by proving who they are; each lane alone lets in. Needs --visitors. false: all, for a route below a target that has it.',
    }),
}

const TUNNEL_ACCESS = 'expected a map with login, tokens, jwt or certificates'
const GATEWAY_HOST = 'expected a name of the gateway such as gw.example.com'
const isHostName = (value: string): boolean => {
  try {
    const { host, port } = parseHost(value)
    // Clients say no name in TLS for an address.
    return port === undefined && !/^(?:\[|[\d.]+$)/.test(host)
  } catch {
    return false
  }
}
const gatewayHost = text(GATEWAY_HOST).refine(isHostName, { error: GATEWAY_HOST })

/** With the names of the gateway that ask for them: a tunnel has no host of its own. */
const tunnelCertificates = certificates.extend({
  hosts: z
    .array(gatewayHost, { error: 'expected a list of names of the gateway' })
    .min(1, { error: GATEWAY_HOST })
    .meta({ description: 'Names of the gateway, in the URL of forward, that ask for the certificate while the connection is made.' }),
})

/** `access` of a tunnel: the ways in that need no browser at the connection itself. */
export const tunnelAccessSchema = z.strictObject(
  {
    login: login.optional().meta({ description: 'People who log in with a browser on any machine (forward --login).' }),
    tokens: flag.optional().meta({ description: 'Service tokens that were made for this tunnel (forward --token-file).' }),
    jwt: jwtRules.meta({ description: 'JWTs of other issuers, sent as a bearer token (forward --token-file).' }),
    certificates: tunnelCertificates.optional().meta({ description: 'Client certificates in TLS (forward --client-certificate).' }),
    sessionHours: hours.optional().meta({ description: 'Hours after which a person has to log in again.' }),
  },
  { error: TUNNEL_ACCESS },
)

type Source = Exclude<z.output<(typeof schema)['access']>, false | undefined>

const claimsOf = (
  source: Readonly<Record<string, string | number | boolean | readonly (string | number | boolean)[]>> = {},
): DemandedClaims =>
  new Map(Object.entries(source).map(([name, values]) => [name, new Set(listOf<string | number | boolean>(values).map(String))]))

const loginOf = (source: NonNullable<Source['login']>): LoginRule =>
  Object.freeze({
    providers: source.provider === undefined ? undefined : Object.freeze([...listOf(source.provider)]),
    emails: new Set(source.emails?.map(each => emailKey(each)!)),
    domains: new Set(source.domains?.map(each => each.toLowerCase())),
    groups: new Set(source.groups),
    claims: claimsOf(source.claims),
    anyone: source.anyone === true,
    origins: new Set(source.origins?.map(each => each.toLowerCase())),
  })

const jwtOf = (source: z.output<typeof jwt>): JwtRule =>
  Object.freeze({
    issuer: source.issuer,
    jwks: source.jwks,
    audiences: Object.freeze([...listOf(source.audience)]),
    claims: claimsOf(source.claims),
    ...(source.publicOnly === true && { isPublicOnly: true }),
  })

const certificatesOf = (
  source: NonNullable<Source['certificates']> & { readonly hosts?: readonly string[] | undefined },
  { read }: Pick<TargetPlace, 'read'>,
): CertificateRule => {
  const { ca, crl, names = [], hosts } = source
  return Object.freeze({
    ...(hosts !== undefined && { hosts: Object.freeze(hosts.map(each => parseHost(each).host)) }),
    ca: read(ca, 'certificate', ['access', 'certificates', 'ca']),
    crl: crl === undefined ? undefined : read(crl, 'text', ['access', 'certificates', 'crl']),
    names: Object.freeze([...names]),
  })
}

const laneKeysOf = (source: Omit<z.output<typeof tunnelAccessSchema>, 'certificates'>): Access => ({
  login: source.login && loginOf(source.login),
  tokens: source.tokens === true,
  jwt: Object.freeze(listOf(source.jwt).map(jwtOf)),
  certificates: undefined,
  public: undefined,
  sessionMs: source.sessionHours === undefined ? undefined : Math.round(source.sessionHours * 3_600_000),
})

/** The access of a tunnel, without faults. */
export const tunnelAccessOf = (source: z.output<typeof tunnelAccessSchema>, place: Pick<TargetPlace, 'read'>): Access =>
  Object.freeze({ ...laneKeysOf(source), certificates: source.certificates && certificatesOf(source.certificates, place) })

const accessOf = (source: Source, place: TargetPlace): Access =>
  Object.freeze({
    ...laneKeysOf(source),
    certificates: source.certificates && certificatesOf(source.certificates, place),
    public: source.public && Policy.of(source.public.map(pathRule)),
  })

const DEMANDS = ['emails', 'domains', 'groups', 'claims'] as const
const isEmpty = (value: unknown): boolean =>
  value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)

/** Faults of a login that lets in nobody, or everybody by mistake. @param access  as it was read */
export function* loginFaults(access: RawKeys): Generator<KeyFault> {
  const rule = mapIn(access, 'login')
  if (rule === undefined) return
  const demands = DEMANDS.filter(key => !isEmpty(rule[key]))
  if (demands.length === 0 && rule['anyone'] !== true)
    yield [['access', 'login'], 'expected one of emails, domains, groups and claims; for everybody whom the provider knows: anyone: true']
  if (demands.length > 0 && rule['anyone'] === true)
    yield [['access', 'login', 'anyone'], `expected either anyone or ${demands.join(', ')}, not both`]
}

/** The key `access`. */
export const accessKey = targetKey({
  schema,
  create: ({ access }, place): { readonly access: Access | undefined } => ({
    access: access === undefined || access === false ? undefined : accessOf(access, place),
  }),
  *faults(keys) {
    if (!isOn(keys, 'access')) return
    const access = mapIn(keys, 'access')
    if (access === undefined) return
    if (!['login', 'tokens', 'jwt', 'certificates', 'public'].some(lane => isOn(access, lane)))
      yield [['access'], 'expected at least one of login, tokens, jwt, certificates and public; for nobody at all: allow: []']
    yield* loginFaults(access)
  },
  *effects({ treatment }, { path }) {
    const { access } = treatment ?? {}
    if (access === undefined) return
    yield ['access', accessInWords(access, path)]
  },
})

function accessInWords({ login: rule, tokens, jwt: issuers, certificates: certificate, public: paths }: Access, path: string): string {
  if (paths?.decide('GET', path) !== undefined) return 'this path is for all'
  const lanes = [
    ...(rule === undefined ? [] : [`a login at ${rule.providers?.join(' or ') ?? 'any provider'} of ${peopleInWords(rule)}`]),
    ...(tokens ? ['a service token'] : []),
    ...issuers.map(({ issuer }) => `a JWT of ${issuer}`),
    ...(certificate === undefined ? [] : ['a client certificate']),
  ]
  return lanes.length === 0 ? 'for nobody' : lanes.join(', or ')
}

function peopleInWords({ emails, domains, groups, claims: demanded, anyone }: LoginRule): string {
  if (anyone) return 'anyone'
  const who = [...emails, ...[...domains].map(each => `@${each}`)]
  return [
    ...(who.length === 0 ? [] : [who.join(', ')]),
    ...(groups.size === 0 ? [] : [`the ${groups.size === 1 ? 'group' : 'groups'} ${[...groups].join(', ')}`]),
    ...[...demanded].map(([name, values]) => `${name} ${[...values].join(' or ')}`),
  ].join(' with ')
}
