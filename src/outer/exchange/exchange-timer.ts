import { leave, type DeadlineQueue, type QueueNode, type Expiring } from '../../net/deadline-queue.ts'

/** Whom an exchange waits for: an inner layer to come, the origin, before its head or within its body, or the client, to read. */
export type WaitingFor = 'inner' | 'head' | 'body' | 'client'

/** The listener that is told, once, that it took too long. */
export interface TimeoutListener {
  onLate(awaited: WaitingFor): void
  /** `onLate` threw. */
  onFault(thrown: unknown): void
}

/** The one thing that an exchange waits for at a time. A queue that is undefined means: for ever. */
export class ExchangeTimer implements Expiring {
  deadlineMs = 0
  earlier: QueueNode | undefined
  later: QueueNode | undefined
  #awaited: WaitingFor = 'head'
  #queue: DeadlineQueue | undefined
  #uploadedBytes = 0

  constructor(private readonly owner: TimeoutListener) {}

  /** No inner layer is there yet. */
  awaitInner(queue: DeadlineQueue | undefined): void {
    this.#awaited = 'inner'
    this.#queue = undefined
    queue?.refresh(this)
  }

  /** The request was sent. */
  awaitHead(queue: DeadlineQueue | undefined): void {
    this.#awaited = 'head'
    this.#queue = queue
    queue?.refresh(this)
  }

  /** The head came; what follows is awaited in `queue`. */
  awaitBody(queue: DeadlineQueue | undefined): void {
    leave(this)
    this.#awaited = 'body'
    this.#queue = queue
    queue?.refresh(this)
  }

  /** The client does not read. */
  awaitClient(queue: DeadlineQueue | undefined): void {
    leave(this)
    this.#awaited = 'client'
    queue?.refresh(this)
  }

  /** The client reads again. */
  clientReads(): void {
    leave(this)
    this.#awaited = 'body'
    this.#queue?.refresh(this)
  }

  /** A sign of life of the origin, or of whoever it waits for. */
  alive(): void {
    if (this.#awaited !== 'client') this.#queue?.refresh(this)
  }

  /**
   * A piece of the upload came: a sign of life once there are enough of them.
   * @param bytes          of this piece
   * @param perSecondBytes the least that is enough; 0: any
   */
  uploaded(bytes: number, perSecondBytes: number): void {
    if (this.#queue === undefined) return
    this.#uploadedBytes += bytes
    if (this.#uploadedBytes * 1000 < perSecondBytes * this.#queue.patienceMs) return
    this.#uploadedBytes = 0
    this.alive()
  }

  /** Waits for nothing any more. */
  stop(): void {
    leave(this)
    this.#queue = undefined
  }

  onDeadline(): void {
    this.owner.onLate(this.#awaited)
  }

  onFault(thrown: unknown): void {
    this.owner.onFault(thrown)
  }
}
