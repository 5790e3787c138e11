/** The head of an HTTP/1.1 request as text: every character of it is a byte, and none of them can end a line early. */
import { GatewayError } from '../errors.ts'

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const NAME = METHOD
/** RFC 9112 §3: a target ends at the first space. Bytes beyond ASCII are sent as they came. */
const TARGET = /^[\x21-\x7e\x80-\xff]+$/
/** Almost every value: of long ones a run of one class is read in half of the time in which all of what is bad is searched for. */
const PLAIN_VALUE = /^[\x20-\x7e]*$/
const BAD_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/

const refuse = (why: string): GatewayError => new GatewayError('ORIGIN_BAD_REQUEST', why)

/** The parts of a request line and its fields. */
export interface Http1RequestHead {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Names and values in turn, framing included. */
  readonly fields: readonly string[]
  /** Lines behind them, checked already. */
  readonly lines?: string | undefined
}

/**
 * The head with its empty line.
 * @throws GatewayError ORIGIN_BAD_REQUEST for anything that would be another request, or none, on the wire
 */
export function encodeRequest({ method, path, fields, lines = '' }: Http1RequestHead): string {
  if (!METHOD.test(method)) throw refuse(`method ${JSON.stringify(method)}`)
  if (!TARGET.test(path)) throw refuse('a path with a space or a control character')
  let text = `${method} ${path} HTTP/1.1\r\n`
  for (let i = 0; i < fields.length; i += 2) text += lineOf(fields[i]!, fields[i + 1]!)
  return `${text}${lines}\r\n`
}

/** Fields as lines. @throws GatewayError ORIGIN_BAD_REQUEST for what would be anything else */
export const encodeLines = (fields: readonly string[]): string => {
  let text = ''
  for (let i = 0; i < fields.length; i += 2) text += lineOf(fields[i]!, fields[i + 1]!)
  return text
}

/** The end of a chunked body. @throws GatewayError ORIGIN_BAD_REQUEST */
export function encodeLastChunk(trailers: readonly string[]): string {
  let text = '0\r\n'
  for (let i = 0; i < trailers.length; i += 2) text += lineOf(trailers[i]!, trailers[i + 1]!)
  return `${text}\r\n`
}

function lineOf(name: string, value: string): string {
  if (!NAME.test(name)) throw refuse(`a field named ${JSON.stringify(name.slice(0, 60))}`)
  if (!PLAIN_VALUE.test(value) && BAD_IN_VALUE.test(value)) throw refuse(`a forbidden character in ${name}`)
  return `${name}: ${value}\r\n`
}
