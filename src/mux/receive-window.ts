import { GatewayError } from '../errors.ts'
import { MIN_CREDIT_BYTES } from './read-limit.ts'

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

/** Bytes that came in less time came in one turn of the event loop, which says nothing about their rate. */
const MIN_CYCLE_MS = 1

/** A window grows at most by this factor at a time. */
const MAX_FACTOR = 8

/** A peer with less credit than it needs to read on, and of which nothing came for this part of a round trip, waits for more. */
const WAITING_PART = 1 / 4
/** A peer with less credit than this cannot fill a frame, bytes. */
const STARVED_BYTES = 16_384
/** A reader that takes its bytes within this time keeps up, however short the round trip. */
const MIN_HELD_MS = 10
/**
 * A window holds no more than so many times what came in one round trip, gaps and a queue of ten milliseconds included: bytes come in
 * bursts, and where a process is busy their rate within a burst is many times that which a larger window could bring.
 */
const MAX_ROUND_TRIPS = 4
const QUEUE_MS = 10

/** The surroundings that a window uses. */
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
 * Credit the peer may still spend on one stream. The window grows to twice what the link carries in one round trip while the peer has
 * credit, and by what one that waits leaves unused, at most eightfold at a time: below that the window holds the stream back. It never grows for a reader that does not keep up.
 * @throws GatewayError FLOW_EXCEEDED from `received`, when the peer spends credit it was not lent
 */
export class ReceiveWindow {
  #size: number
  #left: number
  #owed = 0
  #grown = 0
  #unconsumed = 0
  // Of the current cycle, which lasts until half a window was consumed:
  #cycleBytes = 0
  #cycleMs = 0
  #cycleGapMs = 0
  #cycleHeldMs = 0
  #cycleHasWaited = false
  #arrivedAtMs = -1
  #isStarved = true
  #mayWait = false
  /** Credit granted less than a round trip ago, which the peer cannot have used yet. */
  #unseen: { readonly atMs: number; readonly bytes: number }[] = []
  #heldSinceMs = 0

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
    const now = this.context.clock()
    if (this.#unconsumed === 0) this.#heldSinceMs = now
    this.#unconsumed += bytes
    // A gap in which the peer had no credit is the doing of this window, and no measure of what the link and the peer can do.
    const gapMs = this.#arrivedAtMs < 0 ? 0 : now - this.#arrivedAtMs
    if (this.#isStarved) this.#cycleGapMs += gapMs
    else this.#cycleMs += gapMs
    this.#arrivedAtMs = now
    this.#cycleHasWaited ||= this.#mayWait && gapMs >= WAITING_PART * this.#roundTripMs()
    const creditBytes = this.#left - this.#unseenCredit(now)
    this.#isStarved = creditBytes < STARVED_BYTES
    this.#mayWait = creditBytes < MIN_CREDIT_BYTES
  }

  /** The consumer has taken `bytes`. A CREDIT per DATA would double the frames, so credit goes back a quarter window at a time. */
  consumed(bytes: number): void {
    this.#owed += bytes
    this.#cycleHeldMs = Math.max(this.#cycleHeldMs, this.context.clock() - this.#heldSinceMs)
    this.#unconsumed -= bytes
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
    this.#unseen.push({ atMs: this.context.clock(), bytes })
    this.context.grant(bytes)
  }

  #unseenCredit(now: number): number {
    const since = now - this.#roundTripMs()
    let bytes = 0
    let seen = 0
    for (const grant of this.#unseen) {
      if (grant.atMs < since) seen++
      else bytes += grant.bytes
    }
    if (seen > 0) this.#unseen.splice(0, seen)
    return bytes
  }

  #growth(owed: number): number {
    this.#cycleBytes += owed
    if (this.#cycleBytes * 2 < this.#size) return 0
    const isReadInTime = this.#cycleHeldMs * 2 <= Math.max(this.#roundTripMs(), MIN_HELD_MS)
    const bytesPerMs = this.#cycleBytes / Math.max(this.#cycleMs, MIN_CYCLE_MS)
    const realBytesPerMs = this.#cycleBytes / Math.max(this.#cycleMs + this.#cycleGapMs, MIN_CYCLE_MS)
    this.#cycleBytes = 0
    this.#cycleMs = 0
    this.#cycleGapMs = 0
    this.#cycleHeldMs = 0
    const unusedBytes = this.#cycleHasWaited ? MIN_CREDIT_BYTES : 0
    this.#cycleHasWaited = false
    if (!isReadInTime) return 0
    const { budget } = this.context
    const roundTripMs = this.#roundTripMs()
    const wanted = Math.min(2 * bytesPerMs * roundTripMs, MAX_ROUND_TRIPS * realBytesPerMs * (roundTripMs + QUEUE_MS)) + unusedBytes
    const more = Math.floor(Math.min(wanted - this.#size, (MAX_FACTOR - 1) * this.#size, MAX_WINDOW_BYTES - this.#size, budget.leftBytes))
    if (more * 4 < this.#size || !budget.take(more)) return 0
    this.#grown += more
    this.#size += more
    return more
  }

  #roundTripMs(): number {
    return Math.max(this.context.roundTripMs(), MIN_ROUND_TRIP_MS)
  }
}
