/** A mark in the stream of bytes: a PING whose PONG says that all bytes before it have been read by the peer. */
interface Mark {
  /** Bytes sent before the mark. */
  readonly sentBytes: number
  /** Bytes known to be delivered when the mark was sent. */
  readonly deliveredBytes: number
  readonly atMs: number
}

/** Data in flight adds at most about this much delay for what is sent next, milliseconds. */
const TARGET_QUEUE_MS = 10
const FIRST_LIMIT_BYTES = 524_288
const MIN_LIMIT_BYTES = 32_768
const MAX_LIMIT_BYTES = 33_554_432
/** A mark follows after at least this many bytes, and sixteen of them fit into the limit: what was delivered since the last one counts as in flight. */
const MIN_MARK_BYTES = 32_768
const MARKS = 16
/** What a mark keeps of the best rate before it. */
const RATE_KEPT = 0.99
/** After this time the smallest round trip is measured afresh: routes change. */
const MIN_ROUND_TRIP_LASTS_MS = 10_000
/** The first message after a pause as long as this measures the round trip of a link without a queue, if it has at most so many bytes. */
const PAUSE_MS = 1_000
const MAX_PAUSE_BYTES = 98_304
/** A round trip longer than the smallest one by this part or time confirms it. */
const SAME_PART = 1.05
const SAME_MS = 0.5

/**
 * How much of what was sent may be on its way. Kernels queue megabytes at each end of a connection, and a small answer would wait
 * behind all of it: on a link of 10 Mbit/s for seconds. So the bytes in flight are limited to what the link delivers in one round trip
 * and ten milliseconds. While no queue builds up the limit doubles with each round trip, as in TCP's slow start; when one does, it
 * becomes the measured rate times the smallest round trip and the target (as BBR and LEDBAT do it). A flight that is always full never
 * sees a link without a queue; so after ten seconds without a pause it waits until all is delivered, and measures with a mark alone.
 */
export class Flight {
  #limitBytes = FIRST_LIMIT_BYTES
  #sentBytes = 0
  #deliveredBytes = 0
  #markedBytes = 0
  #wasFull = false
  #bytesPerMs = 0
  #minRoundTripMs = Infinity
  #minSeenAtMs = 0
  #marks: Mark[] = []
  /** While the round trip is measured afresh: bytes that must be delivered first, then the bytes before the mark that measures. */
  #drainBytes = -1
  #probeBytes = -1
  #sentAtMs = -Infinity

  constructor(private readonly clock: () => number) {}

  /** Bytes that may still be sent before something is delivered; 0 when they are too few for a message of their own. */
  get roomBytes(): number {
    if (this.#drainBytes >= 0) return 0
    const room = this.#limitBytes - this.inFlightBytes
    return room * MARKS < this.#limitBytes ? 0 : room
  }

  /** Bytes that may be in flight at the moment. */
  get limitBytes(): number {
    return this.#limitBytes
  }

  /** Bytes sent and not known to be delivered. */
  get inFlightBytes(): number {
    return this.#sentBytes - this.#deliveredBytes
  }

  /** Bytes known to be delivered since the start. */
  get deliveredBytes(): number {
    return this.#deliveredBytes
  }

  /** A round trip that was measured while little was in flight, milliseconds. */
  observe(roundTripMs: number): void {
    if (roundTripMs > this.#minRoundTripMs) return
    this.#minRoundTripMs = roundTripMs
    this.#minSeenAtMs = this.clock()
  }

  /** A message of `bytes` leaves; returns the payload of the mark that must end it, when one is due. */
  send(bytes: number): Buffer | undefined {
    this.#sentBytes += bytes
    const now = this.clock()
    const isAfterPause = now - this.#sentAtMs >= PAUSE_MS && bytes <= MAX_PAUSE_BYTES
    this.#sentAtMs = now
    const dueBytes = Math.max(MIN_MARK_BYTES, this.#limitBytes / MARKS)
    return isAfterPause || this.#sentBytes - this.#markedBytes >= dueBytes ? this.#mark() : undefined
  }

  /** There is no room: returns the payload of a mark when none is under way that could tell of any. */
  block(): Buffer | undefined {
    this.#wasFull = true
    const isProbeDue = this.#drainBytes >= 0 && this.#probeBytes < 0 && this.#deliveredBytes >= this.#drainBytes
    if (this.#marks.length > 0 && !isProbeDue) return undefined
    const mark = this.#mark()
    if (isProbeDue) this.#probeBytes = this.#sentBytes
    return mark
  }

  /** A PONG: true when it answers a mark, so that there may be room again. */
  acknowledge(payload: Buffer): boolean {
    const sentBytes = -payload.readDoubleBE(0)
    const index = this.#marks.findIndex(mark => mark.sentBytes === sentBytes)
    if (index < 0) return false
    const mark = this.#marks[index]!
    this.#marks = this.#marks.slice(index + 1)
    const now = this.clock()
    const newBytes = sentBytes - this.#deliveredBytes
    this.#deliveredBytes = sentBytes
    const roundTripMs = Math.max(now - mark.atMs, 0.01)
    if (this.#drainBytes < 0) this.#adapt(newBytes, roundTripMs, (sentBytes - mark.deliveredBytes) / roundTripMs, now)
    else if (this.#probeBytes >= 0 && sentBytes >= this.#probeBytes) {
      this.#drainBytes = -1
      this.#probeBytes = -1
      this.#minRoundTripMs = roundTripMs
      this.#minSeenAtMs = now
    }
    return true
  }

  #adapt(newBytes: number, roundTripMs: number, bytesPerMs: number, now: number): void {
    if (roundTripMs <= this.#minRoundTripMs * SAME_PART + SAME_MS) this.#minSeenAtMs = now
    this.#minRoundTripMs = Math.min(roundTripMs, this.#minRoundTripMs)
    // The best of the last rounds: one that was held up elsewhere says nothing about the link.
    this.#bytesPerMs = Math.max(bytesPerMs, this.#bytesPerMs * RATE_KEPT)
    // Nor does one in which there was less to send than might have been.
    if (!this.#wasFull) return
    this.#wasFull = false
    if (now - this.#minSeenAtMs > MIN_ROUND_TRIP_LASTS_MS) this.#drainBytes = this.#sentBytes
    const targetMs = Math.max(TARGET_QUEUE_MS, this.#minRoundTripMs / 4)
    if (roundTripMs - this.#minRoundTripMs <= targetMs) this.#limitBytes = Math.min(MAX_LIMIT_BYTES, this.#limitBytes + newBytes)
    else {
      const fitting = Math.floor(this.#bytesPerMs * (this.#minRoundTripMs + targetMs))
      this.#limitBytes = Math.max(MIN_LIMIT_BYTES, Math.min(this.#limitBytes, fitting))
    }
  }

  /** Marks are negative numbers, so that they differ from the PINGs of liveness. */
  #mark(): Buffer {
    // Two marks without a byte between them would be the same number.
    if (this.#sentBytes === this.#markedBytes) this.#sentBytes++
    this.#markedBytes = this.#sentBytes
    this.#marks.push({ sentBytes: this.#sentBytes, deliveredBytes: this.#deliveredBytes, atMs: this.clock() })
    const payload = Buffer.allocUnsafe(8)
    payload.writeDoubleBE(-this.#sentBytes)
    return payload
  }
}
