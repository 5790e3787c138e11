import { formatHostPort } from '../address/host-port.ts'
import { connect, type ClientHttp2Session } from 'node:http2'
import type { LookupFunction } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { GatewayError } from '../errors.ts'
import { MAX_FIELDS } from '../http/fields.ts'
import { guarded } from '../net/guard.ts'
import { dial, type Dialer, type OriginAddress } from './dial.ts'
import { NO_ALPN } from './origin-failure.ts'
import type { TlsMaterial } from './origin-tls.ts'

/** Bytes of an answer that are read ahead of the link, per stream: the origin sends no more before they are taken. */
const STREAM_WINDOW_BYTES = 131_072
/** For all streams of a connection together; a stream that stands still does not hold the others back. */
const CONNECTION_WINDOW_BYTES = 1_048_576
const MAX_HEAD_BYTES = 65_536
/** Streams on one connection until the origin has said how many it takes, as RFC 9113 §6.5.2 recommends at least. */
const ASSUMED_STREAMS = 100
/** Connections to one origin; beyond that requests wait for a stream to end. */
const MAX_SESSIONS = 16
const IDLE_MS = 60_000
/** Servers of gRPC end connections that ask more often than every five minutes (`too_many_pings`); the kernel looks after dead peers sooner. */
const PING_MS = 330_000
const PING_ANSWER_MS = 20_000
const CHECK_MS = 15_000

/** Where a pool connects to, and how. */
export interface SessionTarget extends OriginAddress {
  /** For `https` alone. */
  readonly tls: TlsMaterial
  readonly connectMs: number | undefined
  readonly dialer?: Dialer | undefined
  /** A connection gets no new stream after this time; its streams go on. */
  readonly maxAgeMs: number
  /** DNS, less the addresses that are not allowed. */
  readonly lookup: LookupFunction
  /** Milliseconds, rising. */
  readonly clock: () => number
}

/** A user that waits for a connection. */
export interface SessionUser {
  /** Called once, at once or later. */
  onOpen(session: ClientHttp2Session): void
  /** There will be no connection. */
  onDialFailed(error: unknown): void
}

/** One connection to an origin, also before it is made. */
export class OriginSession {
  #session: ClientHttp2Session | undefined
  #waiting: SessionUser[] = []
  #isOver = false
  #streams = 0
  readonly #bornAtMs: number
  #usedAtMs: number
  #pingedAtMs = 0
  #hasServed = false
  #hasSpoken = false
  #cancelDial: (() => void) | undefined

  constructor(
    private readonly target: SessionTarget,
    private readonly onClosed: (session: OriginSession) => void,
  ) {
    this.#bornAtMs = this.#usedAtMs = target.clock()
    this.#dial()
  }

  /** Gives `user` the connection, once there is one. */
  use(user: SessionUser): void {
    if (this.#session !== undefined) user.onOpen(this.#session)
    else this.#waiting.push(user)
  }

  /**
   * The session is made once the connection stands and speaks HTTP/2: one that is given a socket before, which is destroyed in the
   * moment in which it connects, ends the process with a failed assertion (Node 20).
   */
  #dial(): void {
    const { tls, lookup, protocol, hostname, port, connectMs, dialer } = this.target
    // By ALPN over TLS (RFC 9113 §3.2), with prior knowledge without (§3.3).
    const options = { protocol, hostname, port, tls, lookup, connectMs, dialer, alpn: ['h2'] }
    this.#cancelDial = dial(options, {
      onSocket: socket => {
        if (socket instanceof TLSSocket && socket.alpnProtocol !== 'h2') {
          socket.destroy()
          this.#failed(new GatewayError('ORIGIN_TLS', NO_ALPN))
        } else this.#connected(socket)
      },
      onFailure: thrown => this.#failed(thrown),
    })
  }

  #connected(socket: Duplex): void {
    const session = connect(urlOf(this.target), {
      createConnection: () => socket,
      maxHeaderListPairs: MAX_FIELDS + 8, // with the pseudo-header field and some to spare, so that the count is judged once, by us
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES, maxHeaderListSize: MAX_HEAD_BYTES },
    })
    session.on('error', ignore) // each stream is told as well
    const over = guarded(
      () => session.destroy(),
      () => this.#over(),
    )
    session.on('goaway', over)
    session.once('remoteSettings', () => {
      this.#hasSpoken = true
    })
    const closed = guarded(
      () => session.destroy(),
      () => this.#closed(session),
    )
    session.on('close', closed)
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
    this.#session = session
    for (const user of this.#waiting.splice(0)) user.onOpen(session)
  }

  /**
   * Node holds a session for ever whose origin has not acknowledged SETTINGS, if it ended by a fault behind GOAWAY (20 to 24): by the stack of its error,
   * which is behind the socket. So nothing leads from a session that is over to its socket.
   */
  #closed(session: ClientHttp2Session): void {
    this.#over()
    session.removeAllListeners().on('error', ignore) // may still be told
  }

  #failed(error: unknown): void {
    this.#over()
    for (const user of this.#waiting.splice(0)) user.onDialFailed(error)
  }

  /** Nothing new goes out on it. */
  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.onClosed(this)
  }

  /** True while a request can be sent on it. */
  get isUsable(): boolean {
    return !this.#isOver && !this.isOld && this.#session?.closed !== true && this.#session?.destroyed !== true
  }

  /** True when the name of the origin may stand for another address by now. */
  get isOld(): boolean {
    return this.target.clock() - this.#bornAtMs >= this.target.maxAgeMs
  }

  /** Streams that the origin would take now. */
  get room(): number {
    const limit = this.#session?.remoteSettings?.maxConcurrentStreams ?? ASSUMED_STREAMS
    return Math.min(limit, ASSUMED_STREAMS) - this.#streams
  }

  get streams(): number {
    return this.#streams
  }

  /** True when the origin has shown that it speaks HTTP/2. */
  get hasSpoken(): boolean {
    return this.#hasSpoken
  }

  /** True when an earlier request was answered on it: the origin may have closed it while the next one was under way. */
  get hasServed(): boolean {
    return this.#hasServed
  }

  /** A stream begins. */
  enter(): void {
    this.#streams++
  }

  /** A stream has ended. */
  leave(): void {
    this.#streams--
    this.#usedAtMs = this.target.clock()
  }

  /** Something came from the origin. */
  heard(): void {
    this.#hasServed = true
    this.#usedAtMs = this.target.clock()
  }

  /** Closes what nobody uses, and asks an origin that has long been silent whether it is there. */
  check(now: number): void {
    const silentMs = now - this.#usedAtMs
    if (this.#streams === 0) {
      if (silentMs >= IDLE_MS || this.isOld) this.#session?.close()
    } else if (silentMs >= PING_MS && now - this.#pingedAtMs >= PING_MS) this.#ping(now)
  }

  /** Ends it now, with all that is under way. */
  destroy(): void {
    this.#over()
    if (this.#session === undefined) this.#cancelDial?.()
    else this.#session.destroy()
    this.#failed(new GatewayError('ORIGIN_CLOSED', 'the inner layer ends its connections'))
  }

  #ping(now: number): void {
    const session = this.#session
    if (session === undefined || !this.isUsable) return
    this.#pingedAtMs = now
    const timer = setTimeout(() => {
      session.destroy(new GatewayError('ORIGIN_CLOSED', 'the origin answers no PING'))
    }, PING_ANSWER_MS)
    session.ping(() => {
      clearTimeout(timer)
      this.heard()
    })
  }
}

const ignore = (): void => undefined

/** The connections to one origin with one set of TLS options. */
export class SessionPool {
  #sessions: OriginSession[] = []
  readonly #timer: NodeJS.Timeout

  constructor(private readonly target: SessionTarget) {
    this.#timer = setInterval(() => this.#check(), CHECK_MS)
    this.#timer.unref()
  }

  /** True when nothing is under way. */
  get isIdle(): boolean {
    return this.#sessions.every(session => session.streams === 0)
  }

  /** The connection for one more request: the fullest that has room, so that the others can become idle. */
  pick(): OriginSession {
    let best: OriginSession | undefined
    for (const session of this.#sessions) {
      if (!session.isUsable) continue
      const isBetter =
        best === undefined || (session.room > 0 ? best.room <= 0 || session.room < best.room : best.room <= 0 && session.room > best.room)
      if (isBetter) best = session
    }
    if (best !== undefined && (best.room > 0 || this.#sessions.length >= MAX_SESSIONS)) return best
    const session = new OriginSession(this.target, closed => {
      this.#sessions = this.#sessions.filter(other => other !== closed)
    })
    this.#sessions.push(session)
    return session
  }

  /** Ends every connection now. */
  destroy(): void {
    clearInterval(this.#timer)
    for (const session of [...this.#sessions]) session.destroy()
  }

  #check(): void {
    const now = this.target.clock()
    for (const session of this.#sessions) session.check(now)
  }
}

const urlOf = ({ protocol, hostname, port }: SessionTarget): string => `${protocol}://${formatHostPort({ host: hostname, port })}`
