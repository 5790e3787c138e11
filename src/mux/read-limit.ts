/** The most that one read of a socket may bring, bytes. */
const READ_BYTES = 65_536
/** Bytes of all streams together that wait for the link before fewer of them read on. */
const MAX_QUEUED_BYTES = 524_288

/** The part of a window below which another read is hardly worth its memory. */
const LEAST_CREDIT_PART = 1 / 16

/** Bytes of credit beyond its queue with which a stream reads that was never told to pause: of its first read of 64 KiB all but the head of a request has credit. */
export const creditToRead = (windowBytes: number): number => Math.max(1, Math.floor(windowBytes * LEAST_CREDIT_PART))

/** A stream that was told to pause reads on with so much credit, and leaves less unused meanwhile. */
export const MIN_CREDIT_BYTES = 45_056
const MIN_CREDIT_PART = 11 / 16

/**
 * Bytes of credit beyond its queue with which a stream reads on after a pause: what of a read has no credit waits in memory, for each of
 * hundreds of streams whose readers stand still. A peer owes a quarter of the window at most, so there will be so much.
 */
export const creditToReadOn = (windowBytes: number): number => Math.min(MIN_CREDIT_BYTES, Math.ceil(windowBytes * MIN_CREDIT_PART))

/** The part of a stream that a limit uses. */
export interface LimitedStream {
  /** Reads on, if it still may. */
  goOn(): void
}

/**
 * Lets the streams of a session read on a few at a time. Each may queue what a read brings; hundreds that have found room at the same moment
 * would read megabytes in one turn, which then wait for the link. What waits for the credit of its own stream is not counted here: a reader
 * that stands still holds up nobody else.
 */
export class ReadLimit {
  #queuedBytes = 0
  /** Streams that went on in this turn, and have not read yet. */
  #admitted = 0
  readonly #waiting = new Set<LimitedStream>()
  #immediate: NodeJS.Immediate | undefined

  /** Bytes that could leave have changed by `bytes`. */
  changed(bytes: number): void {
    this.#queuedBytes += bytes
    if (bytes < 0 && this.#waiting.size > 0) this.#turnSoon()
  }

  /** May `stream`, which was not told to pause, read more? If not, its `goOn` is called once there is room. */
  mayRead(stream: LimitedStream): boolean {
    if (this.#hasRoom) return true
    this.#waiting.add(stream)
    return false
  }

  /** May `stream` read on now? If not, its `goOn` is called once there is room. */
  admits(stream: LimitedStream): boolean {
    if (this.#waiting.size > 0 || !this.#hasRoom) {
      this.#waiting.add(stream)
      this.#turnSoon()
      return false
    }
    this.#admitted++
    this.#turnSoon()
    return true
  }

  /** The stream is over. */
  forget(stream: LimitedStream): void {
    if (this.#waiting.size > 0) this.#waiting.delete(stream)
  }

  /** Nothing is called any more. */
  close(): void {
    this.#waiting.clear()
    if (this.#immediate !== undefined) clearImmediate(this.#immediate)
  }

  get #hasRoom(): boolean {
    return this.#queuedBytes + this.#admitted * READ_BYTES < MAX_QUEUED_BYTES
  }

  #turnSoon(): void {
    this.#immediate ??= setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#immediate = undefined
    this.#admitted = 0
    for (const stream of this.#waiting) {
      if (!this.#hasRoom) break // what leaves comes back here as well
      this.#waiting.delete(stream)
      this.#admitted++
      stream.goOn()
    }
    if (this.#admitted > 0) this.#turnSoon()
  }
}
