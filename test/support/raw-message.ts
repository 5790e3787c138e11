/**
 * A slow and obvious HTTP/1.1 parser of our own, so that tests judge bytes by the letter of RFC 9112 and not by what a library forgives:
 * CRLF only, no folding, exactly one framing. It reads requests and responses, one after the other, from pieces of any size.
 */

/** A field as it stood in the bytes (latin-1): name and value, the white space around the value removed. */
export type Field = readonly [name: string, value: string]

/** The head of one message. */
export interface RawHead {
  /** The start-line without its CRLF. */
  readonly startLine: string
  /** The field lines without their CRLF, exactly as they came. */
  readonly lines: readonly string[]
  readonly fields: readonly Field[]
}

/** How the end of a body is found. */
export type Framing =
  { readonly kind: 'none' } | { readonly kind: 'length'; readonly length: number } | { readonly kind: 'chunked' | 'close' }

export interface MessageEvents {
  /** @returns how the body is framed; `frameRequest` and `frameResponse` decide it by the letter */
  readonly onHead: (head: RawHead) => Framing
  readonly onBody: (bytes: Buffer) => void
  readonly onEnd: (trailers: readonly Field[]) => void
}

/** The values of every field of this name, in order. */
export const valuesOf = (fields: readonly Field[], name: string): string[] =>
  fields.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value)

/** The value of the only field of this name. @throws Error when there are several */
export const valueOf = (fields: readonly Field[], name: string): string | undefined => {
  const values = valuesOf(fields, name)
  if (values.length > 1) throw new Error(`${values.length} fields ${name}: ${values.join(' | ')}`)
  return values[0]
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

const fieldOf = (line: string): Field => {
  const colon = line.indexOf(':')
  const name = line.slice(0, colon)
  if (colon < 1 || !TOKEN.test(name)) throw new Error(`not a field line: ${JSON.stringify(line)}`)
  return [name, line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
}

/** RFC 9112 §6.3 for requests. @throws Error for any framing that could be read in two ways */
export const frameRequest = ({ fields }: RawHead): Framing => {
  const codings = valuesOf(fields, 'transfer-encoding')
  const lengths = valuesOf(fields, 'content-length')
  if (codings.length > 0 && lengths.length > 0) throw new Error('Transfer-Encoding and Content-Length')
  if (codings.length > 0) {
    if (codings.length !== 1 || codings[0]!.toLowerCase() !== 'chunked') throw new Error(`Transfer-Encoding: ${codings.join(' | ')}`)
    return { kind: 'chunked' }
  }
  if (lengths.length === 0) return { kind: 'none' }
  if (lengths.length !== 1 || !/^\d+$/.test(lengths[0]!)) throw new Error(`Content-Length: ${lengths.join(' | ')}`)
  return { kind: 'length', length: Number(lengths[0]) }
}

/** RFC 9112 §6.3 for responses to `method`. */
export const frameResponse = (head: RawHead, method = 'GET'): Framing => {
  const status = statusOf(head)
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { kind: 'none' }
  const framing = frameRequest(head)
  return framing.kind === 'none' ? { kind: 'close' } : framing
}

/** The status of a response head. @throws Error when the start-line is no status line */
export const statusOf = ({ startLine }: RawHead): number => {
  const match = /^HTTP\/1\.[01] (\d{3}) /.exec(startLine)
  if (match === null) throw new Error(`not a status line: ${JSON.stringify(startLine)}`)
  return Number(match[1])
}

/** Feeds on bytes, reports messages. `push` throws at the first byte that breaks the syntax. */
export class MessageReader {
  #rest: Buffer = Buffer.alloc(0)
  #state: 'head' | 'length' | 'close' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'stopped' = 'head'
  #left = 0

  constructor(private readonly events: MessageEvents) {}

  /** Is a message under way? */
  get isBetweenMessages(): boolean {
    return this.#state === 'head' && this.#rest.length === 0
  }

  push(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    while (this.#step());
  }

  /** The peer has ended. @throws Error in the middle of a message */
  end(): void {
    if (this.#state === 'close') this.#finish([])
    else if (this.#state !== 'stopped' && !this.isBetweenMessages) throw new Error(`the connection ended in state ${this.#state}`)
  }

  /** Parses no further (after an upgrade); returns what was read beyond the last message. */
  stop(): Buffer {
    this.#state = 'stopped'
    const rest = this.#rest
    this.#rest = Buffer.alloc(0)
    return rest
  }

  /** @returns false when more bytes are needed */
  #step(): boolean {
    switch (this.#state) {
      case 'stopped':
        return false
      case 'head': {
        const lines = this.#takeLines()
        if (lines === undefined) return false
        const [startLine = '', ...fieldLines] = lines
        this.#startBody(this.events.onHead({ startLine, lines: fieldLines, fields: fieldLines.map(fieldOf) }))
        return true
      }
      case 'length':
      case 'chunk': {
        if (this.#rest.length === 0) return false
        const bytes = this.#take(Math.min(this.#left, this.#rest.length))
        this.#left -= bytes.length
        this.events.onBody(bytes)
        if (this.#left === 0) {
          if (this.#state === 'length') this.#finish([])
          else this.#state = 'chunk-end'
        }
        return true
      }
      case 'close': {
        if (this.#rest.length > 0) this.events.onBody(this.#take(this.#rest.length))
        return false
      }
      case 'chunk-size': {
        const line = this.#takeLine()
        if (line === undefined) return false
        const match = /^([0-9a-fA-F]+)(;.*)?$/.exec(line)
        if (match === null) throw new Error(`not a chunk size: ${JSON.stringify(line)}`)
        this.#left = Number.parseInt(match[1]!, 16)
        this.#state = this.#left === 0 ? 'trailers' : 'chunk'
        return true
      }
      case 'chunk-end': {
        const line = this.#takeLine()
        if (line === undefined) return false
        if (line !== '') throw new Error(`bytes after the end of a chunk: ${JSON.stringify(line)}`)
        this.#state = 'chunk-size'
        return true
      }
      case 'trailers': {
        const lines = this.#takeLines()
        if (lines === undefined) return false
        this.#finish(lines.map(fieldOf))
        return true
      }
    }
  }

  #startBody(framing: Framing): void {
    if (this.#state !== 'head') return // stopped from within onHead
    if (framing.kind === 'none' || (framing.kind === 'length' && framing.length === 0)) {
      this.#finish([])
    } else {
      if (framing.kind === 'length') this.#left = framing.length
      this.#state = framing.kind === 'chunked' ? 'chunk-size' : framing.kind
    }
  }

  #finish(trailers: readonly Field[]): void {
    this.#state = 'head'
    this.events.onEnd(trailers)
  }

  #take(length: number): Buffer {
    const bytes = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return bytes
  }

  #takeLine(): string | undefined {
    const end = this.#rest.indexOf('\n')
    if (end === -1) return undefined
    const line = this.#take(end + 1).toString('latin1')
    if (!line.endsWith('\r\n') || line.slice(0, -2).includes('\r')) throw new Error(`not ended by CRLF: ${JSON.stringify(line)}`)
    return line.slice(0, -2)
  }

  /** The lines up to an empty one, once that has come. */
  #takeLines(): string[] | undefined {
    if (this.#rest.length >= 2 && this.#rest.subarray(0, 2).toString('latin1') === '\r\n') {
      this.#take(2)
      return []
    }
    const isWhole = this.#rest.includes('\r\n\r\n') || this.#rest.includes('\n\n')
    if (!isWhole) return undefined
    const lines: string[] = []
    for (;;) {
      const line = this.#takeLine()
      if (line === undefined || line === '') return lines
      lines.push(line)
    }
  }
}
