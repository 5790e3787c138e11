/** Step 6 of the path: the fields that the origin gets. */
import { GatewayError } from '../errors.ts'
import type { Client } from './client.ts'
import type { AcceptedRequest } from './admission.ts'
import { isForwarded, trustFieldsOf, VISITOR_FIELD, type TrustFields } from './believed-fields.ts'
import { withoutOurs } from './cookies.ts'
import { appendAdded, isRemoved, type FieldEdits } from './field-edits.ts'
import { allowedTrailers, nominated } from './hop-by-hop.ts'
import type { Variables } from './template.ts'

/** Names of the gateways of this kind that a request came through. Not Via, for whose sake nginx stops compressing (`gzip_proxied off`). */
const PASSED = 'x-sg-passed'
/** More than any chain has that is meant. */
const MAX_PASSED = 16
const PSEUDONYM = /^sg-[0-9a-z]{1,16}$/

/** The facts beside the request on which the fields depend. */
export interface RequestContext {
  readonly client: Client
  readonly isTrustedPeer: boolean
  /** Fields that a trusted peer may send, for all targets. */
  readonly trustFields?: TrustFields | undefined
  /** Our name; a request that carries it already has come in a circle. */
  readonly pseudonym: string
  /** The changes that the target asks for; undefined: none. */
  readonly edits?: RequestEdits | undefined
  /** Fields of ours that say who the visitor is come behind these: whatever the target sets or a proxy sends, nothing else does. */
  readonly saysVisitor?: boolean
}

/** The changes to the fields of its requests that a target asks for. */
export interface RequestEdits {
  readonly fields: FieldEdits | undefined
  readonly variables: Variables
  /** Credentials that were meant for us. */
  readonly dropsAuthorization: boolean
  /** Name of a cookie that was meant for us. */
  readonly cookie: string | undefined
  /** Public prefix that the origin does not see. */
  readonly prefix: string
  /** Fields that a trusted peer may send, for this target. */
  readonly trustFields?: TrustFields | undefined
  /** We name ourselves in Via as well (RFC 9110 §7.6.3). */
  readonly addsVia?: boolean | undefined
}

/**
 * The end-to-end fields for the origin, ours last, so that nothing a client sends can remove or precede them.
 * @throws GatewayError LOOP when the request already passed this gateway
 */
export function requestFields(request: AcceptedRequest, context: RequestContext): string[] {
  const { fields, names } = request
  const dropped = nominated(fields, names)
  let kept: string[] = []
  const named = trustFieldsOf(context.trustFields, context.edits?.trustFields)
  const saysAll = context.saysVisitor === true && named.length > 0
  let via = ''
  const passed: string[] = []
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    if (name === 'via') via += via === '' ? fields[2 * i + 1]! : `, ${fields[2 * i + 1]!}`
    else if (name === PASSED) for (const each of fields[2 * i + 1]!.split(',')) passed.push(each.trim())
    else if (name === 'max-forwards') keepMaxForwards(request, fields[2 * i + 1]!, kept)
    else if (name === 'te' && /(?:^|,)\s*trailers\s*(?:,|$)/i.test(fields[2 * i + 1]!)) kept.push('TE', 'trailers')
    else if (name === 'trailer' && request.body.kind === 'stream') kept.push('Trailer', fields[2 * i + 1]!)
    else if (name === 'cookie' && dropped?.has(name) !== true) {
      const value = withoutOurs(fields[2 * i + 1]!, context.edits?.cookie)
      if (value !== '') kept.push(fields[2 * i]!, value)
    } else if (saysAll && VISITOR_FIELD.test(name)) continue
    else if (isForwarded(name, context.isTrustedPeer, named) && dropped?.has(name) !== true) kept.push(fields[2 * i]!, fields[2 * i + 1]!)
  }
  const { pseudonym } = context
  if (passed.includes(pseudonym) || via.includes(pseudonym)) throw new GatewayError('LOOP', `it has passed ${pseudonym} already`)
  if (passed.length >= MAX_PASSED) throw new GatewayError('LOOP', `it has passed ${passed.length} gateways already`)
  if (context.edits !== undefined) kept = edited(kept, context.edits, context.saysVisitor === true)
  addForwarding(kept, context.client)
  kept.push('X-SG-Passed', [...passed.filter(each => PSEUDONYM.test(each)), pseudonym].join(', '))
  // The entries of other proxies are always kept; `addsVia` decides on ours alone.
  const own = context.edits?.addsVia === true ? `${request.version} ${pseudonym}` : ''
  if (via !== '' || own !== '') kept.push('Via', via === '' || own === '' ? via + own : `${via}, ${own}`)
  return kept
}

/** Applies the edits of the target: after what clients sent, and before what the gateway adds. */
function edited(
  fields: readonly string[],
  { fields: edits, variables, dropsAuthorization, prefix }: RequestEdits,
  hasVisitor: boolean,
): string[] {
  let kept: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    if (edits !== undefined && isRemoved(edits, name)) continue
    if (dropsAuthorization && name === 'authorization') continue
    kept.push(fields[i]!, fields[i + 1]!)
  }
  if (edits !== undefined) {
    appendAdded(edits, kept, variables)
    // Where we say who comes, nothing else does.
    if (hasVisitor) kept = kept.filter((_, i) => !VISITOR_FIELD.test(kept[i & ~1]!))
  }
  if (prefix !== '' && (edits === undefined || !isRemoved(edits, 'x-forwarded-prefix'))) kept.push('X-Forwarded-Prefix', prefix)
  return kept
}

/**
 * The trailer fields that the origin gets: none that it would believe as a field, from whomever.
 * @param edits  of the fields of the request: what a target sets or removes there does not come behind the body either
 * @param named  fields that a trusted peer may send, but not here
 */
export function requestTrailers(raw: readonly string[], edits?: FieldEdits, named?: readonly TrustFields[]): string[] {
  const allowed = allowedTrailers(raw)
  const kept: string[] = []
  for (let i = 0; i < allowed.length; i += 2) {
    const name = allowed[i]!.toLowerCase()
    if (isForwarded(name, false, named) && (edits === undefined || !isRemoved(edits, name))) kept.push(allowed[i]!, allowed[i + 1]!)
  }
  return kept
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
