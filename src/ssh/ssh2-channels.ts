/**
 * Everything that touches what ssh2 keeps to itself, for the pinned releases of it: the table of its message handlers, which gives channels
 * that the server opens to streams of ours, and the messages that those streams send. `missingFields` says which of it is gone.
 */
import type { Socket } from 'node:net'
import type { WindowContext } from '../mux/receive-window.ts'
import { GatewayError } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import { canSend, type Connection } from './ssh2.ts'
import { forgetExchange } from './ssh2-memory.ts'
import { QuickCipher, sendCheaply, type Padding } from './ssh2-packets.ts'
import { INITIAL_WINDOW_BYTES, TunnelChannel, type ChannelWire } from './tunnel-channel.ts'

type Handler = (protocol: unknown, ...args: readonly unknown[]) => void
type Meaning = (own: Ssh2Channels, first: unknown, second: unknown, third: unknown) => boolean

/** Where a connection of ssh2 has its channels. */
const CHANNELS = Symbol('channels')

interface Opened {
  readonly recipient: number
  readonly sender: number
  readonly window: number
  readonly packetSize: number
}

interface ForwardedTo {
  readonly boundAddr: string
  readonly boundPort: number
  readonly remoteAddr: string
  readonly remotePort: number
}

interface PrivateProtocol {
  readonly _handlers: Record<string, Handler>
  [CHANNELS]?: Ssh2Channels
  /** Set while keys are exchanged; what is sent meanwhile is queued in `_queue`, without a bound. */
  readonly _kexinit: unknown
  readonly _queue: readonly unknown[] | undefined
  forwardedTcpip(channel: number, windowBytes: number, packetBytes: number, to: ForwardedTo): void
  channelData(recipient: number, bytes: Buffer): void
  channelWindowAdjust(recipient: number, bytes: number): void
  channelEOF(recipient: number): void
  channelClose(recipient: number): void
  channelFailure(recipient: number): void
}

interface PrivateClient {
  readonly _protocol: PrivateProtocol
  readonly _chanMgr: { add(value: unknown): number; remove(id: number): void }
  readonly _sock: Socket
}

/** Largest packet that is taken, bytes. */
const PACKET_BYTES = 32_768
/** Bytes and less may wait in the TCP socket before channels hold back. */
const JAM_BYTES = 524_288
/** Messages that wait for the end of a key exchange: more is a peer that does not want it to end. */
const MAX_QUEUED = 4_096
const METHODS = ['forwardedTcpip', 'channelData', 'channelWindowAdjust', 'channelEOF', 'channelClose', 'channelFailure'] as const
const MESSAGES = [
  'CHANNEL_OPEN_CONFIRMATION',
  'CHANNEL_OPEN_FAILURE',
  'CHANNEL_DATA',
  'CHANNEL_EXTENDED_DATA',
  'CHANNEL_WINDOW_ADJUST',
  'CHANNEL_SUCCESS',
  'CHANNEL_FAILURE',
  'CHANNEL_REQUEST',
  'CHANNEL_EOF',
  'CHANNEL_CLOSE',
] as const
type Message = (typeof MESSAGES)[number]

/** Returns the names of ssh2's own fields that this file needs and `client` does not have: some where another release of it is installed. */
export function missingFields(client: Connection): readonly string[] {
  const { _protocol: protocol, _chanMgr: channels, _sock: socket } = client as unknown as Partial<PrivateClient>
  const missing: string[] = []
  const need = (isThere: boolean, name: string): void => {
    if (!isThere) missing.push(name)
  }
  need(socket !== undefined, '_sock')
  need(typeof channels?.add === 'function' && typeof channels.remove === 'function', '_chanMgr')
  need(protocol !== undefined && '_kexinit' in protocol, '_protocol._kexinit')
  need(protocol !== undefined && '_queue' in protocol, '_protocol._queue')
  need(canSend(client), '_protocol._packetRW, _protocol._cipher')
  for (const name of METHODS) need(typeof protocol?.[name] === 'function', `_protocol.${name}`)
  for (const name of MESSAGES) need(typeof protocol?._handlers[name] === 'function', `_protocol._handlers.${name}`)
  return missing
}

/** The socket that a client of ssh2 was made for. */
export const socketOf = (client: Connection): Socket => (client as unknown as PrivateClient)._sock

/** The way that a channel leads, and the visitor for whom. */
export interface ChannelRequest {
  /** As the client has asked for it, to the letter: clients compare. */
  readonly boundAddress: string
  readonly boundPort: number
  readonly originAddress: string
  /** 1 to 65535: Go's client refuses 0. */
  readonly originPort: number
}

/** Settings of the channels of one connection. */
export interface ChannelSettings {
  readonly window: Pick<WindowContext, 'budget' | 'clock'>
  readonly holdsEof: boolean
  readonly lingerMs: number
  readonly padding: Padding
}

/** Reasons of RFC 4254 §5.1. */
const PROHIBITED = 1
const CONNECT_FAILED = 2

interface Opening {
  readonly startedMs: number
  readonly done: (result: TunnelChannel | GatewayError) => void
}

/** The channels that we open at one client, each a stream of ours instead of one of ssh2's. */
export class Ssh2Channels {
  readonly #protocol: PrivateProtocol
  readonly #ids: PrivateClient['_chanMgr']
  readonly #opening = new Map<number, Opening>()
  readonly #open = new Map<number, TunnelChannel>()
  /** Closed here, not yet by the client: what it sends meanwhile is dropped. */
  readonly #closing = new Set<number>()
  /** The numbers that the client has for our channels. */
  readonly #recipients = new Map<number, number>()
  readonly #waiting = new Set<() => void>()
  /** ssh2's own handlers, in the order of the messages. */
  readonly #theirs: Handler[] = []
  readonly #cipher: QuickCipher
  #isCorked = false
  #isOver = false
  #roundTripMs = 0

  /** @param client  see `missingFields` */
  constructor(
    client: Connection,
    private readonly socket: Socket,
    private readonly settings: ChannelSettings,
  ) {
    const own = client as unknown as PrivateClient
    this.#protocol = own._protocol
    this.#ids = own._chanMgr
    this.#take()
    const fail = (thrown: unknown): void => void socket.destroy(thrown as Error)
    this.#cipher = new QuickCipher(client, fail)
    socket.on('drain', guarded(fail, this.#resume))
    // The end of every key exchange, the first and later ones.
    client.on('handshake', guarded(fail, this.#resume))
    // Once ssh2 has done with it.
    const forget = guarded(fail, () => {
      forgetExchange(client)
      sendCheaply(client, settings.padding)
    })
    client.on(
      'handshake',
      guarded(fail, () => queueMicrotask(forget)),
    )
  }

  /** Channels that are open or about to be. */
  get count(): number {
    return this.#open.size + this.#opening.size
  }

  /** True while keys are exchanged and the client makes us queue more than it may. */
  get isFlooded(): boolean {
    return (this.#protocol._queue?.length ?? 0) > MAX_QUEUED
  }

  /** Opens a channel. @param done  told once: ORIGIN_REFUSED, ORIGIN_FORBIDDEN or ORIGIN_CLOSED where the client does not open it @returns gives up */
  open(request: ChannelRequest, done: Opening['done']): () => void {
    const id = this.#isOver ? -1 : this.#ids.add(true)
    if (id === -1) {
      queueMicrotask(() => done(gone()))
      return () => undefined
    }
    this.#opening.set(id, { startedMs: this.settings.window.clock(), done })
    const { boundAddress: boundAddr, boundPort, originAddress: remoteAddr, originPort: remotePort } = request
    this.#say(() => this.#protocol.forwardedTcpip(id, INITIAL_WINDOW_BYTES, PACKET_BYTES, { boundAddr, boundPort, remoteAddr, remotePort }))
    return () => {
      const opening = this.#opening.get(id)
      // The client may open it all the same, and is then told that it is closed.
      if (opening !== undefined) this.#opening.set(id, { ...opening, done: abandon })
    }
  }

  /** The connection is gone: every channel ends. */
  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const { done } of this.#opening.values()) done(gone())
    this.#opening.clear()
    for (const channel of [...this.#open.values()]) channel.destroy(gone())
    this.#open.clear()
    this.#closing.clear()
    this.#waiting.clear()
  }

  /** Gives messages for our channels to us, and leaves all others to ssh2. */
  #take(): void {
    const handlers = this.#protocol._handlers
    for (const [name, ours] of Ssh2Channels.#ours) {
      this.#theirs.push(handlers[name]!)
      handlers[name] = ours
    }
    this.#protocol[CHANNELS] = this
  }

  #of(id: number, action: (channel: TunnelChannel) => void): boolean {
    const channel = this.#open.get(id)
    if (channel !== undefined) action(channel)
    return channel !== undefined || this.#closing.has(id)
  }

  /** The meaning of each message for a channel of ours; false: it is none of ours. One table for all connections, of which there are hundreds. */
  static readonly #meanings: Readonly<Record<Message, Meaning>> = {
    CHANNEL_OPEN_CONFIRMATION: (own, opened) => own.#opened((opened as Opened).recipient, opened as Opened),
    CHANNEL_OPEN_FAILURE: (own, id, reason, text) => own.#refused(id as number, reason as number, text as string),
    CHANNEL_DATA: (own, id, bytes) => {
      own.#cipher.spend((bytes as Buffer).length)
      return own.#of(id as number, channel => channel.onBytes(bytes as Buffer))
    },
    CHANNEL_EXTENDED_DATA: (own, id, bytes) => own.#of(id as number, channel => channel.discard((bytes as Buffer).length)),
    CHANNEL_WINDOW_ADJUST: (own, id, bytes) => own.#of(id as number, channel => channel.onCredit(bytes as number)),
    CHANNEL_EOF: (own, id) => own.#of(id as number, channel => channel.onEof()),
    CHANNEL_SUCCESS: (own, id) => own.#of(id as number, () => undefined),
    CHANNEL_FAILURE: (own, id) => own.#of(id as number, () => undefined),
    CHANNEL_REQUEST: (own, id, _type, wantsReply) =>
      own.#of(id as number, () => {
        if (wantsReply === true) own.#refuseRequest(id as number)
      }),
    CHANNEL_CLOSE: (own, id) => own.#closed(id as number),
  }

  static readonly #ours: readonly (readonly [Message, Handler])[] = MESSAGES.map((name, index) => [
    name,
    (protocol, ...args) => {
      const own = (protocol as PrivateProtocol)[CHANNELS]!
      if (!Ssh2Channels.#meanings[name](own, args[0], args[1], args[2])) own.#theirs[index]!(protocol, ...args)
    },
  ])

  #opened(id: number, { sender, window, packetSize }: Opened): boolean {
    const opening = this.#opening.get(id)
    if (opening === undefined) return this.#open.has(id) || this.#closing.has(id)
    this.#opening.delete(id)
    this.#measure(this.settings.window.clock() - opening.startedMs)
    const channel = new TunnelChannel({
      wire: this.#wire(id, sender),
      credit: window,
      maxPacketBytes: Math.max(1, Math.min(packetSize, PACKET_BYTES)),
      window: { ...this.settings.window, roundTripMs: () => this.#roundTripMs },
      holdsEof: this.settings.holdsEof,
      lingerMs: this.settings.lingerMs,
    })
    this.#open.set(id, channel)
    this.#recipients.set(id, sender)
    opening.done(channel)
    return true
  }

  #refused(id: number, reason: number, text: string): boolean {
    const opening = this.#opening.get(id)
    if (opening === undefined) return false
    this.#opening.delete(id)
    this.#ids.remove(id)
    opening.done(refusalOf(reason, text))
    return true
  }

  #closed(id: number): boolean {
    const channel = this.#open.get(id)
    this.#open.delete(id)
    const isOurs = this.#closing.delete(id) || channel !== undefined
    if (!isOurs) return false
    channel?.onClose()
    // The channel has said its own close, now or earlier.
    this.#closing.delete(id)
    this.#recipients.delete(id)
    this.#ids.remove(id)
    return true
  }

  #refuseRequest(id: number): void {
    const recipient = this.#recipients.get(id)
    if (recipient !== undefined) this.#say(() => this.#protocol.channelFailure(recipient))
  }

  #wire(id: number, recipient: number): ChannelWire {
    const protocol = this.#protocol
    const isJammed = (): boolean => this.socket.writableLength > JAM_BYTES || protocol._kexinit !== undefined
    return {
      get isJammed() {
        return isJammed()
      },
      whenFree: resume => void this.#waiting.add(resume),
      data: bytes => {
        this.#cipher.spend(bytes.length)
        this.#say(() => protocol.channelData(recipient, bytes))
      },
      grant: bytes => this.#say(() => protocol.channelWindowAdjust(recipient, bytes)),
      eof: () => this.#say(() => protocol.channelEOF(recipient)),
      close: () => {
        if (this.#open.delete(id)) this.#closing.add(id)
        this.#say(() => protocol.channelClose(recipient))
      },
    }
  }

  /** Sends: what comes in one turn goes out in one write. A connection that cannot be written to ends. */
  #say(action: () => void): void {
    const { socket } = this
    if (this.#isOver || socket.destroyed || !socket.writable) return
    if (!this.#isCorked) {
      this.#isCorked = true
      socket.cork()
      setImmediate(this.#uncork)
    }
    try {
      action()
    } catch (thrown) {
      socket.destroy(thrown as Error)
    }
  }

  readonly #uncork = (): void => {
    const { socket } = this
    this.#isCorked = false
    try {
      // In the same write: whatever comes after it waits for the end of the exchange.
      if (!this.#isOver && socket.writable) this.#cipher.renewIfDue()
    } catch (thrown) {
      socket.destroy(thrown as Error)
    }
    socket.uncork()
  }

  readonly #resume = (): void => {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resume of waiting) {
      try {
        resume()
      } catch (thrown) {
        this.socket.destroy(thrown as Error)
      }
    }
  }

  /** The time from our question to the client's answer, in which it has dialled its origin: the shortest one is close to the round trip. */
  #measure(ms: number): void {
    this.#roundTripMs = this.#roundTripMs === 0 || ms < this.#roundTripMs ? ms : this.#roundTripMs + (ms - this.#roundTripMs) / 16
  }
}

function abandon(result: TunnelChannel | GatewayError): void {
  if (result instanceof TunnelChannel) result.destroy()
}

const gone = (): GatewayError => new GatewayError('ORIGIN_CLOSED', 'the SSH client went away')

function refusalOf(reason: number, text: string): GatewayError {
  const said = text === '' ? '' : ` (${text.slice(0, 200)})`
  if (reason === PROHIBITED) return new GatewayError('ORIGIN_FORBIDDEN', `the SSH client does not allow the connection${said}`)
  const what =
    reason === CONNECT_FAILED ? 'nothing answers at the port that the SSH client forwards to' : 'the SSH client opened no channel'
  return new GatewayError('ORIGIN_REFUSED', `${what}${said}`)
}
