import { DEFAULT_LIMITS } from '../../mux/limits.ts'

/** Bytes that may have left: as many as an inner layer gets before it has looked at the stream, so that what it refuses can always move. */
const MAX_SENT_BYTES = DEFAULT_LIMITS.windowBytes
const FIRST_BYTES = 4_096

/**
 * The beginning of an upload, so that a request can move to another inner layer while all of it is still known. It is one piece of
 * memory however many chunks came: a chunk of one byte costs one byte. What came and has not left does not count: the queue of the stream
 * bounds it.
 */
export class ReplayBuffer {
  #memory: Buffer | undefined
  #bytes = 0
  #isIncomplete = false
  /** The upload is complete. */
  hasEnded = false

  /** Everything so far; empty when it was too much to keep. What is added later does not change it. */
  get bytes(): Buffer {
    return this.#memory?.subarray(0, this.#bytes) ?? Buffer.alloc(0)
  }

  /** True when so much has left that the request cannot be sent again. */
  get isIncomplete(): boolean {
    return this.#isIncomplete
  }

  /** @param bytes  that have left for the inner layer that has the request now */
  sent(bytes: number): void {
    if (bytes <= MAX_SENT_BYTES) return
    this.#isIncomplete = true
    this.#memory = undefined
    this.#bytes = 0
  }

  add(chunk: Buffer): void {
    if (this.#isIncomplete) return
    const bytes = this.#bytes + chunk.length
    if (this.#memory === undefined || this.#memory.length < bytes) this.#grow(bytes)
    chunk.copy(this.#memory!, this.#bytes)
    this.#bytes = bytes
  }

  /** A chunk that is all there is, as most uploads are, gets no more than it needs. */
  #grow(bytes: number): void {
    const size = this.#memory === undefined ? bytes : Math.max(bytes, this.#memory.length * 2, FIRST_BYTES)
    const larger = Buffer.allocUnsafeSlow(size)
    this.#memory?.copy(larger, 0, 0, this.#bytes)
    this.#memory = larger
  }
}
