import type { Socket } from 'node:net'
import type { RawRequest } from '../../http/admission.ts'
import type { Peer } from '../../http/client.ts'
import type { Fields } from '../../http/fields.ts'
import { withHsts } from '../../http/hsts.ts'
import type { WritableHead } from '../../http/response-fields.ts'
import { guarded, type Fail } from '../../net/guard.ts'
import { endAbruptly, endLingering } from '../../net/linger.ts'
import type { ClientEvents, EdgeRequest } from '../exchange/edge-request.ts'

/** A body up to this long leaves in one string with its head, bytes: copying costs less than a second part of a write. */
const MAX_JOINED_BYTES = 16_384
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const BAD_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/
const LINE_END = '\r\n'

/** The connection of a request, as far as its answer has to know it. */
export interface QuickPlace {
  readonly socket: Socket
  readonly peer: Peer
  /** Announced idle time, seconds. */
  readonly keepAliveSeconds: number
  /** The answer was handed to the operating system whole; the next request may come, unless it was the last. */
  readonly onAnswered: (isLast: boolean) => void
}

/** A request without a body, and its answer: one write for head and body where they are there together. */
export class QuickRequest implements EdgeRequest {
  events: ClientEvents | undefined
  readonly peer: Peer
  status = 0
  isFinished = false
  /** Text that waits: the head, and what has come of the body with it. */
  #waiting = ''
  #isWaiting = false
  #isChunked = false
  #isCorked = false
  #hasBody = false
  #isLast = false
  #hasEnded = false
  #isClosed = false
  #trailers = ''

  constructor(
    readonly request: RawRequest,
    private readonly place: QuickPlace,
  ) {
    this.peer = place.peer
  }

  // --- request: there is nothing of it but its head

  get isReceived(): boolean {
    return true
  }

  get trailers(): readonly string[] {
    return []
  }

  startUpload(): void {
    this.events?.onUploadEnd()
  }

  pauseUpload(): void {
    // There is none.
  }

  resumeUpload(): void {
    // There is none.
  }

  discardUpload(): void {
    // There is none.
  }

  // --- answer

  get hasHead(): boolean {
    return this.status > 0
  }

  get isGone(): boolean {
    const { socket } = this.place
    return socket.destroyed || socket.writableEnded
  }

  get needsDrain(): boolean {
    return this.place.socket.writableNeedDrain
  }

  get isWaiting(): boolean {
    return this.#isWaiting
  }

  writeContinue(): void {
    this.writeInterim(100, 'Continue', [])
  }

  writeInterim(status: number, reason: string, fields: Fields): void {
    let text = `HTTP/1.1 ${status} ${reason}${LINE_END}`
    for (let i = 0; i < fields.length; i += 2) text += `${fields[i]!}: ${fields[i + 1]!}${LINE_END}`
    this.place.socket.write(text + LINE_END, 'latin1')
  }

  writeHead({ status, reason, fields }: Pick<WritableHead, 'status' | 'reason' | 'fields'>): void {
    if (BAD_IN_VALUE.test(reason)) throw new TypeError('a forbidden character in the reason phrase')
    let hasDate = false
    let hasLength = false
    let text = `HTTP/1.1 ${status} ${reason}${LINE_END}`
    const all = withHsts(this.peer, fields)
    for (let i = 0; i < all.length; i += 2) {
      const name = all[i]!
      if (name.length === 4) hasDate ||= name.toLowerCase() === 'date'
      else if (name.length === 14) hasLength ||= name.toLowerCase() === 'content-length'
      text += lineOf(name, all[i + 1]!)
    }
    this.#hasBody = this.request.method !== 'HEAD' && status !== 204 && status !== 304
    this.#isChunked = this.#hasBody && !hasLength
    if (!hasDate) text += `Date: ${new Date().toUTCString()}${LINE_END}`
    text += this.#isLast ? 'Connection: close\r\n' : `Connection: keep-alive\r\nKeep-Alive: timeout=${this.place.keepAliveSeconds}\r\n`
    if (this.#isChunked) text += 'Transfer-Encoding: chunked\r\n'
    this.status = status
    this.#waiting = text + LINE_END
    this.#isWaiting = true
  }

  flush(): void {
    if (!this.#isWaiting || this.isGone) return
    const text = this.#waiting
    this.#isWaiting = false
    this.#waiting = ''
    this.place.socket.write(text, 'latin1')
  }

  write(chunk: Buffer): boolean {
    if (!this.#hasBody || this.#hasEnded || chunk.length === 0) return true
    if (this.#isWaiting && this.#waiting.length + chunk.length <= MAX_JOINED_BYTES) {
      this.#waiting += this.#textOf(chunk)
      return true
    }
    if (this.isGone) return false
    const { socket } = this.place
    this.#cork()
    this.flush()
    if (!this.#isChunked) return socket.write(chunk)
    socket.write(chunk.length.toString(16) + LINE_END, 'latin1')
    socket.write(chunk)
    return socket.write(LINE_END, 'latin1')
  }

  /** Lets what comes in one turn leave in one write, however many pieces there are. */
  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.place.socket.cork()
    queueMicrotask(guarded(this.#fail, () => this.#uncork()))
  }

  #uncork(): void {
    if (!this.#isCorked) return
    this.#isCorked = false
    this.place.socket.uncork()
  }

  #textOf(chunk: Buffer): string {
    const text = chunk.toString('latin1')
    return this.#isChunked ? chunk.length.toString(16) + LINE_END + text + LINE_END : text
  }

  setTrailers(fields: Fields): void {
    for (let i = 0; i < fields.length; i += 2) this.#trailers += lineOf(fields[i]!, fields[i + 1]!)
  }

  end(body?: string | Buffer): void {
    if (this.#hasEnded) return
    if (body !== undefined && body.length > 0) this.write(typeof body === 'string' ? Buffer.from(body) : body)
    this.#hasEnded = true
    if (this.isGone) return
    const { socket } = this.place
    const last = this.#isChunked ? `0${LINE_END}${this.#trailers}${LINE_END}` : ''
    const text = this.#isWaiting ? this.#waiting + last : last
    this.#isWaiting = false
    this.#waiting = ''
    const isPlain = this.peer.tls === undefined
    // What TLS encrypts leaves later; a plain socket has mostly left by the end of `write`, and then a callback is the dearer way to know.
    if (!isPlain) socket.write(text, 'latin1', this.#finish)
    else if (text !== '') socket.write(text, 'latin1')
    this.#uncork()
    if (!isPlain) return
    if (socket.writableLength === 0) queueMicrotask(this.#finish)
    else socket.write('', 'latin1', this.#finish)
  }

  closeAfterwards(): void {
    this.#isLast = true
  }

  cut(isDelimitedByClose: boolean): void {
    const { socket } = this.place
    this.flush()
    this.#uncork()
    if (isDelimitedByClose) endAbruptly(socket)
    else endLingering(socket)
  }

  /** The client has left while the connection is still there: an answer that is not whole will not be. */
  left(): void {
    if (!this.#hasEnded) this.closed()
  }

  /** The connection is gone. */
  closed(): void {
    if (this.isFinished || this.#isClosed) return
    this.#isClosed = true
    this.#isWaiting = false
    this.events?.onClosed()
  }

  readonly #fail: Fail = thrown => {
    if (this.events === undefined) throw thrown
    this.events.onFault(thrown)
  }

  readonly #finish = guarded(this.#fail, (error?: Error | null): void => {
    if ((error ?? undefined) !== undefined || this.isFinished || this.#isClosed || this.place.socket.destroyed) return // its `close` tells
    this.isFinished = true
    this.events?.onClosed()
    this.place.onAnswered(this.#isLast)
  })
}

function lineOf(name: string, value: string): string {
  if (!NAME.test(name)) throw new TypeError(`a field named ${JSON.stringify(name.slice(0, 60))}`)
  if (BAD_IN_VALUE.test(value)) throw new TypeError(`a forbidden character in ${name}`)
  return `${name}: ${value}${LINE_END}`
}
