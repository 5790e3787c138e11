/** The longest times of silence. */
export interface Timing {
  /** A PING is sent after this much silence, milliseconds. */
  readonly pingAfterMs: number
  /** The link is given up after this much time without a byte, or when bytes that were queued or sent make no progress for as long, milliseconds. */
  readonly deadAfterMs: number
}

/** The default: PING after 10 s, dead after 30 s. */
export const DEFAULT_TIMING: Timing = Object.freeze({ pingAfterMs: 10_000, deadAfterMs: 30_000 })

/** The part of a session that liveness uses. */
export interface LivenessContext {
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly ping: (payload: Buffer) => void
  /** Bytes that have come since the start; a slow link takes longer than any silence for a long message, and lives. */
  readonly receivedBytes: () => number
  /** Bytes that the link holds back. */
  readonly bufferedBytes: () => number
  /** Bytes that the link has passed on since the start. */
  readonly takenBytes: () => number
  /** Bytes that the peer has to acknowledge before more are sent; 0 while nothing waits for that. */
  readonly awaitedBytes: () => number
  /** Bytes that the peer has acknowledged since the start. */
  readonly deliveredBytes: () => number
  /** Rises with every frame of a stream, so that the PINGs themselves do not look like traffic. */
  readonly activity: () => number
  readonly dead: (reason: string) => void
}

/** While a link carries traffic its round trip is measured this often, milliseconds: windows grow by it. */
const MEASURE_EVERY_MS = 250
/** The smallest of so many measurements counts: queues and busy event loops only ever add to it, and a longer way lasts. */
const SAMPLES = 4
/** One that is longer than the smallest by this factor and time may be that of a longer way: the others follow at once. */
const LONGER_FACTOR = 2
const LONGER_MS = 5

/** Since when bytes that wait have not moved. */
class Progress {
  #movedBytes = 0

  constructor(private atMs: number) {}

  /** Milliseconds for which `waitingBytes` have waited and `movedBytes` has not risen. */
  standsForMs(now: number, waitingBytes: number, movedBytes: number): number {
    if (waitingBytes === 0 || movedBytes > this.#movedBytes) {
      this.atMs = now
      this.#movedBytes = movedBytes
    }
    return now - this.atMs
  }
}

/** Watches one link: any byte is proof of life; measures the round trip on the way. */
export class Liveness {
  #heardAtMs: number
  #heardBytes = 0
  #pingedAtMs = -Infinity
  readonly #taken: Progress
  readonly #delivered: Progress
  #lookedTakenBytes = 0
  /** Bytes that have left while others waited in the socket. */
  #backlogBytes = 0
  #lastActivity = 0
  #awaited = -1
  #samples: number[] = []
  /** Measurements that followed the last one of their own time. */
  #followers = 0
  #roundTripMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly timing: Timing,
    private readonly context: LivenessContext,
  ) {
    this.#heardAtMs = context.clock()
    this.#taken = new Progress(this.#heardAtMs)
    this.#delivered = new Progress(this.#heardAtMs)
  }

  /** Round trip of the link without what queues add to it, milliseconds; 0 until measured. */
  get roundTripMs(): number {
    return this.#roundTripMs
  }

  /** Sends the first PING and starts to watch. */
  start(): void {
    this.#ping(this.context.clock())
    this.#timer = setInterval(() => this.#check(), Math.min(MEASURE_EVERY_MS, this.timing.pingAfterMs))
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** A message came. */
  received(): void {
    this.#heardAtMs = this.context.clock()
  }

  /** A PONG of 8 bytes came; gives the round trip, or undefined when it answers no PING of ours. */
  pong(payload: Buffer): number | undefined {
    if (payload.readDoubleBE(0) !== this.#awaited) return undefined
    const sample = this.context.clock() - this.#awaited
    this.#awaited = -1
    this.#samples = [...this.#samples.slice(1 - SAMPLES), sample]
    this.#roundTripMs = Math.min(...this.#samples)
    // One sample says little: an end that has just started is busy, and the first windows would grow by that.
    if (this.#samples.length < SAMPLES) this.#ping(this.context.clock())
    else if (sample > this.#roundTripMs * LONGER_FACTOR + LONGER_MS && this.#followers < SAMPLES - 1) {
      this.#followers++
      this.#ping(this.context.clock())
    }
    return sample
  }

  #check(): void {
    const now = this.context.clock()
    const receivedBytes = this.context.receivedBytes()
    if (receivedBytes !== this.#heardBytes) this.#heardAtMs = now
    this.#heardBytes = receivedBytes
    const silentMs = now - this.#heardAtMs
    const bufferedBytes = this.context.bufferedBytes()
    const awaitedBytes = this.context.awaitedBytes()
    const takenBytes = this.context.takenBytes()
    // Control frames that pass an empty queue say nothing about the data that waits.
    if (bufferedBytes > 0) this.#backlogBytes += takenBytes - this.#lookedTakenBytes
    this.#lookedTakenBytes = takenBytes
    // On a slow link one of the two may stand still for long, while a long message leaves or many bytes before a mark arrive.
    const movedBytes = this.#backlogBytes + this.context.deliveredBytes()
    const notTakenMs = this.#taken.standsForMs(now, bufferedBytes, movedBytes)
    const notDeliveredMs = this.#delivered.standsForMs(now, awaitedBytes, movedBytes)
    if (silentMs > this.timing.deadAfterMs) return this.context.dead(`nothing received for ${Math.round(silentMs / 1000)} s`)
    if (notTakenMs > this.timing.deadAfterMs)
      return this.context.dead(`${bufferedBytes} bytes made no progress for ${Math.round(notTakenMs / 1000)} s`)
    if (notDeliveredMs > this.timing.deadAfterMs)
      return this.context.dead(`none of ${awaitedBytes} bytes was acknowledged for ${Math.round(notDeliveredMs / 1000)} s`)
    const activity = this.context.activity()
    const isBusy = activity !== this.#lastActivity && this.#awaited < 0
    this.#lastActivity = activity
    const isDue = now - this.#pingedAtMs >= (isBusy ? MEASURE_EVERY_MS : this.timing.pingAfterMs)
    if (!isDue || (!isBusy && silentMs < this.timing.pingAfterMs)) return
    this.#followers = 0
    this.#ping(now)
  }

  #ping(now: number): void {
    this.#pingedAtMs = now
    this.#awaited = now
    const payload = Buffer.allocUnsafe(8)
    payload.writeDoubleBE(now)
    this.context.ping(payload)
  }
}
