/** Bytes of a connection to an origin → one response, as strictly as the strict parser of Node and never more leniently. */
import { GatewayError } from '../errors.ts'
import { checkLines, checkStart, MAX_HEAD_BYTES, parseFields, parseHead, type AskedFor, type Http1ResponseHead } from './response-head.ts'

const enum Expect {
  HEAD,
  /** `#left` bytes of a body of known length. */
  LENGTH,
  /** Bytes until the connection ends. */
  CLOSE,
  /** The line before a chunk. */
  CHUNK_SIZE,
  /** `#left` bytes of a chunk. */
  CHUNK,
  /** The line end behind a chunk. */
  CHUNK_END,
  TRAILERS,
  DONE,
}

/** Hexadecimal digits and extensions (RFC 9112 §7.1.1), without the white space that some would allow. */
const CHUNK_LINE =
  /^([0-9A-Fa-f]{1,16})(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*$/
const CHUNK_LINE_BEGINS = /^[0-9A-Fa-f]{0,16}(?:\r|;[\t\x20-\x7e\x80-\xff]*\r?)?$/
const MAX_CHUNK_LINE_BYTES = 1_024
/** Interim responses before the final one, ignored ones too. */
const MAX_INTERIMS = 100
/** Line ends before a status line, which Node skips as well. */
const MAX_EMPTY_LINES = 64
const CR = 13
const LF = 10
const EMPTY_LINE = Buffer.from('\r\n\r\n')
const NONE: readonly string[] = Object.freeze([])

const bad = (why: string): GatewayError => new GatewayError('ORIGIN_BAD_RESPONSE', why)

/**
 * Reads one response, in whatever pieces it comes. After each `push` the fields say what it brought; the reader tells nobody while it
 * reads, so a piece that turns out to be wrong has told nothing either.
 */
export class ResponseReader {
  #expect: Expect = Expect.HEAD
  #left = 0
  /** The beginning of a head or line whose end has not come. */
  #held: Buffer | undefined
  /** Bytes of `#held` in whole lines that are known to be good. */
  #checked = 0
  #emptyLines = 0
  #interimCount = 0
  readonly #isSwitchAllowed: boolean

  /** Interim heads that the last piece brought. */
  interims: Http1ResponseHead[] = []
  /** The final head, or 101, once it is there. */
  head: Http1ResponseHead | undefined
  /** Parts of the body that the last piece brought: views into it. */
  chunks: Buffer[] = []
  trailers: readonly string[] = NONE
  /** Bytes of the last piece beyond the end of the message. */
  rest: Buffer | undefined

  /** @param asked  what the request was: HEAD has no body, and 101 answers a wish alone */
  constructor(private readonly asked: AskedFor & { readonly isUpgrade: boolean; readonly silenceRemedy?: string }) {
    this.#isSwitchAllowed = asked.isUpgrade
  }

  /** True when the message is complete. */
  get isDone(): boolean {
    return this.#expect === Expect.DONE
  }

  /**
   * Takes the next piece.
   * @throws GatewayError ORIGIN_BAD_RESPONSE; the reader is of no use then
   */
  push(piece: Buffer): void {
    if (this.interims.length > 0) this.interims = []
    this.chunks.length = 0
    let bytes = piece
    if (this.#held !== undefined) {
      bytes = Buffer.concat([this.#held, piece])
      this.#held = undefined
    }
    let at = 0
    while (at < bytes.length && this.#expect !== Expect.DONE) {
      const next = this.#read(bytes, at)
      if (next < 0) {
        this.#held = Buffer.from(bytes.subarray(at)) // the piece may change afterwards
        return
      }
      at = next
    }
    if (at < bytes.length) this.rest = at === 0 ? bytes : bytes.subarray(at)
  }

  /**
   * Takes the end of the connection, which ends a body of no known length.
   * @throws GatewayError ORIGIN_CLOSED when the message is not complete
   */
  finish(): void {
    this.interims = []
    this.chunks.length = 0
    if (this.#expect === Expect.CLOSE) this.#expect = Expect.DONE
    if (this.#expect === Expect.DONE) return
    const where = this.head !== undefined ? 'body' : 'head'
    throw new GatewayError(
      'ORIGIN_CLOSED',
      this.head === undefined && this.#held === undefined
        ? `the origin closed the connection without an answer${this.asked.silenceRemedy ?? ''}`
        : `the origin closed the connection in the middle of the ${where} of its answer`,
    )
  }

  /** Reads what stands at `at`. @returns where to go on, or -1 when more bytes have to come first */
  #read(bytes: Buffer, at: number): number {
    switch (this.#expect) {
      case Expect.HEAD:
        return this.#readHead(bytes, at)
      case Expect.LENGTH:
      case Expect.CHUNK: {
        const end = Math.min(bytes.length, at + this.#left)
        this.chunks.push(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
        this.#left -= end - at
        if (this.#left === 0) this.#expect = this.#expect === Expect.CHUNK ? Expect.CHUNK_END : Expect.DONE
        return end
      }
      case Expect.CLOSE:
        this.chunks.push(at === 0 ? bytes : bytes.subarray(at))
        return bytes.length
      case Expect.CHUNK_SIZE:
        return this.#readChunkSize(bytes, at)
      case Expect.CHUNK_END:
        if (bytes[at] !== CR || (at + 1 < bytes.length && bytes[at + 1] !== LF)) throw bad('a chunk that is longer than its size')
        if (at + 1 === bytes.length) return -1
        this.#expect = Expect.CHUNK_SIZE
        return at + 2
      case Expect.TRAILERS:
        return this.#readTrailers(bytes, at)
      case Expect.DONE:
        return at
    }
  }

  #readHead(bytes: Buffer, from: number): number {
    let at = from
    while (this.#checked === 0 && (bytes[at] === CR || bytes[at] === LF)) {
      if (++this.#emptyLines > MAX_EMPTY_LINES) throw bad('empty lines instead of an answer')
      at++
    }
    if (at > from) return at
    const end = bytes.indexOf(EMPTY_LINE, at + Math.max(0, this.#checked - 4))
    if (end < 0) return this.#waitForHead(bytes, at)
    if (end - at > MAX_HEAD_BYTES) throw bad(`a head of more than ${MAX_HEAD_BYTES} bytes`)
    this.#checked = 0
    const head = parseHead(bytes.toString('latin1', at, end + 2), this.asked)
    if (head.status < 200 && head.status !== 101) {
      if (++this.#interimCount > MAX_INTERIMS) throw bad(`more than ${MAX_INTERIMS} interim responses`)
      if (!head.keepsAlive) throw bad('an interim response that closes the connection')
      this.interims.push(head)
      return end + 4
    }
    if (head.status === 101 && !this.#isSwitchAllowed) throw bad('a switch of protocols that nobody asked for')
    this.head = head
    const { framing } = head
    if (framing === 'chunked') this.#expect = Expect.CHUNK_SIZE
    else if (framing === 'close') this.#expect = Expect.CLOSE
    else if (framing === 'none' || framing === 0) this.#expect = Expect.DONE
    else {
      this.#left = framing
      this.#expect = Expect.LENGTH
    }
    return end + 4
  }

  #waitForHead(bytes: Buffer, at: number): number {
    const length = bytes.length - at
    if (length > MAX_HEAD_BYTES) throw bad(`a head of more than ${MAX_HEAD_BYTES} bytes`)
    const lines = bytes.lastIndexOf(LF) + 1 - at
    if (lines > this.#checked) {
      checkLines(bytes.toString('latin1', at + this.#checked, at + lines), this.#checked === 0)
      this.#checked = lines
    }
    if (this.#checked === 0) checkStart(at === 0 ? bytes : bytes.subarray(at))
    return -1
  }

  #readChunkSize(bytes: Buffer, start: number): number {
    let size = 0
    let at = start
    for (; at < bytes.length && at - start < 12; at++) {
      const digit = digitOf(bytes[at]!)
      if (digit < 0) break
      size = size * 16 + digit
    }
    // What almost every line is: a few digits, and its end in the same piece.
    if (at > start && bytes[at] === CR && bytes[at + 1] === LF) return this.#beginChunk(size, at + 2)
    const end = bytes.indexOf(LF, start)
    if (end < 0) {
      const isLong = bytes.length - start > MAX_CHUNK_LINE_BYTES
      if (isLong || !CHUNK_LINE_BEGINS.test(bytes.toString('latin1', start))) throw bad('a chunk without a valid size')
      return -1
    }
    if (end - start > MAX_CHUNK_LINE_BYTES || bytes[end - 1] !== CR) throw bad('a chunk without a valid size')
    const [, digits] = CHUNK_LINE.exec(bytes.toString('latin1', start, end - 1)) ?? []
    if (digits === undefined) throw bad('a chunk without a valid size')
    const length = Number.parseInt(digits, 16)
    if (!Number.isSafeInteger(length)) throw bad('a chunk of more than 2^53 bytes')
    return this.#beginChunk(length, end + 1)
  }

  #beginChunk(size: number, next: number): number {
    this.#left = size
    this.#expect = size === 0 ? Expect.TRAILERS : Expect.CHUNK
    return next
  }

  #readTrailers(bytes: Buffer, at: number): number {
    if (this.#checked === 0 && bytes[at] === CR && bytes[at + 1] === LF) {
      this.#expect = Expect.DONE
      return at + 2
    }
    const end = bytes.indexOf(EMPTY_LINE, at + Math.max(0, this.#checked - 4))
    if (end < 0) {
      if (bytes.length - at > MAX_HEAD_BYTES) throw bad(`trailers of more than ${MAX_HEAD_BYTES} bytes`)
      const lines = bytes.lastIndexOf(LF) + 1 - at
      if (lines > this.#checked) {
        checkLines(bytes.toString('latin1', at + this.#checked, at + lines), false)
        this.#checked = lines
      }
      return -1
    }
    if (end - at > MAX_HEAD_BYTES) throw bad(`trailers of more than ${MAX_HEAD_BYTES} bytes`)
    this.#checked = 0
    const trailers = parseFields(bytes.toString('latin1', at, end + 2), 0)
    for (let i = 0; i < trailers.length; i += 2) {
      if (trailers[i]!.length === 14 && trailers[i]!.toLowerCase() === 'content-length') throw bad('Content-Length among the trailers')
    }
    this.trailers = trailers
    this.#expect = Expect.DONE
    return end + 4
  }
}

/** The value of a hexadecimal digit, -1 for anything else. */
function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
