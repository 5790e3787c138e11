import { TokenBucket } from '../rates/token-bucket.ts'
import { RateEstimate, StallEstimate } from './rate-estimate.ts'

/** A mark in the stream of bytes: a PING whose PONG says that all bytes before it have been read by the peer. */
interface Mark {
  /** Bytes sent before the mark. */
  readonly sentBytes: number
  readonly atMs: number
  /** Bytes known to be delivered when the mark was sent, and since when. */
  readonly deliveredBytes: number
  readonly deliveredAtMs: number
  /** Data waited when it was sent, or has waited since the mark before. */
  readonly isFull: boolean
  /** Nothing but a small message was under way: its round trip is that of the link, without any queue. */
  readonly isAlone: boolean
}

/** Data in flight adds at most about this much delay for what is sent next, milliseconds; on longer ways a part of the round trip. */
const TARGET_QUEUE_MS = 10
const TARGET_QUEUE_PART = 1 / 4
/** Nothing is known yet of a fresh link: a quarter of a second on the slowest one that is usable. */
const FIRST_LIMIT_BYTES = 2_048
const MIN_LIMIT_BYTES = 1_536
const MAX_LIMIT_BYTES = 33_554_432
/** Below this limit an acknowledgement takes its time. */
const SLOW_LIMIT_BYTES = 16_384
/** A message has at least this many bytes when there is so much to send, however slow the link. */
const MIN_MESSAGE_BYTES = 512
/** So many messages fit into the limit, as each is a queue of its own; but none needs to be shorter than what leaves in this time. */
const MESSAGES = 32
const MESSAGE_MS = 2
/** So many marks fit into the limit, as what was delivered since the last one counts as in flight; but no more than one in so much time. */
const MARKS = 32
const MARK_EVERY_MS = 2
/** A mark follows after so many bytes at least, or the bytes of two milliseconds: a link that becomes slow shows progress. */
const MAX_MARK_BYTES = 131_072
/** Where a round trip takes less than some milliseconds, fewer marks do, and a flight that is full sends one in any case. */
const MARKS_PER_SECOND = 1_000
const MARKS_AT_ONCE = 100
/** A link without a pause for as long has its smallest round trip measured afresh: routes change. */
const MIN_ROUND_TRIP_LASTS_MS = 10_000
/** After a pause as long as this the first message measures the round trip, and is small: on a slow link it would measure itself. */
const PAUSE_MS = 1_000
const ALONE_BYTES = 1_024
/** A round trip longer than the smallest one by this part or time confirms it. */
const SAME_PART = 1.05
const SAME_MS = 0.5
/** A queue that should be shorter, and is not for as long, may be a longer way, or a busy end. */
const SUSPECT_QUEUES = 1.25
const SUSPECT_MS = 150
/** A queue of so many targets stops all growth at once. */
const STOP_QUEUES = 3
/** The limit grows by this part in the first round after one without a queue, twice as much in the second, and then doubles. */
const FIRST_GROWTH = 1 / 4
const MAX_GROWTH = 2
/** A round in which the rate has risen so much goes on to grow, queue or not: the link took more, and its ends may be busy. */
const RISEN_FACTOR = 9 / 8
/** The shortest time between two such doubts, at first; each that was wrong doubles it. */
const FIRST_DOUBT_MS = 1_000
/** And never shorter than so many round trips, since the link is idle for one of them. */
const DOUBT_ROUND_TRIPS = 20
/** A rate that has fallen to this part since the queue is too long has fallen because of the limit: it is doubted at once. */
const FALLEN_PART = 1 / 2

/**
 * The limit for bytes in flight. Kernels queue megabytes at each end of a connection, and a small answer would wait behind all of it: on a
 * link of 10 Mbit/s for seconds. So the bytes in flight are limited to what the link delivers in one round trip and ten milliseconds:
 * measured rate times the smallest round trip and the target, as BBR and LEDBAT do it. While no queue at all builds up the limit doubles
 * with each round trip, as in TCP's slow start. Where answers stand still and then come together, ends are busy: what the link carries in such
 * a time may be in flight as well, and is no queue.
 *
 * A flight that is always full never sees a link without a queue. So it waits until all is delivered, and measures with a small
 * message alone: after ten seconds without a pause, and when there is a queue that the limit should have let run empty, which is how a
 * longer way looks, and a busy end. Between the latter two only the rate tells: with a limit that is too small for the way it falls, the limit
 * with it, and so on, so a rate that falls while the queue stays is measured at once, however often a busy end was taken for a longer way.
 */
export class Flight {
  readonly #rate = new RateEstimate()
  readonly #stalls = new StallEstimate()
  #limitBytes: number
  #sentBytes = 0
  #deliveredBytes = 0
  #deliveredAtMs = 0
  #markedBytes = 0
  readonly #markRate: TokenBucket
  /** Data waited in the current round. */
  #wasFull = false
  #roundEndBytes = 0
  #roundQueueMs = Infinity
  /** The rate when the round began. */
  #roundBytesPerMs = 0
  /** The bytes that the limit gains for each byte that is delivered; 0 while it follows the measured rate. */
  #growth = MAX_GROWTH
  #minRoundTripMs = Infinity
  #minSeenAtMs = 0
  #marks: Mark[] = []
  /** Bytes that must be delivered before the round trip is measured afresh; -1 when it need not be. */
  #drainBytes = -1
  #sentAtMs = -Infinity
  #suspectSinceMs = -1
  #suspectBytesPerMs = 0
  #doubtedAtMs = -Infinity
  #doubtAfterMs = FIRST_DOUBT_MS

  /**
   * @param clock  milliseconds, rising
   * @param firstLimitBytes  what the link is known to take before anything was measured; it may turn out to be wrong
   */
  constructor(
    private readonly clock: () => number,
    firstLimitBytes = FIRST_LIMIT_BYTES,
  ) {
    this.#limitBytes = firstLimitBytes
    this.#markRate = new TokenBucket(MARKS_PER_SECOND, MARKS_AT_ONCE, clock)
  }

  /** Bytes of bulk that may still be sent before something is delivered; 0 when they are too few for a message of their own. */
  get roomBytes(): number {
    if (this.#drainBytes >= 0) return this.#isProbeDue ? Math.min(this.messageBytes, ALONE_BYTES) : 0
    const room = this.#limitBytes - this.inFlightBytes
    return room < Math.max(this.#limitBytes / MARKS, Math.min(MIN_MESSAGE_BYTES, this.#limitBytes / 2)) ? 0 : room
  }

  /** The same for small answers, which on a slow link do not wait until some bulk in flight has arrived. */
  get expressBytes(): number {
    if (this.#drainBytes >= 0 || this.#limitBytes >= SLOW_LIMIT_BYTES) return this.roomBytes
    return Math.max(0, Math.floor(this.#limitBytes + Math.max(MIN_MESSAGE_BYTES, this.#limitBytes / 4)) - this.inFlightBytes)
  }

  /** Bytes that one message should have at most. */
  get messageBytes(): number {
    const most = Math.floor(Math.max(MIN_MESSAGE_BYTES, this.#limitBytes / MESSAGES, this.#rate.bytesPerMs * MESSAGE_MS))
    return this.#isAfterPause(this.clock()) ? Math.min(most, ALONE_BYTES) : most
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
    const now = this.clock()
    const isProbe = this.#isProbeDue
    const isAlone = isProbe || (this.#isAfterPause(now) && bytes <= ALONE_BYTES)
    if (this.inFlightBytes === 0) this.#deliveredAtMs = now
    this.#sentBytes += bytes
    this.#sentAtMs = now
    if (!isAlone && !this.#isMarkDue()) return undefined
    const mark = this.#mark(isAlone)
    // What follows it cannot delay its answer.
    if (isProbe) this.#drainBytes = -1
    return mark
  }

  /** There is no room: returns the payload of a mark when none is under way that could tell of any. */
  block(): Buffer | undefined {
    this.#wasFull = true
    return this.#marks.length > 0 ? undefined : this.#mark(false)
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
    this.#deliveredAtMs = now
    const roundTripMs = Math.max(now - mark.atMs, 0.01)
    const elapsedMs = Math.max(now - mark.deliveredAtMs, 0.01)
    this.#rate.add((sentBytes - mark.deliveredBytes) / elapsedMs, { isFull: mark.isFull, nowMs: now, roundTripMs: this.#minRoundTripMs })
    const { bytesPerMs } = this.#rate
    this.#stalls.add({ nowMs: now, newBytes, deliveredBytes: sentBytes, bytesPerMs, roundTripMs, minRoundTripMs: this.#minRoundTripMs })
    if (mark.isAlone) this.#measured(roundTripMs, now)
    if (this.#drainBytes < 0) this.#adapt({ newBytes, flightBytes: sentBytes - mark.deliveredBytes, roundTripMs, now })
    return true
  }

  /** A round trip without a queue. */
  #measured(roundTripMs: number, now: number): void {
    const isOld = roundTripMs <= this.#minRoundTripMs * 1.25 + TARGET_QUEUE_MS / 2
    this.#doubtAfterMs = isOld ? Math.min(this.#doubtAfterMs * 2, MIN_ROUND_TRIP_LASTS_MS) : FIRST_DOUBT_MS
    // Another way: it is tried out as a fresh one.
    if (!isOld) this.#beginRounds(MAX_GROWTH)
    this.#minRoundTripMs = roundTripMs
    this.#minSeenAtMs = now
    this.#suspectSinceMs = -1
  }

  /** @param flightBytes  that were in flight when the mark that was answered left */
  #adapt({ newBytes, flightBytes, roundTripMs, now }: Record<'newBytes' | 'flightBytes' | 'roundTripMs' | 'now', number>): void {
    if (roundTripMs <= this.#minRoundTripMs * SAME_PART + SAME_MS) this.#minSeenAtMs = now
    this.#minRoundTripMs = Math.min(roundTripMs, this.#minRoundTripMs)
    const targetMs = Math.max(TARGET_QUEUE_MS, this.#minRoundTripMs * TARGET_QUEUE_PART) + this.#stalls.ms
    const queueMs = roundTripMs - this.#minRoundTripMs
    this.#roundQueueMs = Math.min(this.#roundQueueMs, queueMs)
    const wasFull = this.#wasFull
    if (this.#deliveredBytes >= this.#roundEndBytes) this.#endRound(targetMs)
    if (queueMs > STOP_QUEUES * targetMs) this.#growth = 0
    // And a message more: what is left of the limit below one is not used, and a rate that was measured so would never rise again.
    const fittingBytes = this.#rate.bytesPerMs * (this.#minRoundTripMs + targetMs) + MIN_MESSAGE_BYTES
    // Where there was less to send than might have been nothing is learnt about how much more the link would take.
    if (this.#growth > 0) this.#limitBytes += wasFull ? newBytes * this.#growth : 0
    else if (wasFull) this.#limitBytes = fittingBytes
    else if (flightBytes > fittingBytes) this.#limitBytes = Math.min(this.#limitBytes, fittingBytes)
    this.#limitBytes = Math.floor(Math.max(MIN_LIMIT_BYTES, Math.min(MAX_LIMIT_BYTES, this.#limitBytes)))
    if (this.#isDoubtful(queueMs, targetMs, roundTripMs, now)) this.#drainBytes = this.#sentBytes
  }

  /**
   * Ends a round: everything that left in one round trip has arrived. A burst queues behind itself, so it is the shortest queue of a round
   * that counts: where there was one all the time the link was never idle; where there was none it takes more than was tried.
   */
  #endRound(targetMs: number): void {
    if (this.#roundQueueMs > targetMs / 4)
      this.#beginRounds(this.#wasFull && this.#rate.bytesPerMs > this.#roundBytesPerMs * RISEN_FACTOR ? FIRST_GROWTH : 0)
    else if (this.#wasFull) this.#beginRounds(this.#growth === 0 ? FIRST_GROWTH : Math.min(MAX_GROWTH, this.#growth * 2))
    else this.#beginRounds(this.#growth)
  }

  #beginRounds(growth: number): void {
    this.#growth = growth
    this.#wasFull = false
    this.#roundQueueMs = Infinity
    this.#roundEndBytes = this.#sentBytes
    this.#roundBytesPerMs = this.#rate.bytesPerMs
  }

  /** Is it time to measure the smallest round trip afresh? */
  #isDoubtful(queueMs: number, targetMs: number, roundTripMs: number, now: number): boolean {
    if (now - this.#minSeenAtMs > MIN_ROUND_TRIP_LASTS_MS) return true
    if (queueMs <= SUSPECT_QUEUES * targetMs) this.#suspectSinceMs = -1
    else if (this.#suspectSinceMs < 0) {
      this.#suspectSinceMs = now
      this.#suspectBytesPerMs = this.#rate.bytesPerMs
    } else if (now - this.#suspectSinceMs > Math.max(SUSPECT_MS, roundTripMs)) {
      const hasFallen = this.#rate.bytesPerMs <= this.#suspectBytesPerMs * FALLEN_PART
      if (!hasFallen && now - this.#doubtedAtMs <= Math.max(this.#doubtAfterMs, DOUBT_ROUND_TRIPS * roundTripMs)) return false
      this.#doubtedAtMs = now
      return true
    }
    return false
  }

  /** Marks are answered, each with a message of its own, and a peer calls too many of them a flood. */
  #isMarkDue(): boolean {
    const bytes = this.#sentBytes - this.#markedBytes
    const rateBytes = this.#rate.bytesPerMs * MARK_EVERY_MS
    if (bytes < Math.max(Math.min(this.#limitBytes / MARKS, MAX_MARK_BYTES), rateBytes, MIN_MESSAGE_BYTES)) return false
    return this.#markRate.take()
  }

  get #isProbeDue(): boolean {
    return this.#drainBytes >= 0 && this.#deliveredBytes >= this.#drainBytes
  }

  #isAfterPause(now: number): boolean {
    return this.inFlightBytes === 0 && now - this.#sentAtMs >= PAUSE_MS
  }

  /** Marks are negative numbers, so that they differ from the PINGs of liveness. */
  #mark(isAlone: boolean): Buffer {
    // Two marks without a byte between them would be the same number.
    if (this.#sentBytes === this.#markedBytes) this.#sentBytes++
    this.#markedBytes = this.#sentBytes
    this.#marks.push({
      sentBytes: this.#sentBytes,
      atMs: this.clock(),
      deliveredBytes: this.#deliveredBytes,
      deliveredAtMs: this.#deliveredAtMs,
      isFull: this.#wasFull,
      isAlone,
    })
    const payload = Buffer.allocUnsafe(8)
    payload.writeDoubleBE(-this.#sentBytes)
    return payload
  }
}
