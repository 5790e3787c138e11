/** Fields as node:http2 takes them. It separates names and values by a NUL and looks for none in them, so that is done here. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Fields } from '../http/fields.ts'
import { HOP_BY_HOP } from '../http/hop-by-hop.ts'

/** Names in lower case; several values of one name keep their order. Without a prototype. */
export type Http2Headers = Record<string, string | string[]>

/** node:http2 throws for a second value of these; the first counts, as with HTTP/1 servers of Node. */
const SINGLE = new Set(
  (
    'access-control-allow-credentials access-control-max-age access-control-request-method age authorization content-encoding ' +
    'content-language content-length content-location content-md5 content-range content-type date dnt etag expires from host if-match ' +
    'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards proxy-authorization range referer ' +
    'retry-after tk upgrade-insecure-requests user-agent x-content-type-options'
  ).split(' '),
)

/** An empty set of headers. */
export const http2Headers = (): Http2Headers => Object.create(null) as Http2Headers

/**
 * Adds `fields` but those of a connection; `TE: trailers` is the one that HTTP/2 keeps (RFC 9113 §8.2.2), and gRPC demands it.
 * @throws TypeError of Node when a name or a value cannot be sent; pseudo-header fields are no names
 */
export function addHttp2Fields(headers: Http2Headers, fields: Fields): Http2Headers {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    const value = fields[i + 1]!
    if (HOP_BY_HOP.has(name) && name !== 'trailer' && !(name === 'te' && value === 'trailers')) continue
    validateHeaderName(name)
    validateHeaderValue(name, value)
    const known = headers[name]
    if (known === undefined) headers[name] = value
    else if (SINGLE.has(name)) continue
    else if (typeof known === 'string') headers[name] = [known, value]
    else known.push(value)
  }
  return headers
}

/** The fields among `raw` that are no pseudo-header fields, in order. */
export function withoutPseudoFields(raw: Fields): string[] {
  const fields: string[] = []
  for (let i = 0; i < raw.length; i += 2) if (!raw[i]!.startsWith(':')) fields.push(raw[i]!, raw[i + 1]!)
  return fields
}
