/**
 * Messages of the service process, from unknown to typed. It is not trusted: whatever is not exactly what it should be is refused as a
 * whole, so that nothing half known comes into force.
 */
import { formatAuthority, parseHost } from '../address/host.ts'
import { GatewayError } from '../errors.ts'
import { parsePasswordHash } from '../identity/password-hash.ts'
import { isIdentifier } from '../identity/identifier.ts'
import type { SocketShare } from '../route/access.ts'
import type {
  AccountQuota,
  DirectoryChange,
  DirectoryKey,
  DirectoryMessage,
  DirectorySocket,
  EndedLogins,
  SocketPassword,
  SocketUpstream,
  SocketVisitors,
} from './directory.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** Names as `parseHost` gives them; addresses and single labels are none that a socket could have. */
const HOST_NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.[a-z][a-z0-9-]{0,62}$/
const KID = /^[A-Za-z0-9_-]{43}$/
const SECRET_HASH = /^sha256:[\w-]{43}$/
const METHOD = /^(?:\*|[A-Z]{1,20})$/
const MAX_SHARED_PATH = 500
const MAX_NAME = 253
const MAX_LIST = 100
const MAX_VISITORS = 10_000
const MAX_PORT = 65_535
const MAX_COUNT = 1_000_000_000
const MAX_AUTHORITIES = 65_536
const CERTIFICATES = /^(?:-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]{1,20000}\n-----END CERTIFICATE-----\n)*$/

type Raw = Readonly<Record<string, unknown>>

const refuse = (what: string): never => {
  throw new GatewayError('CONFIG_INVALID', `a message of the service process: ${what}`)
}

const objectOf = (value: unknown, what: string): Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : refuse(`${what} is no object`)

function listOf<T>(value: unknown, what: string, parse: (item: unknown) => T, max = Infinity): readonly T[] {
  if (!Array.isArray(value) || value.length > max) return refuse(`${what} is no list, or too long`)
  return Object.freeze(value.map(parse))
}

const textOf = (value: unknown, what: string, isSound: (text: string) => boolean): string =>
  typeof value === 'string' && isSound(value) ? value : refuse(`${what} is not what it should be`)

const idOf = (value: unknown): string => textOf(value, 'an id', text => UUID.test(text))
const hostOf = (value: unknown): string => textOf(value, 'a host name', text => text.length <= MAX_NAME && HOST_NAME.test(text))
const kidOf = (value: unknown): string => textOf(value, 'the id of a key', text => KID.test(text))

function oneOf<T extends string>(value: unknown, what: string, allowed: readonly T[]): T {
  return allowed.find(text => text === value) ?? refuse(`${what} is not what it should be`)
}

const wholeOf = (value: unknown, what: string, min: number, max: number): number =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : refuse(`${what} is not what it should be`)

function passwordOf(value: unknown): SocketPassword | null {
  if (value === null) return null
  const { user, hash } = objectOf(value, 'a password')
  const parsed = {
    // RFC 7617 §2: the first colon ends the name.
    user: textOf(user, 'the user of a password', text => /^[^:\p{C}]{1,255}$/u.test(text)),
    hash: textOf(hash, 'the hash of a password', text => text.length <= 500),
  }
  try {
    parsePasswordHash(parsed.hash)
  } catch {
    return refuse('the hash of a password is not what it should be')
  }
  return Object.freeze(parsed)
}

function visitorsOf(value: unknown): SocketVisitors | null {
  if (value === null) return null
  const { emails, domains, groups } = objectOf(value, 'the visitors of a socket')
  const isAddress = (item: unknown): string => textOf(item, 'a visitor', text => text.length <= 320)
  return Object.freeze({
    emails: listOf(emails, 'the visitors of a socket', isAddress, MAX_VISITORS),
    domains: listOf(domains, 'the visitors of a socket', isAddress, MAX_VISITORS),
    ...(groups !== undefined && { groups: listOf(groups, 'the visitors of a socket', isAddress, MAX_VISITORS) }),
  })
}

function shareOf(value: unknown): SocketShare {
  const raw = objectOf(value, 'a share link')
  const { maxUses, email } = raw
  return Object.freeze({
    id: idOf(raw['id']),
    hash: textOf(raw['hash'], 'the hash of a share link', text => SECRET_HASH.test(text)),
    path: textOf(raw['path'], 'the path of a share link', text => text.length <= MAX_SHARED_PATH && text.startsWith('/')),
    methods: listOf(raw['methods'], 'the methods of a share link', item => textOf(item, 'a method', text => METHOD.test(text)), MAX_LIST),
    expiresMs: wholeOf(raw['expiresMs'], 'the end of a share link', 0, Number.MAX_SAFE_INTEGER),
    maxUses: maxUses === null ? null : wholeOf(maxUses, 'the uses of a share link', 1, MAX_COUNT),
    email: email === null ? null : textOf(email, 'the person of a share link', text => text.length <= 320),
  })
}

const versionOf = (value: unknown): 1 | 2 =>
  value === 1 || value === 2 ? value : refuse('the version of the PROXY protocol of a socket is not what it should be')

/** In the one spelling that it has. */
function isAuthority(text: string): boolean {
  try {
    return formatAuthority(parseHost(text)) === text
  } catch {
    return false
  }
}

function upstreamOf(value: unknown, hasPort: boolean): SocketUpstream {
  const { protocol, hostname } = objectOf(value, 'the upstream of a socket')
  if (hasPort || (protocol === undefined && hostname === undefined)) return refuse('the upstream of a socket is not what it should be')
  return Object.freeze({
    ...(protocol !== undefined && { protocol: oneOf(protocol, 'the protocol of an upstream', ['http', 'https']) }),
    ...(hostname !== undefined && { hostname: textOf(hostname, 'the host of an upstream', isAuthority) }),
  })
}

function socketOf(value: unknown): DirectorySocket {
  const raw = objectOf(value, 'a socket')
  const type = oneOf(raw['type'], 'the type of a socket', ['http', 'https', 'tcp', 'tls'])
  const limits = objectOf(raw['limits'], 'the limits of a socket')
  const { requestsPerSecond } = limits
  const isRate = typeof requestsPerSecond === 'number' && requestsPerSecond > 0 && requestsPerSecond <= MAX_COUNT
  const hasPort = type === 'tcp' || type === 'tls'
  return Object.freeze({
    id: idOf(raw['id']),
    accountId: idOf(raw['accountId']),
    type,
    dnsName: hostOf(raw['dnsName']),
    customDomains: listOf(raw['customDomains'], 'the domains of a socket', hostOf, MAX_LIST),
    port: hasPort ? wholeOf(raw['port'], 'the port of a socket', 1, MAX_PORT) : null,
    tunnelIds: listOf(raw['tunnelIds'], 'the tunnels of a socket', idOf, MAX_LIST),
    password: passwordOf(raw['password']),
    visitors: visitorsOf(raw['visitors']),
    ...(raw['interstitial'] === true && { interstitial: true }),
    ...(raw['inspect'] === true && { inspect: true }),
    ...(raw['proxyProtocol'] !== undefined && { proxyProtocol: versionOf(raw['proxyProtocol']) }),
    ...(raw['upstream'] !== undefined && { upstream: upstreamOf(raw['upstream'], hasPort) }),
    balance: oneOf(raw['balance'], 'the balance of a socket', ['least', 'round-robin', 'address']),
    limits: Object.freeze({
      requestsPerSecond: isRate ? requestsPerSecond : refuse('requestsPerSecond is not what it should be'),
      concurrency: wholeOf(limits['concurrency'], 'concurrency', 1, MAX_COUNT),
      maxConnections: wholeOf(limits['maxConnections'], 'maxConnections', 1, MAX_COUNT),
    }),
    ...(raw['shares'] !== undefined && { shares: listOf(raw['shares'], 'the share links of a socket', shareOf, MAX_LIST) }),
  })
}

const identifierOf = (value: unknown): string => textOf(value, 'an identifier', isIdentifier)

function keyOf(value: unknown): DirectoryKey {
  const raw = objectOf(value, 'a key')
  const jwk = objectOf(raw['jwk'], 'a JWK')
  const members = Object.entries(jwk).map(([name, member]) => [name, textOf(member, 'a JWK', text => text.length <= 2_000)] as const)
  const tunnelId = raw['tunnelId'] === null ? null : idOf(raw['tunnelId'])
  const { expiresAt, login } = raw
  return Object.freeze({
    kid: kidOf(raw['kid']),
    jwk: Object.freeze(Object.fromEntries(members)),
    tunnelId,
    identifiers: tunnelId === null ? listOf(raw['identifiers'], 'the identifiers of a key', identifierOf, MAX_LIST) : null,
    expiresAt: expiresAt === null ? null : wholeOf(expiresAt, 'the end of a key', 0, Number.MAX_SAFE_INTEGER),
    // The file of an earlier release has none.
    ...(login !== undefined && { login: wholeOf(login, 'the login of a key', 0, Number.MAX_SAFE_INTEGER) }),
  })
}

function endedLoginsOf(value: unknown): EndedLogins {
  const raw = objectOf(value, 'the end of logins')
  return Object.freeze({
    accountId: idOf(raw['accountId']),
    atMs: wholeOf(raw['atMs'], 'the end of logins', 0, Number.MAX_SAFE_INTEGER),
  })
}

const authoritiesOf = (value: unknown): { readonly authorities?: string } =>
  value === undefined
    ? {}
    : { authorities: textOf(value, 'authorities', text => text.length <= MAX_AUTHORITIES && CERTIFICATES.test(text)) }

function quotaOf(value: unknown): AccountQuota {
  const raw = objectOf(value, 'a quota')
  const number = (name: string): number => wholeOf(raw[name], 'a quota', 0, Number.MAX_SAFE_INTEGER)
  return Object.freeze({ accountId: idOf(raw['accountId']), bytesPerDay: number('bytesPerDay'), day: number('day'), used: number('used') })
}

/** Reads a message of the service process. @throws GatewayError CONFIG_INVALID */
export function parseDirectoryMessage(value: unknown): DirectoryMessage {
  const raw = objectOf(value, 'it')
  const type = oneOf(raw['type'], 'its type', ['snapshot', 'change'])
  const seq = wholeOf(raw['seq'], 'its number', 0, Number.MAX_SAFE_INTEGER)
  const sockets = listOf(raw['sockets'], 'sockets', socketOf)
  const keys = listOf(raw['keys'], 'keys', keyOf)
  // The file of an earlier release has none.
  const endedLogins = listOf(raw['endedLogins'] ?? [], 'endedLogins', endedLoginsOf)
  const authorities = authoritiesOf(raw['authorities'])
  const quotas = raw['quotas'] === undefined ? {} : { quotas: listOf(raw['quotas'], 'quotas', quotaOf) }
  if (type === 'snapshot') return { type, seq, sockets, keys, endedLogins, ...authorities, ...quotas }
  const change: DirectoryChange = {
    type,
    seq,
    removedSockets: listOf(raw['removedSockets'], 'removedSockets', idOf),
    removedKeys: listOf(raw['removedKeys'], 'removedKeys', kidOf),
    sockets,
    keys,
    endedTunnels: listOf(raw['endedTunnels'], 'endedTunnels', idOf),
    endedLogins,
    ...authorities,
    ...quotas,
  }
  return change
}
