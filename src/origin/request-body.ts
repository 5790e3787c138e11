import { Readable } from 'node:stream'
import type { MuxStream } from '../mux/stream.ts'

/** The body of one request as a Readable. Credit goes back when the origin's socket has taken the bytes, not when they arrive. */
export class RequestBody extends Readable {
  #queue: Buffer[] = []
  #handedBytes = 0
  #isWanted = false
  #hasEnded = false
  /** Fields of a trailer section, known once the body has ended. */
  trailers: string[] | undefined

  constructor(private readonly stream: MuxStream) {
    // One chunk at a time: `_read` then means that the one before has been taken.
    super({ highWaterMark: 1 })
  }

  /** True when a part of it, or its end, has come. */
  get hasBegun(): boolean {
    return this.#hasEnded || this.#queue.length > 0 || this.#handedBytes > 0
  }

  /** Bytes came. */
  receive(chunk: Buffer): void {
    // What has to wait, here or in the socket of the origin, must not hold the whole message that it came in.
    this.#queue.push(chunk.length * 2 < chunk.buffer.byteLength ? Buffer.from(chunk) : chunk)
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
    const whole = this.#queue.length === 1 ? this.#queue[0]! : Buffer.concat(this.#queue)
    this.#queue = []
    this.stream.consumed(whole.length)
    return whole
  }

  override _read(): void {
    this.#isWanted = true
    const taken = this.#handedBytes
    this.#handedBytes = 0
    this.stream.consumed(taken)
    this.#pump()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#queue = []
    callback(error)
  }

  #pump(): void {
    if (!this.#isWanted || this.destroyed) return
    const chunk = this.#queue.shift()
    if (chunk === undefined) {
      if (this.#hasEnded) this.push(null)
      return
    }
    this.#isWanted = false
    this.#handedBytes = chunk.length
    this.push(chunk)
  }
}
