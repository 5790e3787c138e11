/**
 * Decides, before any byte of the body is read, whether a request that node:http accepted may be forwarded (reference table in
 * docs/http.md). Pure; every refusal is a GatewayError with the status in its code.
 */
import { GatewayError } from '../errors.ts'
import { MAX_FIELDS, type Fields } from './fields.ts'
import { NO_BODY, STREAM_BODY, type BodyKind } from './message.ts'

/** Longest request target, characters; longer: 414. */
export const MAX_TARGET_CHARS = 8_192

/** A request head as node:http delivers it, or as `http2Request` reads it. */
export interface RawRequest {
  readonly method: string
  readonly target: string
  readonly httpVersion: string
  /** HTTP/2 alone: is there a body? In HTTP/1 the fields tell, and node:http also accepts a request line that says HTTP/2.0. */
  readonly endsWithHead?: boolean
  /** HTTP/2 alone: why the head is too large, where it is. */
  readonly excess?: string | undefined
  readonly fields: Fields
  /** Protocols that the client would switch to, in its order of preference; undefined: none. */
  readonly upgrades?: readonly string[] | undefined
}

/** As Via names it (RFC 9110 §7.6.3). */
export type HttpVersion = '1.0' | '1.1' | '2.0'

/** The facts of a request that may be forwarded. */
export interface AcceptedRequest {
  readonly method: string
  /** Origin-form, starts with `/`, or `*` for OPTIONS alone. */
  readonly target: string
  /** Value of the Host field or the authority of an absolute-form target; empty when an HTTP/1.0 request has none. */
  readonly host: string
  readonly isHttp10: boolean
  readonly version: HttpVersion
  readonly body: BodyKind
  readonly expectsContinue: boolean
  /** Protocols that the client would switch to, in its order of preference; undefined: none. */
  readonly upgrades: readonly string[] | undefined
  readonly fields: Fields
  /** Field names in lower case, one for each pair of `fields`. */
  readonly names: readonly string[]
}

/** Never forwarded, whatever a policy says: they open a tunnel or reflect what the client sent (RFC 9110 §9.3.6, §9.3.8). */
const REFUSED_METHODS = new Set(['CONNECT', 'TRACE', 'TRACK', 'DEBUG'])

/** Admits a request or says why not. @throws GatewayError BAD_*, METHOD_REFUSED, URI_TOO_LONG, HEADERS_TOO_LARGE, EXPECTATION_FAILED, CODING_UNSUPPORTED */
export function admitRequest(request: RawRequest): AcceptedRequest {
  const { method, fields, httpVersion: version, endsWithHead } = request
  const isHttp2 = version === '2.0' && endsWithHead !== undefined
  if (version !== '1.1' && version !== '1.0' && !isHttp2) throw new GatewayError('BAD_REQUEST', `HTTP version ${version}`)
  const isHttp10 = version === '1.0'
  // Compared whatever their case: RFC 9110 §9.1 tells `trace` from TRACE, and many programs behind us do not.
  if (REFUSED_METHODS.has(method.toUpperCase())) throw new GatewayError('METHOD_REFUSED', `method ${method}`)
  if (request.excess !== undefined) throw new GatewayError('HEADERS_TOO_LARGE', request.excess)
  if (request.target.length > MAX_TARGET_CHARS) throw new GatewayError('URI_TOO_LONG', `${request.target.length} characters`)
  if (fields.length / 2 > MAX_FIELDS) throw new GatewayError('HEADERS_TOO_LARGE', `${fields.length / 2} fields`)
  const names: string[] = []
  let host: string | undefined
  let length: string | undefined
  let coding: string | undefined
  let expectation: string | undefined
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    names.push(name)
    switch (name) {
      case 'host':
        if (host !== undefined) throw new GatewayError('BAD_HOST', 'more than one Host field') // RFC 9112 §3.2
        host = fields[i + 1]!
        break
      case 'content-length':
        if (length !== undefined) throw new GatewayError('BAD_FRAMING', 'more than one Content-Length')
        length = fields[i + 1]!
        break
      case 'transfer-encoding':
        if (coding !== undefined) throw new GatewayError('BAD_FRAMING', 'more than one Transfer-Encoding')
        coding = fields[i + 1]!
        break
      case 'expect':
        expectation = fields[i + 1]!
        break
    }
  }
  if (!host && !isHttp10) throw new GatewayError('BAD_HOST', host === undefined ? 'no Host field' : 'an empty Host field')
  const body = isHttp2 ? http2BodyKind(length, endsWithHead) : bodyKind(length, coding, isHttp10)
  // A body would come where the other protocol begins, and whoever reads it as a request there has been smuggled one.
  if (request.upgrades !== undefined && (body.kind === 'stream' || (body.kind === 'length' && body.length > 0)))
    throw new GatewayError('BAD_FRAMING', 'a request to switch protocols with a body')
  return {
    method,
    ...targetAndHost(request.target, method, host ?? ''),
    isHttp10,
    version,
    body,
    expectsContinue: expectsContinue(expectation, isHttp10) && body.kind !== 'none',
    upgrades: request.upgrades,
    fields,
    names,
  }
}

/** RFC 9113 §8.1.1: frames delimit the body, and Content-Length only announces it. */
function http2BodyKind(length: string | undefined, endsWithHead: boolean): BodyKind {
  if (length !== undefined) return bodyKind(length, undefined, false)
  return endsWithHead ? NO_BODY : STREAM_BODY
}

/** RFC 9112 §6.3: either length or coding, never both; the only coding is chunked, and it comes with HTTP/1.1. */
function bodyKind(length: string | undefined, coding: string | undefined, isHttp10: boolean): BodyKind {
  if (coding !== undefined) {
    if (length !== undefined) throw new GatewayError('BAD_FRAMING', 'Content-Length together with Transfer-Encoding')
    if (isHttp10) throw new GatewayError('BAD_FRAMING', 'Transfer-Encoding in an HTTP/1.0 request')
    if (coding.toLowerCase() !== 'chunked') throw new GatewayError('CODING_UNSUPPORTED', 'a transfer coding other than chunked')
    return STREAM_BODY
  }
  if (length === undefined) return NO_BODY
  const bytes = /^[0-9]{1,16}$/.test(length) ? Number(length) : NaN
  if (!Number.isSafeInteger(bytes)) throw new GatewayError('BAD_FRAMING', 'a Content-Length that is not a whole number of bytes')
  return { kind: 'length', length: bytes }
}

/** RFC 9110 §10.1.1: HTTP/1.0 clients cannot understand 100, other expectations are refused. */
function expectsContinue(expectation: string | undefined, isHttp10: boolean): boolean {
  if (expectation === undefined || isHttp10) return false
  if (expectation.toLowerCase() !== '100-continue') throw new GatewayError('EXPECTATION_FAILED', 'an expectation other than 100-continue')
  return true
}

const ABSOLUTE = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i

/** RFC 9112 §3.2: origin-form, absolute-form whose authority equals Host, or `*` for OPTIONS. Never parsed as a URL: `//x` is a path. */
function targetAndHost(target: string, method: string, host: string): { target: string; host: string } {
  if (target.startsWith('/')) return { target, host }
  if (target === '*') {
    if (method !== 'OPTIONS') throw new GatewayError('BAD_TARGET', `${method} *`)
    return { target, host }
  }
  const absolute = ABSOLUTE.exec(target)
  if (absolute === null) throw new GatewayError('BAD_TARGET', 'neither origin-form nor absolute-form')
  const [start, scheme, authority] = absolute as unknown as [string, string, string]
  const rest = target.slice(start.length)
  if (!/^https?$/i.test(scheme)) throw new GatewayError('BAD_TARGET', 'a scheme other than http and https')
  if (authority === '') throw new GatewayError('BAD_TARGET', 'an absolute-form target without a host')
  if (host !== '' && authority.toLowerCase() !== host.toLowerCase())
    throw new GatewayError('BAD_HOST', 'Host differs from the request target')
  return { target: rest.startsWith('/') ? rest : `/${rest}`, host: authority }
}

/** An OPTIONS request about the gateway itself (RFC 9110 §9.3.7), or one that may go no further (§7.6.2). */
export function isAnsweredHere(request: AcceptedRequest): boolean {
  if (request.method !== 'OPTIONS') return false
  return request.target === '*' || request.names.some((name, i) => name === 'max-forwards' && request.fields[2 * i + 1] === '0')
}
