import type { ServerHttp2Stream } from 'node:http2'
import { leave, type DeadlineQueue, type Expiring, type QueueNode } from '../../net/deadline-queue.ts'
import { FIRST_WINDOW_BYTES } from './http2-upload-window.ts'

/** A request that has come and is not under way yet. */
export interface Arrived {
  readonly stream: ServerHttp2Stream
  /** Its fields, names and values in turn. */
  readonly raw: readonly string[]
  readonly endsWithHead: boolean
  /** Of the budget for heads. */
  readonly bytes: number
  /** Those that have come while it waited, names and values in turn. */
  trailers?: readonly string[]
}

/** Options of `HeldUploads`. */
export interface HeldUploadsOptions {
  /** The bytes that may come beyond the first window of each, of all together. */
  readonly spareBytes: () => number
  /** The time that the client has for its acknowledgement; undefined: for ever. */
  readonly patience: DeadlineQueue | undefined
  /** Tries one again, at once or later; it calls `add` or `remove`. */
  readonly begin: (arrived: Arrived) => void
  /** Likewise ends with `remove`. */
  readonly refuse: (arrived: Arrived) => void
  readonly onFault: (thrown: unknown) => void
}

interface Held {
  readonly arrived: Arrived
  bytes: number
  isTried: boolean
}

/**
 * The uploads of one connection that wait until the client has acknowledged a smaller window (RFC 9113 §6.5.3). Until then it may send as much of each
 * as the larger one allows, and node:http2 takes it. So bytes are counted, and once there are too many, or the acknowledgement does not come, they are refused.
 */
export class HeldUploads implements Expiring {
  deadlineMs = 0
  earlier: QueueNode | undefined
  later: QueueNode | undefined
  readonly #held = new Map<ServerHttp2Stream, Held>()
  #bytes = 0
  /** The client has not acknowledged in time, and still has not. */
  #isLate = false

  constructor(private readonly options: HeldUploadsOptions) {}

  /** Lets an upload wait, or wait further. */
  add(arrived: Arrived): void {
    const { stream } = arrived
    const known = this.#held.get(stream)
    if (known !== undefined) known.isTried = false
    else if (this.#isLate) this.options.refuse(arrived)
    else this.#add(stream, { arrived, bytes: 0, isTried: false })
  }

  /** It is under way, or over. */
  remove(stream: ServerHttp2Stream): void {
    const held = this.#held.get(stream)
    if (held === undefined) return
    this.#held.delete(stream)
    this.#bytes -= held.bytes
    delete (stream as { push?: unknown }).push
    if (this.#held.size === 0) leave(this)
  }

  /** Another upload is over: the one that has waited longest is tried. */
  next(): void {
    for (const held of this.#held.values()) if (!held.isTried) return this.#try(held)
  }

  /** The client has acknowledged. */
  release(): void {
    this.#isLate = false
    for (const held of [...this.#held.values()]) if (!held.isTried) this.#try(held)
  }

  /** The connection is over. */
  close(): void {
    for (const stream of [...this.#held.keys()]) this.remove(stream)
  }

  onDeadline(): void {
    this.#isLate = true
    for (const { arrived } of [...this.#held.values()]) this.options.refuse(arrived)
  }

  onFault(thrown: unknown): void {
    this.options.onFault(thrown)
  }

  #try(held: Held): void {
    held.isTried = true
    this.options.begin(held.arrived)
  }

  #add(stream: ServerHttp2Stream, held: Held): void {
    if (this.#held.size === 0) this.options.patience?.refresh(this)
    this.#held.set(stream, held)
    // Nobody reads it yet, so nothing else tells of what has come.
    const push = stream.push.bind(stream) as (chunk: Buffer | null) => boolean
    stream.push = (chunk: Buffer | null): boolean => {
      const wants = push(chunk)
      if (chunk !== null) this.#came(held, chunk.length)
      return wants
    }
    this.#came(held, stream.readableLength)
  }

  #came(held: Held, bytes: number): void {
    held.bytes += bytes
    this.#bytes += bytes
    if (held.isTried) return // by now the client keeps to the first window, or it has its turn
    if (this.#bytes - this.#held.size * FIRST_WINDOW_BYTES > this.options.spareBytes()) this.options.refuse(held.arrived)
  }
}
