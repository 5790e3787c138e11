import { performance } from 'node:perf_hooks'
import { messageOf } from '../errors.ts'
import type { Link } from '../mux/link.ts'
import { guarded } from '../net/guard.ts'
import { TokenBucket } from '../rates/token-bucket.ts'
import { BINARY_MESSAGE, MASK_BYTES, MASKED, MessageReader, type ReadWebSocket } from './message-reader.ts'

/** The common part of both ends of socket.io once connected over a websocket. */
export interface Carrier {
  /**
   * Closes engine.io and the websocket after what was handed over has left. Not `socket.disconnect`: its packet overtakes, on the
   * server, the messages that came just before it.
   */
  readonly close: () => void
  readonly websocket: WebSocketLike
  /** The masks of what is sent: a server has none. */
  readonly mask: 'none' | 'zero' | 'random'
  /** Plain sockets read into it; many may share it. */
  readonly memory: Buffer
}

/** The TCP or TLS socket below the websocket. */
export interface SocketLike {
  readonly writableNeedDrain: boolean
  readonly bytesRead: number
  on(event: 'drain', listener: () => void): unknown
  write(bytes: string | Buffer, written?: (error?: Error | null) => void): unknown
}

/** The parts of `ws` that are used, on both ends. `_socket` is private there; a test holds that it exists. */
export interface WebSocketLike extends ReadWebSocket {
  readonly bufferedAmount: number
  readonly readyState: number
  readonly _socket: SocketLike
  send(message: Uint8Array, options: { readonly binary: true; readonly compress: false }): void
  on(event: 'close' | 'ping', listener: () => void): unknown
  once(event: 'message', listener: () => void): unknown
  terminate(): void
}

/** Our peers send no pings of the websocket protocol; a few are answered, as RFC 6455 §5.5.2 wants it. Those of engine.io come every 25 s. */
const PINGS = { perSecond: 1, burst: 20 }

/**
 * `ws` answers each ping at once and without a bound, and so does the client of engine.io: a peer that pings and does not read would fill our memory.
 * @param engine  that answers pings of its own; undefined: it answers none
 */
export function limitPings(websocket: WebSocketLike, engine?: { on(event: 'ping', listener: () => void): unknown }): void {
  const limit = new TokenBucket(PINGS.perSecond, PINGS.burst, () => performance.now())
  const ping = (): void => {
    if (!limit.take()) websocket.terminate()
  }
  const listener = guarded(() => websocket.terminate(), ping)
  websocket.on('ping', listener)
  engine?.on('ping', listener)
}

/** A peer that does not finish the closing handshake in this time is cut off, milliseconds. */
const CLOSE_MS = 5_000

/** Bytes of the memory that plain links read into. */
export const READ_BYTES = 262_144

const OPEN = 1
const BINARY = { binary: true, compress: false } as const

/**
 * A link over socket.io. Its messages are what socket.io would make of them with our parser: one binary message of the websocket each. So
 * once it is connected they go to the websocket and come from it without the queues, packets and events of engine.io and socket.io,
 * which cost more than all else that is done for a small one. What those two say themselves passes as before.
 *
 *   send ─▶ ws and its socket ── drain, or the callback of a write ─▶ operating system
 *
 * After a `send` that left bytes there, one look after each of these events decides whether `onDrain` is due. There is an event to come as
 * long as there are bytes, so that look is never missing.
 */
export class SocketIoLink implements Link {
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
    const { websocket, memory } = carrier
    const closed = (): void => {
      clearTimeout(this.#timer)
      this.#ended('closed here')
    }
    const take = guarded(this.fail, (message: Buffer) => this.received(message))
    const later = guarded(this.fail, () => queueMicrotask(takeOver))
    const takeOver = guarded(this.fail, () => {
      // In the middle of a frame it is tried again behind the next message.
      if (!MessageReader.takeOver(websocket, memory, take)) websocket.once('message', later)
    })
    takeOver()
    websocket._socket.on('drain', this.#look)
    websocket.on('close', guarded(this.fail, closed))
  }

  get bufferedBytes(): number {
    return this.carrier.websocket.bufferedAmount
  }

  get receivedBytes(): number {
    return this.carrier.websocket._socket.bytesRead
  }

  send(message: Buffer, hasRoom = false): void {
    const { websocket, mask } = this.carrier
    if (this.#isClosed || this.#isClosing || websocket.readyState !== OPEN) return
    if (hasRoom && mask !== 'random') websocket._socket.write(withHead(message, mask === 'zero'))
    else websocket.send(message, BINARY)
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
    if (!this.#isWaiting || this.#isClosed) return
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

/** The frame of a message, whose head is written to the room before it: TLS copies what comes in two pieces, and two cost more than one anyway. */
function withHead({ buffer, byteOffset, length }: Buffer, isMasked: boolean): Buffer {
  const maskBytes = isMasked ? MASK_BYTES : 0
  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const headBytes = 2 + lengthBytes + maskBytes
  const frame = Buffer.from(buffer, byteOffset - headBytes, headBytes + length)
  frame[0] = BINARY_MESSAGE
  frame[1] = (isMasked ? MASKED : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127)
  if (lengthBytes === 2) frame.writeUInt16BE(length, 2)
  if (lengthBytes === 8) {
    frame.writeUInt32BE(0, 2)
    frame.writeUInt32BE(length, 6)
  }
  frame.fill(0, headBytes - maskBytes, headBytes)
  return frame
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
