import { GatewayError } from '../errors.ts'

/** Bytes by which all windows of a process together may grow beyond their initial size. */
export class GrowthBudget {
  #left: number

  constructor(readonly totalBytes: number) {
    this.#left = totalBytes
  }

  /** Bytes not lent at the moment. */
  get leftBytes(): number {
    return this.#left
  }

  /** Lends `bytes`, all or nothing. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  /** Takes back what was lent. */
  give(bytes: number): void {
    this.#left += bytes
  }
}

/** Largest window, bytes: 16 MiB carry 160 MB/s at 100 ms. */
export const MAX_WINDOW_BYTES = 16 * 1_048_576
/** Shorter round trips count as this one, so that a local link with a busy event loop may grow its windows too. */
const MIN_ROUND_TRIP_MS = 2

/** What a window needs of its surroundings. */
export interface WindowContext {
  readonly budget: GrowthBudget
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Round trip of the link, milliseconds. */
  readonly roundTripMs: () => number
  /** Called with bytes that the peer may now send in addition. */
  readonly grant: (bytes: number) => void
}

/**
 * Credit the peer may still spend on one stream. The window doubles when a whole window was consumed within two round trips: then
 * the window, not the reader, is what holds the stream back.
 * @throws GatewayError FLOW_EXCEEDED from `received`, when the peer spends credit it was not lent
 */
export class ReceiveWindow {
  #size: number
  #left: number
  #owed = 0
  #grown = 0
  #cycleBytes = 0
  #cycleStartMs = -1

  constructor(
    initialBytes: number,
    private readonly context: WindowContext,
  ) {
    this.#size = initialBytes
    this.#left = initialBytes
  }

  /** Current size, bytes. */
  get size(): number {
    return this.#size
  }

  /** The peer has sent `bytes`. */
  received(bytes: number): void {
    this.#left -= bytes
    if (this.#left < 0) throw new GatewayError('FLOW_EXCEEDED', `${-this.#left} bytes over the window`)
    if (this.#cycleStartMs < 0) this.#cycleStartMs = this.context.clock()
  }

  /** The consumer has taken `bytes`. A CREDIT per DATA would double the frames, so credit goes back a quarter window at a time. */
  consumed(bytes: number): void {
    this.#owed += bytes
    if (this.#owed * 4 < this.#size) return
    const owed = this.#owed
    this.#owed = 0
    this.#grantTo(owed + this.#growth(owed))
  }

  /** Returns what was borrowed from the budget; the window is not used afterwards. */
  close(): void {
    this.context.budget.give(this.#grown)
    this.#grown = 0
  }

  #grantTo(bytes: number): void {
    this.#left += bytes
    this.context.grant(bytes)
  }

  #growth(owed: number): number {
    this.#cycleBytes += owed
    if (this.#cycleBytes < this.#size) return 0
    const now = this.context.clock()
    const elapsedMs = now - this.#cycleStartMs
    this.#cycleBytes = 0
    this.#cycleStartMs = now
    const more = Math.min(this.#size, MAX_WINDOW_BYTES - this.#size)
    const isHeldBack = elapsedMs <= 2 * Math.max(this.context.roundTripMs(), MIN_ROUND_TRIP_MS)
    if (!isHeldBack || more === 0 || !this.context.budget.take(more)) return 0
    this.#grown += more
    this.#size += more
    return more
  }
}
