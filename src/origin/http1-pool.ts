import { TLSSocket } from 'node:tls'
import { dial, type DialOptions } from './dial.ts'
import { Http1Connection } from './http1-connection.ts'

/** An idle connection is given up before the origin gives it up, milliseconds: most wait 5 s or longer. */
const IDLE_MS = 4_000
/** Of the time that an origin names in Keep-Alive, for the way and for clocks. */
const IDLE_MARGIN_MS = 1_000
const MAX_IDLE_MS = 60_000
const SWEEP_MS = 1_000
/** No connection is kept for as long after an origin has sent what nobody asked for. */
const DISTRUST_MS = 60_000
/** Some servers announce in this way that they give up an idle connection. */
const TIMED_OUT = /^HTTP\/1\.[01] 408 /

/** Options for the connections of a pool. */
export interface PoolOptions extends DialOptions {
  /** A kept connection gets no new request after this time: the name of the origin may stand for another address by then. */
  readonly maxAgeMs: number
  /** The memory that plain connections are read into, all of them in turn: a buffer for each would be 64 KiB of garbage for an answer of one. */
  readonly readBuffer: Buffer
  /** Milliseconds, rising. */
  readonly clock: () => number
}

/** The connections to one origin with one set of options. */
export class Http1Pool {
  /** The one that was used last is used next, so that those that are not needed can end. */
  readonly #idle: Http1Connection[] = []
  readonly #all = new Set<Http1Connection>()
  readonly #dials = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined
  #session: Buffer | undefined
  #distrustedUntilMs = -Infinity

  constructor(private readonly options: PoolOptions) {}

  /** True when nothing is under way. */
  get isIdle(): boolean {
    return this.#dials.size === 0 && this.#all.size === this.#idle.length
  }

  /** A kept connection, undefined when there is none that can be used. */
  take(): Http1Connection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.isUsable && connection.idleUntilMs > this.options.clock()) return connection
      connection.destroy()
    }
    return undefined
  }

  /**
   * Makes a connection.
   * @param mayLeave  it may leave HTTP, and then somebody else reads it
   * @returns gives up; nothing is told any more
   */
  dial(mayLeave: boolean, onConnection: (connection: Http1Connection) => void, onFailure: (thrown: unknown) => void): () => void {
    let made: Http1Connection | undefined
    const { readBuffer } = this.options
    const callback = (length: number): boolean => {
      made?.onBytes(readBuffer.subarray(0, length), true)
      return true
    }
    const cancel = dial(
      { ...this.options, session: this.#session, onread: mayLeave ? undefined : { buffer: readBuffer, callback } },
      {
        onSocket: socket => {
          this.#dials.delete(cancel)
          if (socket instanceof TLSSocket) this.#remember(socket)
          const connection = new Http1Connection(
            socket,
            this.options.clock(),
            gone => this.#gone(gone),
            bytes => this.unasked(bytes),
          )
          made = connection
          this.#all.add(connection)
          onConnection(connection)
        },
        onFailure: thrown => {
          this.#dials.delete(cancel)
          onFailure(thrown)
        },
      },
    )
    this.#dials.add(cancel)
    return () => {
      this.#dials.delete(cancel)
      cancel()
    }
  }

  /**
   * Takes a connection back that nothing is under way on.
   * @param keepAliveSeconds  for how long the origin keeps it, undefined: it has not said
   */
  release(connection: Http1Connection, keepAliveSeconds: number | undefined): void {
    connection.use(undefined)
    const { clock, maxAgeMs } = this.options
    const now = clock()
    const idleMs = keepAliveSeconds === undefined ? IDLE_MS : Math.min(MAX_IDLE_MS, keepAliveSeconds * 1_000 - IDLE_MARGIN_MS)
    connection.idleUntilMs = Math.min(now + idleMs, connection.bornAtMs + maxAgeMs)
    const isKept = connection.isUsable && connection.idleUntilMs > now && now >= this.#distrustedUntilMs
    if (!isKept) return connection.destroy()
    this.#idle.push(connection)
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  /**
   * The origin has sent bytes behind a whole answer. Had the next request been sent by then, it would have got them as its answer, and so on
   * with each that follows: nothing on the wire tells the two apart. So none of its connections is used twice for a while.
   */
  unasked(bytes: Buffer): void {
    if (TIMED_OUT.test(bytes.toString('latin1', 0, 13))) return
    this.#distrustedUntilMs = this.options.clock() + DISTRUST_MS
    for (const connection of [...this.#idle]) connection.destroy()
  }

  /** Ends every connection now. */
  destroy(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const cancel of this.#dials) cancel()
    this.#dials.clear()
    for (const connection of [...this.#all]) connection.socket.destroy()
  }

  #sweep(): void {
    const now = this.options.clock()
    for (const connection of this.#idle.filter(({ idleUntilMs }) => idleUntilMs <= now)) connection.destroy()
    if (this.#idle.length > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #gone(connection: Http1Connection): void {
    this.#all.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
  }

  /** A session of a connection that was verified: the next handshake is shorter. */
  #remember(socket: TLSSocket): void {
    socket.on('session', session => {
      this.#session = session
    })
    this.#session = socket.getSession() ?? this.#session
  }
}
