import { performance } from 'node:perf_hooks'
import { messageOf } from '../errors.ts'
import type { Link } from '../mux/link.ts'
import { guarded } from '../net/guard.ts'
import { TokenBucket } from '../rates/token-bucket.ts'

/** The common part of both ends of socket.io once connected over a websocket. */
export interface Carrier {
  /** Hands one message to socket.io. */
  readonly emit: (message: Uint8Array) => void
  /**
   * Closes engine.io and the websocket after what was handed over has left. Not `socket.disconnect`: its packet overtakes, on the
   * server, the messages that came just before it.
   */
  readonly close: () => void
  /** The engine.io socket: emits `flush` around the moment at which it hands all it holds to the websocket. */
  readonly engine: { on(event: 'flush', listener: () => void): unknown }
  readonly websocket: WebSocketLike
}

/** The TCP or TLS socket below the websocket. */
export interface SocketLike {
  readonly writableNeedDrain: boolean
  readonly bytesRead: number
  on(event: 'drain', listener: () => void): unknown
  write(bytes: string, written: (error?: Error | null) => void): unknown
}

/** The parts of `ws` that are used, on both ends. `_socket` is private there; a test holds that it exists. */
export interface WebSocketLike {
  readonly bufferedAmount: number
  readonly _socket: SocketLike
  on(event: 'close' | 'ping', listener: () => void): unknown
  terminate(): void
}

/** Our peers send no pings of the websocket protocol; a few are answered, as RFC 6455 §5.5.2 wants it. */
const PINGS = { perSecond: 1, burst: 20 }

/** `ws` answers each ping at once and without a bound: a peer that pings and does not read would fill our memory. */
export function limitPings(websocket: WebSocketLike): void {
  const limit = new TokenBucket(PINGS.perSecond, PINGS.burst, () => performance.now())
  const ping = (): void => {
    if (!limit.take()) websocket.terminate()
  }
  websocket.on(
    'ping',
    guarded(() => websocket.terminate(), ping),
  )
}

/** A peer that does not finish the closing handshake in this time is cut off, milliseconds. */
const CLOSE_MS = 5_000

/**
 * A link over socket.io. Bytes wait in two places: in engine.io until its transport is writable, and in the websocket until the
 * operating system takes them. engine.io's own `drain` speaks of the first alone and fires while megabytes wait in the second, so
 * both are watched here:
 *
 *   send ─▶ engine.io ── flush ─▶ ws and its socket ── drain, or the callback of a write ─▶ operating system
 *
 * After a `send` that left bytes in either place, one look after each of these events decides whether `onDrain` is due. Each place
 * has an event to come as long as it holds bytes, so that look is never missing.
 */
export class SocketIoLink implements Link {
  #heldByEngine = 0
  #isWaiting = false
  #isProbing = false
  #isClosing = false
  #isClosed = false
  #timer: NodeJS.Timeout | undefined
  onMessage: (message: Buffer) => void = () => undefined
  onDrain: () => void = () => undefined
  onClose: (reason: string) => void = () => undefined

  /** One of its events threw, at whoever owns it: it ends, and the owner is told. */
  readonly fail = (thrown: unknown): void => {
    this.carrier.websocket.terminate()
    this.#ended(`internal fault: ${messageOf(thrown)}`)
  }

  constructor(private readonly carrier: Carrier) {
    const { engine, websocket } = carrier
    const flushed = (): void => {
      this.#heldByEngine = 0
      // The server's engine.io emits this before it hands over, the client's after it.
      if (this.#isWaiting) queueMicrotask(this.#look)
    }
    const closed = (): void => {
      clearTimeout(this.#timer)
      this.#ended('closed here')
    }
    engine.on('flush', guarded(this.fail, flushed))
    websocket._socket.on('drain', this.#look)
    websocket.on('close', guarded(this.fail, closed))
  }

  get bufferedBytes(): number {
    return this.#heldByEngine + this.carrier.websocket.bufferedAmount
  }

  get receivedBytes(): number {
    return this.carrier.websocket._socket.bytesRead
  }

  send(message: Uint8Array): void {
    if (this.#isClosed || this.#isClosing) return
    this.#heldByEngine += message.length
    this.carrier.emit(message)
    if (this.#isWaiting || this.bufferedBytes === 0) return
    this.#isWaiting = true
    this.#look()
  }

  close(): void {
    if (this.#isClosed || this.#isClosing) return
    this.#isClosing = true
    this.#timer = setTimeout(() => this.carrier.websocket.terminate(), CLOSE_MS)
    this.#timer.unref()
    this.carrier.close()
  }

  destroy(): void {
    if (!this.#isClosed) this.carrier.websocket.terminate()
  }

  /** For the owner of the socket: a message came. */
  received(message: unknown): void {
    if (this.#isClosed || this.#isClosing) return
    if (Buffer.isBuffer(message)) this.onMessage(message)
    else this.destroy()
  }

  /** For the owner of the socket: socket.io has given it up. The websocket may still be there, and must not stay. */
  closed(reason: string, description?: unknown): void {
    if (this.#isClosing) return
    this.carrier.websocket.terminate()
    const what = REASONS.get(reason) ?? reason
    this.#ended(description instanceof Error ? `${what}: ${messageOf(description)}` : what)
  }

  /** Fires `onDrain`, or sees to it that another look follows. */
  readonly #look = guarded(this.fail, () => {
    if (!this.#isWaiting || this.#isClosed || this.#heldByEngine > 0) return
    const { websocket } = this.carrier
    if (websocket.bufferedAmount === 0) {
      this.#isWaiting = false
      this.onDrain()
    } else if (!websocket._socket.writableNeedDrain && !this.#isProbing) {
      // Below its high-water mark a socket emits no `drain`: the callback of an empty write comes when all before it has been taken.
      this.#isProbing = true
      websocket._socket.write('', error => {
        this.#isProbing = false
        // A dying socket keeps its bytes for ever: asking it again and again would never let go of the event loop.
        if (error === undefined || error === null) this.#look()
      })
    }
  })

  #ended(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onClose(reason)
  }
}

/** socket.io's words, in ours. */
const REASONS: ReadonlyMap<string, string> = new Map<string, string>([
  ['transport close', 'the connection was closed'],
  ['transport error', 'the connection failed'],
  ['ping timeout', 'the connection went silent'],
  ['parse error', 'the peer sent what is no message of this link'],
  ['client namespace disconnect', 'the peer has left'],
  ['io server disconnect', 'the peer has left'],
])
