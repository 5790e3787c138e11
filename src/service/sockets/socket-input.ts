/** Requests for sockets, checked; nothing here asks the store. */
import { formatAuthority, parseHost } from '../../address/host.ts'
import type { Fault } from '../../errors.ts'
import type { SocketType, SocketUpstream, SocketVisitors } from '../../directory/directory.ts'
import type { ServiceConfig } from '../config.ts'
import { DAY_MS, SECOND_MS } from '../core/clock.ts'
import { invalid, ServiceError } from '../input/service-error.ts'
import { emailKey, faultOfName, parseEmail, parseMailDomain } from '../input/texts.ts'
import type { AccountLimits, NewSocket, Socket, SocketPatch } from '../model.ts'
import { faultOfLabel } from '../names/label.ts'
import type { RefusedWords } from '../names/refused-words.ts'

const TYPES: readonly SocketType[] = ['http', 'https', 'tcp', 'tls']
const BALANCES: readonly Socket['balance'][] = ['least', 'round-robin', 'address']
const MAX_DOMAINS = 10
const MAX_GROUP_LENGTH = 254
const MAX_VISITORS = 200
const MAX_USER_LENGTH = 128
const MAX_PASSWORD_LENGTH = 256
const MIN_EPHEMERAL_MS = SECOND_MS
const MAX_EPHEMERAL_MS = 30 * DAY_MS

// \p{C}: control, format, surrogate, private use, unassigned.
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u

/** Rules in force for the account that wants it. */
export interface SocketRules {
  readonly config: ServiceConfig
  readonly limits: Required<AccountLimits>
  readonly refused: RefusedWords
}

/** A request for a socket, in one spelling. */
export interface CheckedSocket {
  readonly name: string
  readonly type: SocketType
  readonly label: string | undefined
  readonly customDomains: readonly string[]
  readonly password: { readonly user: string; readonly password: string } | null
  readonly visitors: SocketVisitors | null
  readonly balance: Socket['balance']
  /** Absent: it is not said, as in calls of an earlier release that come again. */
  readonly inspect?: boolean
  /** Absent likewise. */
  readonly proxyProtocol?: 1 | 2 | null
  /** Absent likewise. */
  readonly upstream?: SocketUpstream | null
  readonly ephemeralMs: number | null
}

export const isWeb = (type: SocketType): boolean => type === 'http' || type === 'https'

/** Collects faults, so that all of them are told at once. */
class Faults {
  readonly list: Fault[] = []

  add(path: string, message: string | undefined): void {
    if (message !== undefined) this.list.push({ path, message })
  }

  /** @throws ServiceError INVALID when there is one */
  end(): void {
    if (this.list.length > 0) throw invalid(...this.list)
  }
}

/** @throws ServiceError INVALID with all faults, FORBIDDEN for a label or a domain without the right to it */
export function checkNewSocket(request: NewSocket, rules: SocketRules): CheckedSocket {
  const faults = new Faults()
  const type = TYPES.find(known => known === (request.type ?? 'http'))
  if (type === undefined) faults.add('type', `expected ${TYPES.join(', ')}`)
  const { ephemeralMs, label } = request
  if (label !== undefined) faults.add('label', typeof label === 'string' ? faultOfChosen(label, rules) : 'expected a text')
  if (
    ephemeralMs !== undefined &&
    !(Number.isSafeInteger(ephemeralMs) && ephemeralMs >= MIN_EPHEMERAL_MS && ephemeralMs <= MAX_EPHEMERAL_MS)
  )
    faults.add('ephemeralMs', `expected ${MIN_EPHEMERAL_MS} to ${MAX_EPHEMERAL_MS} milliseconds`)
  const parts = checkParts(request, type ?? 'http', rules, faults)
  faults.add('name', faultOfName(request.name))
  faults.end()
  if (label !== undefined && !rules.limits.vanity)
    throw new ServiceError(
      'FORBIDDEN',
      'This account may not choose names; leave out the label, or ask an admin of the service for the right.',
    )
  return {
    name: request.name.trim(),
    type: type!,
    label: label?.toLowerCase(),
    customDomains: parts.customDomains ?? [],
    password: parts.password ?? null,
    visitors: parts.visitors ?? null,
    balance: parts.balance ?? 'least',
    ...(parts.inspect !== undefined && { inspect: parts.inspect }),
    ...(parts.proxyProtocol !== undefined && { proxyProtocol: parts.proxyProtocol }),
    ...(parts.upstream !== undefined && { upstream: parts.upstream }),
    ephemeralMs: ephemeralMs ?? null,
  }
}

/** The changes of a patch; undefined stays as it is. */
export type CheckedPatch = Partial<
  Pick<CheckedSocket, 'name' | 'customDomains' | 'password' | 'visitors' | 'balance' | 'inspect' | 'proxyProtocol' | 'upstream'>
>

/** @throws ServiceError as `checkNewSocket` */
export function checkPatch(patch: SocketPatch, type: SocketType, rules: SocketRules): CheckedPatch {
  const faults = new Faults()
  if (patch.name !== undefined) faults.add('name', faultOfName(patch.name))
  const parts = checkParts(patch, type, rules, faults)
  faults.end()
  return { ...(patch.name !== undefined && { name: patch.name.trim() }), ...parts }
}

function checkParts(request: SocketPatch, type: SocketType, rules: SocketRules, faults: Faults): Omit<CheckedPatch, 'name'> {
  const { password, visitors, balance, customDomains, inspect, proxyProtocol, upstream } = request
  if (password !== undefined && password !== null) checkPassword(password, type, faults)
  if (balance !== undefined && !BALANCES.includes(balance)) faults.add('balance', `expected ${BALANCES.join(', ')}`)
  if (inspect !== undefined && typeof inspect !== 'boolean') faults.add('inspect', 'expected true or false')
  if (proxyProtocol !== undefined) faults.add('proxyProtocol', faultOfProxyProtocol(proxyProtocol, type))
  const checkedVisitors = visitors === undefined || visitors === null ? visitors : checkVisitors(visitors, faults)
  const checkedUpstream = upstream === undefined || upstream === null ? upstream : checkUpstream(upstream, type, faults)
  const domains = customDomains === undefined ? undefined : checkDomains(customDomains, type, rules, faults)
  return {
    ...(password !== undefined && { password }),
    ...(checkedVisitors !== undefined && { visitors: checkedVisitors }),
    ...(balance !== undefined && { balance }),
    ...(inspect !== undefined && { inspect }),
    ...(proxyProtocol !== undefined && { proxyProtocol }),
    ...(checkedUpstream !== undefined && { upstream: checkedUpstream }),
    ...(domains !== undefined && { customDomains: domains }),
  }
}

function checkUpstream(upstream: SocketUpstream, type: SocketType, faults: Faults): SocketUpstream {
  const { protocol, hostname } = upstream as { readonly protocol?: unknown; readonly hostname?: unknown }
  if (!isWeb(type)) faults.add('upstream', 'only services behind sockets of type http and https are asked by HTTP')
  else if (protocol === undefined && hostname === undefined) faults.add('upstream', 'expected a protocol, a hostname, or both')
  if (protocol !== undefined && protocol !== 'http' && protocol !== 'https') faults.add('upstream.protocol', 'expected http or https')
  const host = hostname === undefined ? undefined : parseAuthority(hostname)
  if (hostname !== undefined && host === undefined)
    faults.add(
      'upstream.hostname',
      'expected a host name, with a port where your service wants one, such as app.internal or app.internal:8443',
    )
  return {
    ...((protocol === 'http' || protocol === 'https') && { protocol }),
    ...(host !== undefined && { hostname: host }),
  }
}

function parseAuthority(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined
  try {
    return formatAuthority(parseHost(text))
  } catch {
    return undefined
  }
}

/** HTTP tells the origin in fields. */
function faultOfProxyProtocol(version: unknown, type: SocketType): string | undefined {
  if (version === null) return undefined
  if (version !== 1 && version !== 2) return 'expected 1, 2 or null'
  return isWeb(type) ? 'only services behind sockets of type tcp and tls can be spoken to by the PROXY protocol' : undefined
}

function checkPassword({ user, password }: { readonly user: unknown; readonly password: unknown }, type: SocketType, faults: Faults): void {
  if (!isWeb(type)) return faults.add('password', 'only sockets of type http and https can be protected by a password')
  const isText = (value: unknown, max: number): value is string =>
    typeof value === 'string' && value !== '' && value.length <= max && !UNPRINTABLE.test(value)
  // RFC 7617 §2: a user name has no colon
  if (!isText(user, MAX_USER_LENGTH) || user.includes(':'))
    faults.add('password.user', `expected 1 to ${MAX_USER_LENGTH} characters without colon and control characters`)
  if (!isText(password, MAX_PASSWORD_LENGTH))
    faults.add('password.password', `expected 1 to ${MAX_PASSWORD_LENGTH} characters without control characters`)
}

function checkVisitors(visitors: SocketVisitors, faults: Faults): SocketVisitors {
  const { emails, domains, groups = [] } = visitors as { readonly emails: unknown; readonly domains: unknown; readonly groups?: unknown }
  const checked = { emails: [] as string[], domains: [] as string[], groups: [] as string[] }
  if (!Array.isArray(emails)) faults.add('visitors.emails', 'expected a list')
  else
    emails.forEach((text: unknown, at) => {
      const email = parseEmail(text)
      if (email === undefined) faults.add(`visitors.emails[${at}]`, 'expected an e-mail address such as ada@example.com')
      else checked.emails.push(emailKey(email))
    })
  if (!Array.isArray(domains)) faults.add('visitors.domains', 'expected a list')
  else
    domains.forEach((text: unknown, at) => {
      const domain = parseMailDomain(text)
      if (domain === undefined) faults.add(`visitors.domains[${at}]`, 'expected the domain of e-mail addresses such as example.com')
      else checked.domains.push(domain)
    })
  if (!Array.isArray(groups)) faults.add('visitors.groups', 'expected a list')
  else
    groups.forEach((group: unknown, at) => {
      if (typeof group !== 'string' || group === '' || group.length > MAX_GROUP_LENGTH || /\p{C}/u.test(group))
        faults.add(
          `visitors.groups[${at}]`,
          `expected the name of a group, of 1 to ${MAX_GROUP_LENGTH} characters without control characters`,
        )
      else checked.groups.push(group)
    })
  if (Array.isArray(emails) && Array.isArray(domains) && Array.isArray(groups)) {
    const count = emails.length + domains.length + groups.length
    if (count === 0) faults.add('visitors', 'expected at least one address, domain or group; with none of them nobody has access')
    if (count > MAX_VISITORS) faults.add('visitors', `expected at most ${MAX_VISITORS} addresses, domains and groups`)
  }
  const unique = new Set(checked.groups)
  return {
    emails: [...new Set(checked.emails)],
    domains: [...new Set(checked.domains)],
    ...(unique.size > 0 && { groups: [...unique] }),
  }
}

/** Names that belong to no one, or to this machine (RFC 6761, RFC 6762, RFC 8375). */
const SPECIAL = ['localhost', 'invalid', 'test', 'local', 'onion', 'internal', 'arpa']

function checkDomains(domains: readonly string[], type: SocketType, { config, limits }: SocketRules, faults: Faults): readonly string[] {
  if (!Array.isArray(domains)) {
    faults.add('customDomains', 'expected a list')
    return []
  }
  if (domains.length > 0 && !limits.customDomains)
    throw new ServiceError('FORBIDDEN', 'This account may not serve host names of its own; ask an admin of the service for the right.')
  if (domains.length > 0 && !isWeb(type)) faults.add('customDomains', 'only sockets of type http and https have host names of their own')
  if (domains.length > MAX_DOMAINS) faults.add('customDomains', `expected at most ${MAX_DOMAINS}`)
  return [
    ...new Set(
      domains.slice(0, MAX_DOMAINS).map((text: unknown, at) => {
        const domain = parseDomain(text)
        const fault = domain === undefined ? 'expected a host name such as app.example.com' : faultOfDomain(domain, config)
        faults.add(`customDomains[${at}]`, fault)
        return domain ?? ''
      }),
    ),
  ]
}

function parseDomain(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > 253 || text.includes(':')) return undefined
  try {
    const { host } = parseHost(text)
    const labels = host.split('.')
    const isName =
      labels.length >= 2 && labels.every(label => /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(label)) && !/^\d+$/.test(labels.at(-1)!)
    return isName ? host : undefined
  } catch {
    return undefined
  }
}

const hostsOf = ({ hosts }: ServiceConfig): readonly (string | undefined)[] => [
  hosts.api,
  hosts.auth,
  hosts.portal,
  hosts.download,
  hosts.ssh?.host,
  ...hosts.link.map(url => new URL(url).hostname),
]

/** A name of the service may be directly below the zone as well. */
function faultOfChosen(label: string, { config, refused }: SocketRules): string | undefined {
  const fault = faultOfLabel(label, refused)
  if (fault !== undefined || !hostsOf(config).includes(`${label.toLowerCase()}.${config.zone}`)) return fault
  return `"${label.toLowerCase()}" is the name of the service itself; choose another label`
}

function faultOfDomain(domain: string, config: ServiceConfig): string | undefined {
  const { zone } = config
  if (SPECIAL.includes(domain.slice(domain.lastIndexOf('.') + 1))) return 'a name that nobody can own'
  if (domain === zone || domain.endsWith(`.${zone}`)) return `names of ${zone} are given by the service`
  return hostsOf(config).includes(domain) ? 'a name of the service itself' : undefined
}
