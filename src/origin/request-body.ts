import { ByteQueue } from '../mux/byte-queue.ts'
import type { MuxStream } from '../mux/stream.ts'

/** Where a body is written to. */
export interface BodySink {
  /** Takes all that has come. @param done  to be called once, when it has left this process */
  write(chunks: readonly Buffer[], bytes: number, done: () => void): void
  /** Nothing follows. */
  end(trailers: readonly string[]): void
}

/** The body of one request. Credit goes back when the origin's socket has taken the bytes, not when they arrive. */
export class RequestBody {
  readonly #queue = new ByteQueue()
  #sentBytes = 0
  #sink: BodySink | undefined
  #hasEnded = false
  #isOver = false
  /** Fields of a trailer section, known once the body has ended. */
  trailers: string[] | undefined
  readonly #done = (): void => this.#taken()

  constructor(private readonly stream: MuxStream) {}

  /** True when a part of it, or its end, has come. */
  get hasBegun(): boolean {
    return this.#hasEnded || this.#queue.bytes > 0 || this.#sentBytes > 0
  }

  /** Bytes came. */
  receive(chunk: Buffer): void {
    if (this.#isOver) return
    this.#queue.push(chunk)
    this.#pump()
  }

  /** No more bytes come. */
  finish(): void {
    this.#hasEnded = true
    this.#pump()
  }

  /** The whole body, when it has arrived already; what came is consumed by this call. */
  takeWhole(): Buffer | undefined {
    if (!this.#hasEnded || this.trailers !== undefined) return undefined
    const pieces = this.#queue.bytes === 0 ? [] : this.#queue.take(this.#queue.bytes)
    const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
    this.stream.consumed(whole.length)
    return whole
  }

  /** Writes what has come and what comes to `sink`. */
  sendTo(sink: BodySink): void {
    this.#sink = sink
    this.#pump()
  }

  /** Drops the rest, which is no longer wanted. */
  destroy(): void {
    this.#isOver = true
    this.#sink = undefined
    this.#queue.clear()
  }

  #pump(): void {
    const sink = this.#sink
    if (sink === undefined || this.#sentBytes > 0) return
    if (this.#queue.bytes > 0) {
      this.#sentBytes = this.#queue.bytes
      sink.write(this.#queue.take(this.#sentBytes), this.#sentBytes, this.#done)
    }
    if (!this.#hasEnded || this.#isOver) return
    this.#sink = undefined
    sink.end(this.trailers ?? [])
  }

  #taken(): void {
    const taken = this.#sentBytes
    this.#sentBytes = 0
    this.stream.consumed(taken)
    this.#pump()
  }
}
