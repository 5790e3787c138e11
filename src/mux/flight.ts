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
/** A mark follows after at least this many bytes, and eight of them fit into the limit. */
const MIN_MARK_BYTES = 32_768
/** What a mark keeps of the best rate before it. */
const RATE_KEPT = 0.99
/** The smallest round trip is forgotten after this time: routes change. */
const MIN_ROUND_TRIP_LASTS_MS = 10_000

/**
 * How much of what was sent may be on its way. Kernels queue megabytes at each end of a connection, and a small answer would wait
 * behind all of it: on a link of 10 Mbit/s for seconds. So the bytes in flight are limited to what the link delivers in one round trip
 * and ten milliseconds. While no queue builds up the limit doubles with each round trip, as in TCP's slow start; when one does, it
 * becomes the measured rate times the smallest round trip and the target (as BBR and LEDBAT do it).
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

  constructor(private readonly clock: () => number) {}

  /** Bytes that may still be sent before something is delivered; 0 when they are too few for a message of their own. */
  get roomBytes(): number {
    const room = this.#limitBytes - (this.#sentBytes - this.#deliveredBytes)
    return room * 8 < this.#limitBytes ? 0 : room
  }

  /** Bytes that may be in flight at the moment. */
  get limitBytes(): number {
    return this.#limitBytes
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
    const dueBytes = Math.max(MIN_MARK_BYTES, this.#limitBytes / 8)
    return this.#sentBytes - this.#markedBytes >= dueBytes ? this.#mark() : undefined
  }

  /** There is no room: returns the payload of a mark when none is under way that could tell of any. */
  block(): Buffer | undefined {
    this.#wasFull = true
    return this.#marks.length === 0 ? this.#mark() : undefined
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
    this.#adapt(newBytes, Math.max(now - mark.atMs, 0.01), (sentBytes - mark.deliveredBytes) / Math.max(now - mark.atMs, 0.01), now)
    return true
  }

  #adapt(newBytes: number, roundTripMs: number, bytesPerMs: number, now: number): void {
    if (roundTripMs <= this.#minRoundTripMs || now - this.#minSeenAtMs > MIN_ROUND_TRIP_LASTS_MS) {
      this.#minRoundTripMs = roundTripMs
      this.#minSeenAtMs = now
    }
    // The best of the last rounds: one that was held up elsewhere says nothing about the link.
    this.#bytesPerMs = Math.max(bytesPerMs, this.#bytesPerMs * RATE_KEPT)
    // Nor does one in which there was less to send than might have been.
    if (!this.#wasFull) return
    this.#wasFull = false
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
