/** Heads of requests that leave no question open: bytes → request, or nothing. */
import type { RawRequest } from '../../http/admission.ts'

/** The longest head that is looked at, bytes. */
export const MAX_QUICK_BYTES = 8_192
const MAX_QUICK_FIELDS = 64
/** Without any character that servers read in different ways. */
const REQUEST_LINE = /^(GET|HEAD) (\/[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*) HTTP\/1\.1$/
/** Whole lines: a name, a colon, visible characters and spaces. There is one way to read each, so that it is linear. */
const FIELD_LINES = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\x20-\x7e]*\r\n)*$/
/** Fields that say that there is a body, another protocol, or an end of the connection. */
const ASKS_FOR_MORE = new Set(['content-length', 'transfer-encoding', 'expect', 'upgrade', 'http2-settings', 'proxy-connection'])
const SPACE = 32

/**
 * The request that `bytes` are, from the first to the last; undefined for any bytes that are not exactly one whole head of a GET or HEAD
 * without a body, on a connection that stays, in the plain spelling that all clients use. Then the parser of node:http decides what it is:
 * this one has to be right about what it takes, and may leave what it likes.
 */
export function quickHead(bytes: Buffer, maxBytes: number): RawRequest | undefined {
  const { length } = bytes
  if (length > maxBytes || length > MAX_QUICK_BYTES) return undefined
  const text = bytes.toString('latin1')
  const lineEnd = text.indexOf('\r\n')
  const end = text.length - 2
  if (lineEnd < 0 || !text.endsWith('\r\n\r\n')) return undefined
  const [, method, target] = REQUEST_LINE.exec(text.slice(0, lineEnd)) ?? []
  const lines = text.slice(lineEnd + 2, end)
  if (method === undefined || target === undefined || !FIELD_LINES.test(lines)) return undefined
  const fields = fieldsOf(lines)
  return fields === undefined ? undefined : { method, target, httpVersion: '1.1', fields }
}

function fieldsOf(lines: string): string[] | undefined {
  const fields: string[] = []
  for (let at = 0; at < lines.length;) {
    const colon = lines.indexOf(':', at)
    const end = lines.indexOf('\r\n', colon)
    const from = lines.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1
    const name = lines.slice(at, colon)
    const value = lines.slice(from, end)
    if (lines.charCodeAt(from) === SPACE || lines.charCodeAt(end - 1) === SPACE || !isPlain(name, value)) return undefined
    fields.push(name, value)
    at = end + 2
  }
  return fields.length > 2 * MAX_QUICK_FIELDS ? undefined : fields
}

function isPlain(name: string, value: string): boolean {
  switch (name.length) {
    case 6: // expect
    case 7: // upgrade
    case 14: // content-length, http2-settings
    case 16: // proxy-connection
    case 17: // transfer-encoding
      return !ASKS_FOR_MORE.has(name.toLowerCase())
    case 10:
      return name.toLowerCase() !== 'connection' || value.toLowerCase() === 'keep-alive'
    default:
      return true
  }
}
