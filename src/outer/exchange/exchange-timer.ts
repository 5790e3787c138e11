import { leave, type Deadlines, type Place, type Waiter } from '../../net/deadlines.ts'

/** Whom an exchange waits for: an inner layer to come, the origin, before its head or within its body, or the client, to read. */
export type Awaited = 'inner' | 'head' | 'body' | 'client'

/** Who is told, once, that it took too long. */
export interface Impatient {
  onLate(awaited: Awaited): void
}

/** The one thing that an exchange waits for at a time. A queue that is undefined means: for ever. */
export class ExchangeTimer implements Waiter {
  deadlineMs = 0
  earlier: Place | undefined
  later: Place | undefined
  #awaited: Awaited = 'head'
  #queue: Deadlines | undefined
  #uploadedBytes = 0

  constructor(private readonly owner: Impatient) {}

  /** No inner layer is there yet. */
  awaitInner(queue: Deadlines | undefined): void {
    this.#awaited = 'inner'
    queue?.refresh(this)
  }

  /** The request was sent. */
  awaitHead(queue: Deadlines | undefined): void {
    this.#awaited = 'head'
    this.#queue = queue
    queue?.refresh(this)
  }

  /** The head came; what follows is awaited in `queue`. */
  awaitBody(queue: Deadlines | undefined): void {
    leave(this)
    this.#awaited = 'body'
    this.#queue = queue
    queue?.refresh(this)
  }

  /** The client does not read. */
  awaitClient(queue: Deadlines | undefined): void {
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
}
