/** The fields that the client gets. An inner layer may be broken or taken: nothing of it is written unchecked. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { GatewayError, messageOf } from '../errors.ts'
import { setsOurs } from './cookies.ts'
import { appendAdded, isRemoved, type FieldEdits } from './field-edits.ts'
import { valuesOf } from './fields.ts'
import type { BodyKind, ResponseHead } from './message.ts'
import { HOP_BY_HOP, nominated } from './hop-by-hop.ts'
import { hasPrivateHrefs, HrefMapping, OVER_BYTES } from './multistatus.ts'
import { rewriteLink, rewriteRefresh, rewriteSetCookie, rewriteUrl, type PublicOrigin } from './rewrite.ts'
import type { Variables } from './template.ts'

/** Interim responses that one request may get. */
export const MAX_INTERIM = 8

const CSP = new Set(['content-security-policy', 'content-security-policy-report-only', 'x-content-security-policy', 'x-webkit-csp'])

/** The facts beside the head on which the fields depend. */
export interface ResponseContext {
  /** Method of the request. */
  readonly method: string
  /** Trailers and chunks can be sent: HTTP/1.1. */
  readonly canChunk: boolean
  readonly removeCsps: boolean
  readonly names: PublicOrigin
  /** The changes to fields that the target asks for; undefined: none. */
  readonly edits?: FieldEdits | undefined
  /** For `edits`. */
  readonly variables?: Variables | undefined
  /** A cookie of ours, beside those of the origin. */
  cookie?: string | undefined
  /** Another one, which holds a login. */
  readonly loginCookie?: string | undefined
  /** The same for a session of a visitor. */
  readonly visitorCookie?: string | undefined
  /** The origin must not say that somebody has been here, or is logged in. */
  readonly dropsOurCookies?: boolean | undefined
}

/** A final head that can be written as it stands. */
export interface WritableHead {
  readonly status: number
  readonly reason: string
  /** For `writeHead`, flat. */
  readonly fields: string[]
  /** Bytes that follow; undefined when only the end of the stream tells. */
  readonly length: number | undefined
  readonly hasBody: boolean
  /** Content-Length is among the fields; without it an HTTP/1.0 connection ends with the body. */
  readonly hasLength: boolean
  /** For the body on its way; it has no length then. */
  readonly hrefs?: HrefMapping | undefined
}

/**
 * A final head. Characters of names and values are left to `writeHead`, which checks them itself.
 * @throws GatewayError ORIGIN_BAD_RESPONSE when the head cannot be a final response
 */
export function responseHead(head: ResponseHead, context: ResponseContext): WritableHead {
  const { status, body } = head
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new GatewayError('ORIGIN_BAD_RESPONSE', `status ${status}`)
  const isBodyless = status === 204 || status === 304 // RFC 9110 §15.3.5, §15.4.5
  const hasBody = !isBodyless && context.method !== 'HEAD' && !(body.kind === 'none') && !(body.kind === 'length' && body.length === 0)
  const hrefs = hasBody && hasPrivateHrefs(status, head.fields, context.names) ? new HrefMapping(context.names) : undefined
  const fields = endToEnd(head.fields, context, name => {
    if (name === 'content-length' || (hrefs !== undefined && OVER_BYTES.has(name))) return false
    return name !== 'trailer' || (hasBody && body.kind === 'stream' && context.canChunk)
  })
  if (context.edits !== undefined) appendAdded(context.edits, fields, context.variables ?? {})
  addCookies(fields, context)
  const length = hrefs === undefined ? announcedLength(status, body) : undefined
  if (length !== undefined) fields.push('Content-Length', String(length))
  return {
    status,
    reason: head.reason,
    fields,
    length: hasBody ? length : undefined,
    hasBody,
    hasLength: length !== undefined,
    hrefs,
  }
}

/** An interim head, checked whole: it is written without the checks that a final one gets. @throws GatewayError ORIGIN_BAD_RESPONSE */
export function interimHead(head: ResponseHead, context: ResponseContext): Pick<WritableHead, 'status' | 'reason' | 'fields'> {
  const { status } = head
  if (!Number.isInteger(status) || status < 100 || status > 199 || status === 101)
    throw new GatewayError('ORIGIN_BAD_RESPONSE', `interim status ${status}`)
  const fields = endToEnd(head.fields, context, name => name !== 'content-length' && name !== 'trailer')
  for (let i = 0; i < fields.length; i += 2) check(fields[i]!, fields[i + 1]!)
  return { status, reason: checkedReason(head.reason), fields }
}

/**
 * The head of 101 (Switching Protocols), checked whole as an interim one.
 * @param upgrade  the protocol that was asked for
 * @throws GatewayError ORIGIN_BAD_RESPONSE, also for a switch to another protocol (RFC 9110 §7.8)
 */
export function switchingHead(
  head: ResponseHead,
  upgrade: string,
  context: ResponseContext,
): Pick<WritableHead, 'status' | 'reason' | 'fields'> {
  const named = valuesOf(head.fields, 'upgrade').join()
  if (upgrade === '') throw new GatewayError('ORIGIN_BAD_RESPONSE', 'a switch of protocols that nobody asked for')
  if (named.toLowerCase() !== upgrade.toLowerCase())
    throw new GatewayError('ORIGIN_BAD_RESPONSE', `a switch to another protocol than ${upgrade}`)
  const fields = endToEnd(head.fields, context, name => name !== 'content-length' && name !== 'trailer')
  if (context.edits !== undefined) appendAdded(context.edits, fields, context.variables ?? {})
  addCookies(fields, context)
  for (let i = 0; i < fields.length; i += 2) check(fields[i]!, fields[i + 1]!)
  return { status: 101, reason: checkedReason(head.reason), fields }
}

function addCookies(fields: string[], { cookie, loginCookie, visitorCookie }: ResponseContext): void {
  if (cookie !== undefined) fields.push('Set-Cookie', cookie)
  if (loginCookie !== undefined) fields.push('Set-Cookie', loginCookie)
  if (visitorCookie !== undefined) fields.push('Set-Cookie', visitorCookie)
}

/** A HEAD or 304 response may announce the length that a GET would have; 204 never does. */
function announcedLength(status: number, body: BodyKind): number | undefined {
  if (status === 204 || body.kind !== 'length') return undefined
  return body.length
}

function endToEnd(source: readonly string[], context: ResponseContext, wants: (name: string) => boolean): string[] {
  const names: string[] = []
  for (let i = 0; i < source.length; i += 2) names.push(source[i]!.toLowerCase())
  const dropped = nominated(source, names)
  const fields: string[] = []
  const { edits } = context
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    // Alt-Svc of a private origin points at ports that nobody outside can reach (RFC 7838 §3).
    const isDropped = (HOP_BY_HOP.has(name) && name !== 'trailer') || name === 'alt-svc' || dropped?.has(name) === true
    if (isDropped || !wants(name) || (context.removeCsps && CSP.has(name))) continue
    if (edits !== undefined && isRemoved(edits, name)) continue
    if (context.dropsOurCookies === true && name === 'set-cookie' && setsOurs(source[2 * i + 1]!)) continue
    fields.push(source[2 * i]!, publicValue(name, source[2 * i + 1]!, context.names))
  }
  return fields
}

function publicValue(name: string, value: string, names: PublicOrigin): string {
  switch (name) {
    case 'location':
    case 'content-location':
      return rewriteUrl(value, names)
    case 'refresh':
      return rewriteRefresh(value, names)
    case 'link':
      return rewriteLink(value, names)
    case 'set-cookie':
      return rewriteSetCookie(value, names)
    default:
      return value
  }
}

function check(name: string, value: string): void {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  } catch (cause) {
    throw new GatewayError('ORIGIN_BAD_RESPONSE', messageOf(cause), { cause })
  }
}

function checkedReason(reason: string): string {
  // RFC 9112 §4: reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(reason)) throw new GatewayError('ORIGIN_BAD_RESPONSE', 'a control character in the reason phrase')
  return reason
}
