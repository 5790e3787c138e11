import { ByteQueue, ownBytes } from '../mux/byte-queue.ts'
import type { MuxStream } from '../mux/stream.ts'

/** The most of a body that is kept so that it can be written again, bytes. */
const MAX_KEPT_BYTES = 16_384

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
  /** What has been written, as long as all of it is to be kept. */
  #kept: Buffer[] | undefined
  #keptBytes = 0
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

  /** Keeps what is written from now on, as long as it is little, so that another sink can get all of it. */
  keep(): void {
    this.#kept = []
  }

  /** The sink is gone, and calls back no more; `sendTo` begins anew. @returns false when not all is known any more, or is to be dropped */
  rewind(): boolean {
    if (this.#kept === undefined || this.#isOver) return false
    this.#sink = undefined
    const written = this.#sentBytes
    this.#sentBytes = 0
    this.stream.consumed(written)
    return true
  }

  /** Writes what has come and what comes to `sink`. */
  sendTo(sink: BodySink): void {
    this.#sink = sink
    const kept = this.#kept
    this.#kept = undefined
    if (this.#keptBytes > 0 && kept !== undefined) sink.write(kept, this.#keptBytes, () => undefined)
    else this.#kept = kept
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
      const pieces = this.#queue.take(this.#sentBytes)
      this.#remember(pieces, this.#sentBytes)
      sink.write(pieces, this.#sentBytes, this.#done)
    }
    if (!this.#hasEnded || this.#isOver) return
    this.#sink = undefined
    sink.end(this.trailers ?? [])
  }

  #remember(pieces: readonly Buffer[], bytes: number): void {
    if (this.#kept === undefined) return
    this.#keptBytes += bytes
    if (this.#keptBytes <= MAX_KEPT_BYTES) this.#kept.push(...pieces.map(ownBytes))
    else this.#kept = undefined
  }

  #taken(): void {
    const taken = this.#sentBytes
    this.#sentBytes = 0
    this.stream.consumed(taken)
    this.#pump()
  }
}
