import { attempt } from './guard.ts'

/** A place in the queue of a `DeadlineQueue`, which alone reads and writes it. */
export interface QueueNode {
  /** Milliseconds on the clock of the queue. */
  deadlineMs: number
  earlier: QueueNode | undefined
  later: QueueNode | undefined
}

/** Something that may wait only so long. */
export interface Expiring extends QueueNode {
  onDeadline(): void
  /** `onDeadline` threw. */
  onFault(thrown: unknown): void
}

/** Takes a waiter out of whichever queue it is in. */
export function leave(place: QueueNode): void {
  const { earlier, later } = place
  if (earlier === undefined || later === undefined) return
  earlier.later = later
  later.earlier = earlier
  place.earlier = undefined
  place.later = undefined
}

/**
 * Many waiters with one and the same patience: those that came or showed life last are at the end, so that one timer looks at the
 * front. A timer per request would cost more than everything else that is done about timeouts. The queue is made of the waiters themselves,
 * and who leaves it points at nobody: a Set would keep requests that are over until the next full collection (see mux/stream-table.ts).
 */
export class DeadlineQueue {
  /** Before the first and behind the last. */
  readonly #ends: QueueNode = { deadlineMs: 0, earlier: undefined, later: undefined }
  readonly #timer: NodeJS.Timeout

  constructor(
    /** The time that each of them waits. */
    readonly patienceMs: number,
    private readonly clock: () => number,
  ) {
    this.#clear()
    this.#timer = setInterval(() => this.#check(), Math.max(10, Math.min(1_000, patienceMs / 4)))
    this.#timer.unref()
  }

  /** Starts to wait, or starts anew. */
  refresh(waiter: Expiring): void {
    leave(waiter)
    waiter.deadlineMs = this.clock() + this.patienceMs
    const last = this.#ends.earlier!
    waiter.earlier = last
    waiter.later = this.#ends
    last.later = waiter
    this.#ends.earlier = waiter
  }

  /** Waits no longer. */
  cancel(waiter: Expiring): void {
    leave(waiter)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#clear()
  }

  #clear(): void {
    this.#ends.earlier = this.#ends
    this.#ends.later = this.#ends
  }

  #check(): void {
    const now = this.clock()
    for (let first = this.#ends.later!; first !== this.#ends && first.deadlineMs <= now; first = this.#ends.later!) {
      const waiter = first as Expiring // all but the ends
      leave(waiter)
      attempt(
        thrown => waiter.onFault(thrown),
        () => waiter.onDeadline(),
      )
    }
  }
}

/** Queues for all the times that anybody waits. There are few of them: options and targets name them. */
export class DeadlineQueues {
  readonly #queues = new Map<number, DeadlineQueue>()

  /** @param clock  milliseconds, rising */
  constructor(private readonly clock: () => number) {}

  /** The queue of those who wait `ms`; undefined for 0, which is for ever. */
  of(ms: number): DeadlineQueue | undefined {
    if (ms === 0) return undefined
    let queue = this.#queues.get(ms)
    if (queue === undefined) this.#queues.set(ms, (queue = new DeadlineQueue(ms, this.clock)))
    return queue
  }

  close(): void {
    for (const queue of this.#queues.values()) queue.close()
    this.#queues.clear()
  }
}
