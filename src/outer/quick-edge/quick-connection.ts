import type { Socket } from 'node:net'
import type { Peer } from '../../http/client.ts'
import { leave, type DeadlineQueue, type Expiring, type QueueNode } from '../../net/deadline-queue.ts'
import { guarded, type Fail } from '../../net/guard.ts'
import { quickHead } from './quick-head.ts'
import { QuickRequest, type QuickPlace } from './quick-request.ts'

/** Bytes that wait behind a request before nothing more is read. */
const MAX_HELD_BYTES = 65_536

/** The edge that a connection belongs to. */
export interface QuickEdge {
  /** Longest head that the edge takes, bytes. */
  readonly headerBytes: number
  /** Announced idle time, seconds. */
  readonly keepAliveSeconds: number
  /** Where the first request is awaited, and where each further one. */
  readonly first: DeadlineQueue | undefined
  readonly further: DeadlineQueue | undefined
  /** Calls `begin` at once or in a later turn of the event loop: many connections that are made at the same moment are not read before all others. */
  readonly takeTurn: (connection: QuickConnection, begin: () => void) => void
  /** Is this a path that another part of the edge answers? */
  readonly isForOthers: (target: string) => boolean
  /** A request has come; `QuickRequest.events` is set before it returns. */
  readonly begin: (request: QuickRequest, socket: Socket) => void
  /** The connection is gone. */
  readonly gone: (connection: QuickConnection) => void
  /** From now on node:http reads the connection. @param bytes  that came, and belong to no request yet */
  readonly handOver: (connection: QuickConnection, bytes: Buffer) => void
  /** No request has come in time. */
  readonly late: (connection: QuickConnection) => void
  readonly failOf: (socket: Socket) => Fail
}

/**
 * A connection of a client as long as nothing but plain requests without bodies come on it, one at a time. Whatever else comes is handed to
 * node:http, with the connection and for good; so nothing here has to know what a fault is.
 */
export class QuickConnection implements Expiring, QuickPlace {
  deadlineMs = 0
  earlier: QueueNode | undefined
  later: QueueNode | undefined
  readonly keepAliveSeconds: number
  #request: QuickRequest | undefined
  #hasAsked = false
  /** Its first bytes are there, and it has not had its turn; also, whether the client has ended its half meanwhile. */
  #isWaiting = false
  #hasEnded = false
  /** Nothing that comes is looked at any more. */
  #isOver = false
  readonly #held: Buffer[] = []
  #heldBytes = 0
  #isPaused = false
  readonly #fail: Fail

  constructor(
    readonly socket: Socket,
    readonly peer: Peer,
    private readonly edge: QuickEdge,
  ) {
    this.keepAliveSeconds = edge.keepAliveSeconds
    this.#fail = edge.failOf(socket)
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('drain', this.#onDrain)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
    edge.first?.refresh(this)
  }

  /** Ends it if its requests are answered; one on which nothing was asked yet goes on. */
  endIfIdle(): void {
    if (this.#hasAsked && this.#request === undefined && this.#heldBytes === 0) this.socket.destroy()
  }

  /** Ends it now. */
  destroy(): void {
    this.socket.destroy()
  }

  onDeadline(): void {
    // Whatever has come while the process had no time is read before anything is late.
    setImmediate(this.#onLate)
  }

  readonly #onLate = guarded(
    thrown => this.#fail(thrown),
    () => {
      const isAwaitedAnew = this.earlier !== undefined
      if (isAwaitedAnew) return
      if (this.socket.writableEnded) return void this.socket.destroy()
      if (this.#isOver || this.#isWaiting || this.#request !== undefined) return
      if (this.#hasAsked) return void this.socket.destroy()
      this.#isOver = true
      this.edge.late(this)
    },
  )

  onFault(thrown: unknown): void {
    this.#fail(thrown)
  }

  // --- the socket

  readonly #onData = guarded(
    thrown => this.#fail(thrown),
    (chunk: Buffer) => {
      if (this.#isOver) return
      // Also behind the answer, until the turn in which it is node:http's: nothing of it may be missing there.
      if (this.#request !== undefined || this.#heldBytes > 0) return this.#hold(chunk)
      if (this.#hasAsked) return this.#read(chunk)
      // It has come in time, whenever it is read.
      leave(this)
      this.#isWaiting = true
      this.#hold(chunk)
      this.edge.takeTurn(this, this.#onTurn)
    },
  )

  readonly #onTurn = guarded(
    thrown => this.#fail(thrown),
    () => {
      this.#isWaiting = false
      if (this.#isOver) return
      this.#read(this.#release())
      if (this.#isPaused) this.socket.resume()
      // Whoever reads the connection now has not heard of it.
      if (this.#hasEnded) this.socket.emit('end')
    },
  )

  #read(bytes: Buffer): void {
    const head = quickHead(bytes, this.edge.headerBytes)
    if (head === undefined || this.edge.isForOthers(head.target)) return this.#handOver(bytes)
    leave(this)
    this.#hasAsked = true
    const request = new QuickRequest(head, this)
    this.#request = request
    this.edge.begin(request, this.socket)
  }

  readonly #onEnd = guarded(
    thrown => this.#fail(thrown),
    () => {
      // A plain request has nobody any more whom to answer; what node:http makes of anything else may still be told.
      this.#hasEnded = this.#isWaiting && quickHead(Buffer.concat(this.#held), this.edge.headerBytes) === undefined
      if (this.#hasEnded) return
      // What was written still leaves, if the client takes it in time.
      this.socket.end()
      this.#isOver = true
      this.edge.further?.refresh(this)
      // A client that says nothing more counts as one that has left, also where bytes wait that it does not read.
      this.#request?.left()
    },
  )

  readonly #onDrain = guarded(
    thrown => this.#fail(thrown),
    () => this.#request?.events?.onDrain(),
  )

  readonly #onError = (): void => void this.socket.destroy()

  readonly #onClose = guarded(
    thrown => this.#fail(thrown),
    () => {
      leave(this)
      this.#isOver = true
      const request = this.#request
      this.#request = undefined
      this.edge.gone(this)
      request?.closed()
    },
  )

  /** Keeps what comes behind a request as bytes: it is read meanwhile, since that is how a client is seen to leave. */
  #hold(chunk: Buffer): void {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes < MAX_HELD_BYTES || this.#isPaused) return
    this.#isPaused = true
    this.socket.pause()
  }

  /** Takes out all that was kept. */
  #release(): Buffer {
    const held = this.#held.splice(0)
    this.#heldBytes = 0
    return held.length === 1 ? held[0]! : Buffer.concat(held)
  }

  // --- its request

  readonly onAnswered = (isLast: boolean): void => {
    this.#request = undefined
    const { socket } = this
    if (isLast) {
      this.#isOver = true
      socket.destroySoon()
    } else if (this.#heldBytes > 0) {
      // In a turn of its own, so that a burst of one client is not answered before all others.
      setImmediate(this.#goOn)
    } else this.edge.further?.refresh(this)
  }

  readonly #goOn = guarded(
    thrown => this.#fail(thrown),
    () => {
      if (this.#isOver) return
      this.#handOver(this.#release())
      if (this.#isPaused) this.socket.resume()
    },
  )

  #handOver(bytes: Buffer): void {
    leave(this)
    this.#isOver = true
    const { socket } = this
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('drain', this.#onDrain)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    this.edge.handOver(this, bytes)
  }
}
