/** A head of HTTP/2 in the terms of HTTP/1, so that one admission judges both (RFC 9113 §8.3.1). */
import type { RawRequest } from '../http/admission.ts'
import type { Fields } from '../http/fields.ts'

/**
 * The request that the pseudo-header fields and fields say. nghttp2 has refused what is malformed: fields of a connection, names in upper
 * case, pseudo-header fields that are missing, repeated or late.
 * @param raw           names and values in turn, in the order in which they came
 * @param endsWithHead  END_STREAM came with the head: there is no body
 * @param maxBytes      of all names and values; more is left to admission to refuse
 */
export function http2Request(raw: Fields, endsWithHead: boolean, maxBytes = Infinity): RawRequest {
  let method = ''
  let scheme = ''
  let path = ''
  let authority: string | undefined
  let protocol: string | undefined
  let cookieAt = -1
  let bytes = 0
  const fields: string[] = ['host', '']
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const value = raw[i + 1]!
    bytes += name.length + value.length
    if (name.startsWith(':')) {
      if (name === ':method') method = value
      else if (name === ':path') path = value
      else if (name === ':authority') authority = value
      else if (name === ':scheme') scheme = value
      else if (name === ':protocol') protocol = value
    } else if (name === 'cookie' && cookieAt >= 0) {
      fields[cookieAt] = `${fields[cookieAt]!}; ${value}` // RFC 9113 §8.2.3
    } else {
      fields.push(name, value)
      if (name === 'cookie') cookieAt = fields.length - 1
    }
  }
  if (authority === undefined) fields.splice(0, 2)
  else {
    fields[1] = authority
    dropEqualHost(fields, authority)
  }
  const isWebSocket = method === 'CONNECT' && protocol?.toLowerCase() === 'websocket'
  return {
    method: isWebSocket ? 'GET' : method,
    // Another scheme is none that is served here; without its authority this is no absolute-form either, and refused as a target.
    target: method === 'CONNECT' && !isWebSocket ? (authority ?? '') : scheme === 'http' || scheme === 'https' ? path : `${scheme}:${path}`,
    httpVersion: '2.0',
    endsWithHead: endsWithHead || isWebSocket,
    excess: bytes > maxBytes ? `${bytes} bytes of fields` : undefined,
    fields,
    upgrades: isWebSocket ? ['websocket'] : undefined,
  }
}

/** A Host field beside :authority has to say the same; one that does not stays, and two of them are refused. */
function dropEqualHost(fields: string[], authority: string): void {
  for (let i = 2; i < fields.length; i += 2) {
    if (fields[i] !== 'host' || fields[i + 1]!.toLowerCase() !== authority.toLowerCase()) continue
    fields.splice(i, 2)
    return
  }
}
