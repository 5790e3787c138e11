/** Step 6 of the path: the fields that the origin gets. */
import { GatewayError } from '../errors.ts'
import type { Client } from './client.ts'
import type { AcceptedRequest } from './admission.ts'
import { appendAdded, isRemoved, type FieldEdits } from './field-edits.ts'
import { allowedTrailers, HOP_BY_HOP, nominated } from './hop-by-hop.ts'
import type { Variables } from './template.ts'

/** Set by us alone, from whomever they come (compared with `_` read as `-`: CVE-2025-64484). */
const SET_BY_US = new Set(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-real-ip'])

/** Believed by many origins, so only a trusted proxy may send them. */
const TRUSTED_ONLY = new Set([
  'x-forwarded-prefix',
  'x-forwarded-server',
  'x-forwarded-user',
  'x-forwarded-email',
  'x-forwarded-groups',
  'x-forwarded-preferred-username',
  'x-forwarded-access-token',
  'x-forwarded-uri',
  'x-forwarded-method',
  'x-forwarded-ssl',
  'x-forwarded-scheme',
  'x-forwarded',
  'x-original-url',
  'x-original-uri',
  'x-original-host',
  'x-original-method',
  'x-rewrite-url',
  'x-client-ip',
  'x-cluster-client-ip',
  'client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'x-auth-request-user',
  'x-auth-request-email',
  'x-auth-request-groups',
  'x-auth-request-preferred-username',
  'x-auth-request-access-token',
  'x-auth-request-redirect',
  'x-remote-user',
  'remote-user',
  'x-webauth-user',
])

/** Framing and routing: the inner layer sets them from the head, never from a field. */
const REWRITTEN = new Set(['host', 'content-length', 'expect', 'via', 'max-forwards'])

/** What the fields depend on beside the request. */
export interface RequestContext {
  readonly client: Client
  readonly isTrustedPeer: boolean
  /** Our name in Via; a request that carries it already has come in a circle. */
  readonly pseudonym: string
  /** What the target says; undefined: nothing. */
  readonly edits?: RequestEdits | undefined
}

/** What a target says of the fields of its requests. */
export interface RequestEdits {
  readonly fields: FieldEdits | undefined
  readonly variables: Variables
  /** Credentials that were meant for us. */
  readonly dropsAuthorization: boolean
  /** Name of a cookie that was meant for us. */
  readonly cookie: string | undefined
  /** Public prefix that the origin does not see. */
  readonly prefix: string
}

/**
 * The end-to-end fields for the origin, ours last, so that nothing a client sends can remove or precede them.
 * @throws GatewayError LOOP when the request already passed this gateway
 */
export function requestFields(request: AcceptedRequest, context: RequestContext): string[] {
  const { fields, names } = request
  const dropped = nominated(fields, names)
  let kept: string[] = []
  let via = ''
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    if (name === 'via') via += via === '' ? fields[2 * i + 1]! : `, ${fields[2 * i + 1]!}`
    else if (name === 'max-forwards') keepMaxForwards(request, fields[2 * i + 1]!, kept)
    else if (name === 'te' && /(?:^|,)\s*trailers\s*(?:,|$)/i.test(fields[2 * i + 1]!)) kept.push('TE', 'trailers')
    else if (name === 'trailer' && request.body.kind === 'stream') kept.push('Trailer', fields[2 * i + 1]!)
    else if (isForwarded(name, context.isTrustedPeer) && dropped?.has(name) !== true) kept.push(fields[2 * i]!, fields[2 * i + 1]!)
  }
  if (via.includes(context.pseudonym)) throw new GatewayError('LOOP', `Via already names ${context.pseudonym}`)
  if (context.edits !== undefined) kept = edited(kept, context.edits)
  addForwarding(kept, context.client)
  kept.push('Via', `${via === '' ? '' : `${via}, `}${request.version} ${context.pseudonym}`)
  return kept
}

/** What the target says comes after what clients sent, and before what we say. */
function edited(fields: readonly string[], { fields: edits, variables, dropsAuthorization, cookie, prefix }: RequestEdits): string[] {
  const kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    let value = fields[i + 1]!
    if (edits !== undefined && isRemoved(edits, name)) continue
    if ((dropsAuthorization && name === 'authorization') || (prefix !== '' && name === 'x-forwarded-prefix')) continue
    if (cookie !== undefined && name === 'cookie') {
      value = withoutCookie(value, cookie)
      if (value === '') continue
    }
    kept.push(fields[i]!, value)
  }
  if (edits !== undefined) appendAdded(edits, kept, variables)
  if (prefix !== '') kept.push('X-Forwarded-Prefix', prefix)
  return kept
}

const withoutCookie = (value: string, name: string): string =>
  value
    .split(';')
    .filter(pair => pair.slice(0, pair.indexOf('=')).trim() !== name)
    .join(';')
    .trim()

/**
 * The trailer fields that the origin gets: none that it would believe as a field, from whomever.
 * @param edits  of the fields of the request: what a target sets or removes there does not come behind the body either
 */
export function requestTrailers(raw: readonly string[], edits?: FieldEdits): string[] {
  const allowed = allowedTrailers(raw)
  const kept: string[] = []
  for (let i = 0; i < allowed.length; i += 2) {
    const name = allowed[i]!.toLowerCase()
    if (isForwarded(name, false) && (edits === undefined || !isRemoved(edits, name))) kept.push(allowed[i]!, allowed[i + 1]!)
  }
  return kept
}

function isForwarded(name: string, isTrustedPeer: boolean): boolean {
  if (HOP_BY_HOP.has(name) || REWRITTEN.has(name)) return false
  const canonical = name.includes('_') ? name.replaceAll('_', '-') : name
  if (SET_BY_US.has(canonical) || canonical.startsWith('x-sg-')) return false
  if (canonical !== name && (HOP_BY_HOP.has(canonical) || REWRITTEN.has(canonical) || canonical === 'authorization')) return false
  return !TRUSTED_ONLY.has(canonical) || (isTrustedPeer && canonical === name)
}

/** RFC 9110 §7.6.2; zero never gets here. */
function keepMaxForwards(request: AcceptedRequest, value: string, kept: string[]): void {
  if (request.method === 'OPTIONS' && /^\d{1,9}$/.test(value)) kept.push('Max-Forwards', String(Number(value) - 1))
  else kept.push('Max-Forwards', value)
}

function addForwarding(fields: string[], client: Client): void {
  const { address, hops, scheme, host, port } = client
  let chain = address
  const named = host === '' ? '' : `;host=${/^[\w.-]+$/.test(host) ? host : `"${host}"`}`
  let forwarded = `for=${node(address)}${named};proto=${scheme}`
  for (const hop of hops) {
    chain += `, ${hop}`
    forwarded += `, for=${node(hop)}`
  }
  fields.push('Forwarded', forwarded, 'X-Forwarded-For', chain)
  if (host !== '') fields.push('X-Forwarded-Host', host)
  fields.push('X-Forwarded-Proto', scheme, 'X-Forwarded-Port', port, 'X-Real-IP', address)
}

/** RFC 7239 §6: IPv6 in brackets and quotes. */
const node = (address: string): string => (address.includes(':') ? `"[${address}]"` : address)
