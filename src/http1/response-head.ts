/** The head of an HTTP/1 response: bytes → status, reason and fields, checked as strictly as RFC 9112 writes them. */
import { GatewayError } from '../errors.ts'
import { MAX_FIELDS } from '../http/fields.ts'

/** Most bytes of a head or of a trailer section. */
export const MAX_HEAD_BYTES = 65_536

/** The end of the body (RFC 9112 §6.3): there is none, after so many bytes, with its last chunk, or with the connection. */
export type Framing = 'none' | 'chunked' | 'close' | number

/** The part of a response before its body. A character is a byte. */
export interface Http1ResponseHead {
  readonly status: number
  readonly reason: string
  /** Names and values in turn, as they came, without the white space around values. */
  readonly fields: string[]
  readonly framing: Framing
  /** The connection may carry another request after this message. */
  readonly keepsAlive: boolean
  /** The time for which the origin says that it keeps an idle connection, seconds; undefined: it does not say. */
  readonly keepAliveSeconds: number | undefined
}

/** The facts of the request on which the framing of its response depends. */
export interface AskedFor {
  readonly isHead: boolean
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/
/** Whole lines of fields: no folding, no bare CR or LF, no control character but the tab, no space before the colon (RFC 9112 §5). */
const FIELD_LINES = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/
const FRAMING = /^(?:content-length|transfer-encoding)$/i
const PREFIX = 'HTTP/1.'
const TAB = 9
const SPACE = 32

const bad = (why: string): GatewayError => new GatewayError('ORIGIN_BAD_RESPONSE', why)

/**
 * Reads a head.
 * @param text  from the status line to the end of its last field line, the empty line excluded
 * @throws GatewayError ORIGIN_BAD_RESPONSE
 */
export function parseHead(text: string, asked: AskedFor): Http1ResponseHead {
  const lineEnd = text.indexOf('\r\n')
  const [, minor, code, reason = ''] = STATUS_LINE.exec(text.slice(0, lineEnd)) ?? []
  if (code === undefined) throw badStatusLine(text.slice(0, lineEnd))
  const status = Number(code)
  const fields = parseFields(text, lineEnd + 2)
  return { status, reason, fields, ...framingOf(fields, status, minor === '1', asked) }
}

/** Says nothing of what the origin sent: reasons are logged, and its bytes may be secret. */
const badStatusLine = (line: string): GatewayError =>
  bad(`the answer begins with ${line.length} bytes that are no status line of HTTP/1; does this port speak HTTP/1.1?`)

/** Field lines as names and values. @throws GatewayError ORIGIN_BAD_RESPONSE */
export function parseFields(text: string, start: number): string[] {
  const lines = start === 0 ? text : text.slice(start)
  if (!FIELD_LINES.test(lines)) throw bad('a header field with a forbidden character, a fold, or no colon')
  const fields: string[] = []
  for (let at = 0; at < lines.length;) {
    const colon = lines.indexOf(':', at)
    const end = lines.indexOf('\r\n', colon)
    let from = colon + 1
    let to = end
    while (from < to && isBlank(lines.charCodeAt(from))) from++
    while (to > from && isBlank(lines.charCodeAt(to - 1))) to--
    const name = lines.slice(at, colon)
    // Parsers differ in what a tab behind "chunked" or a number is, so that nobody may send one.
    if (to < end && FRAMING.test(name) && lines.slice(to, end).includes('\t')) throw bad(`a tab behind ${name}`)
    fields.push(name, lines.slice(from, to))
    at = end + 2
  }
  if (fields.length > 2 * MAX_FIELDS) throw bad(`more than ${MAX_FIELDS} fields`)
  return fields
}

const isBlank = (code: number): boolean => code === SPACE || code === TAB

/** Finds the fault of a head that has not come as a whole, so that nobody waits for an end that cannot come. */
export function checkLines(text: string, isFirst: boolean): void {
  const lineEnd = isFirst ? text.indexOf('\n') : -1
  if (isFirst && (text[lineEnd - 1] !== '\r' || !STATUS_LINE.test(text.slice(0, lineEnd - 1)))) throw badStatusLine(text.slice(0, lineEnd))
  if (!FIELD_LINES.test(text.slice(lineEnd + 1))) throw bad('a header field with a forbidden character, a fold, or no colon')
}

/** Does what came so far begin like a response? */
export function checkStart(bytes: Buffer): void {
  const length = Math.min(bytes.length, PREFIX.length)
  const start = bytes.toString('latin1', 0, length)
  if (start === PREFIX.slice(0, length)) return
  if (bytes[0] === 0x15 && (bytes.length < 2 || bytes[1] === 3)) throw bad('the origin answers in TLS; is its protocol https?')
  throw badStatusLine(bytes.toString('latin1', 0, 60))
}

type FramingFacts = Pick<Http1ResponseHead, 'framing' | 'keepsAlive' | 'keepAliveSeconds'>

function framingOf(fields: readonly string[], status: number, is11: boolean, { isHead }: AskedFor): FramingFacts {
  let length: number | undefined
  let coding: string | undefined
  let saysClose = false
  let saysKeep = false
  let keepAliveSeconds: number | undefined
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!
    switch (name.length) {
      case 10:
        switch (name.toLowerCase()) {
          case 'connection':
            for (const option of fields[i + 1]!.toLowerCase().split(',')) {
              const word = option.trim()
              if (word === 'close') saysClose = true
              else if (word === 'keep-alive') saysKeep = true
            }
            break
          case 'keep-alive':
            keepAliveSeconds = timeoutOf(fields[i + 1]!)
            break
        }
        break
      case 14:
        if (name.toLowerCase() !== 'content-length') break
        // Twice, even with one value, is what smugglers send (RFC 9112 §6.3).
        if (length !== undefined) throw bad('Content-Length twice')
        length = lengthOf(fields[i + 1]!)
        break
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') break
        if (coding !== undefined) throw bad('Transfer-Encoding twice')
        coding = fields[i + 1]!.toLowerCase()
        break
    }
  }
  if (length !== undefined && coding !== undefined) throw bad('Content-Length beside Transfer-Encoding')
  // "identity" was a coding in RFC 2616: none, until the connection ends.
  if (coding !== undefined && coding !== 'chunked' && coding !== 'identity') throw bad('a transfer coding other than chunked')
  const isInterim = status < 200
  if (isInterim && (coding !== undefined || (length ?? 0) > 0)) throw bad('an interim response with a body')
  const isBodyless = isInterim || isHead || status === 204 || status === 304
  const framing: Framing = isBodyless ? 'none' : coding === 'chunked' ? 'chunked' : coding === 'identity' ? 'close' : (length ?? 'close')
  // With HTTP/1.0 and chunks somebody on the way did not understand (§6.1), and a 204 with a body has one that comes next.
  const isDoubtful = (!is11 && coding !== undefined) || (status === 204 && !isHead && (coding !== undefined || (length ?? 0) > 0))
  const keepsAlive = framing !== 'close' && !isDoubtful && !saysClose && (is11 || saysKeep)
  return { framing, keepsAlive, keepAliveSeconds }
}

function lengthOf(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw bad('a Content-Length that is no length')
  return Number(value)
}

function timeoutOf(value: string): number | undefined {
  const [, digits] = /(?:^|[\s,;])timeout=(\d{1,6})(?:$|[\s,;])/i.exec(value) ?? []
  return digits === undefined ? undefined : Number(digits)
}
