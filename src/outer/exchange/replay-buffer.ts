import { ByteQueue, ownBytes } from '../../mux/byte-queue.ts'
import { DEFAULT_LIMITS } from '../../mux/limits.ts'

/** Bytes that may have left: as many as an inner layer gets before it has looked at the stream, so that what it refuses can always move. */
const MAX_SENT_BYTES = DEFAULT_LIMITS.windowBytes

/**
 * The beginning of an upload, so that a request can move to another inner layer while all of it is still known. What is large is the
 * memory that the queue of the stream holds as well, not a copy of it; what is small is gathered: a chunk of one byte costs about one byte.
 * What came and has not left does not count: that queue bounds it.
 */
export class ReplayBuffer {
  readonly #queue = new ByteQueue()
  #isIncomplete = false
  /** The upload is complete. */
  hasEnded = false
  /** The origin has taken some of it: it is refused no more, and can only be lost. So no more than would be kept after the next turn is kept now. */
  isTaken = false

  /** Everything so far; empty when it was too much to keep. What is added later does not change it. */
  get pieces(): readonly Buffer[] {
    return this.#queue.pieces
  }

  /** True when so much has left that the request cannot be sent again. */
  get isIncomplete(): boolean {
    return this.#isIncomplete
  }

  /** @param bytes  that have left for the inner layer that has the request now */
  sent(bytes: number): void {
    if (bytes > MAX_SENT_BYTES) this.#giveUp()
  }

  add(chunk: Buffer): void {
    if (this.isTaken && this.#queue.bytes + chunk.length > MAX_SENT_BYTES) this.#giveUp()
    if (!this.#isIncomplete) this.#queue.push(ownBytes(chunk))
  }

  #giveUp(): void {
    this.#isIncomplete = true
    this.#queue.clear()
  }
}
