import { asGatewayError, GatewayError } from '../../errors.ts'
import { StreamTable } from '../../mux/stream-table.ts'
import type { TcpPort } from '../../route/tcp-port.ts'
import type { ConnectionRecord } from '../../telemetry/connection-log.ts'
import type { Log } from '../../telemetry/log.ts'
import { DeadlineQueue } from '../../net/deadline-queue.ts'
import { READ_BYTES } from '../../net/read-into.ts'
import type { SocketBook } from '../../net/socket-book.ts'
import type { SharedCounts } from '../../rates/shared-counts.ts'
import type { Taps } from '../../tap/tap.ts'
import type { ConnectionCheck } from '../access/visitor-check.ts'
import { VisitorCounts } from '../access/visitor-counts.ts'
import type { DispatchContext } from '../inner-layers/dispatch.ts'
import type { PassedConnection } from './passed-names.ts'
import { TcpConnection } from './tcp-connection.ts'
import { TcpListener, type TcpListenerContext } from './tcp-listener.ts'
import { authorityKeyOf, type TcpTerminators } from './tcp-terminator.ts'

/** For a client to say which name it wants or to finish its handshake, milliseconds. */
const GREETING_MS = 10_000
/** Longer than an inner layer dials, so that it is the one who says why. */
const OPENING_MS = 30_000
/** A port that could not be opened after a reload is tried again this often, milliseconds. */
const RETRY_MS = 5_000

/** Options of the edge. */
export interface TcpEdgeOptions {
  readonly dispatch: DispatchContext
  /** Ends TLS. */
  readonly terminators: TcpTerminators
  /** Says who may come to sockets of the service; undefined: nobody who has to log in. */
  readonly check?: ConnectionCheck | undefined
  /** Is this the address of a proxy of ours, behind which many clients share one address? */
  readonly isTrusted: (address: string) => boolean
  /** Counts of other processes with the same ports; undefined: this one is alone. */
  readonly shared?: SharedCounts | undefined
  /** Hosts that stand for ports which are open already, by the port; undefined: there are none. */
  readonly inherited?: ReadonlyMap<number, string> | undefined
  /** A fresh id for the log. */
  readonly nextId: () => string
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly log: Log
  /** Undefined: nobody looks at connections. */
  readonly taps?: Taps | undefined
  /** Takes each connection that has ended. */
  readonly record: (record: ConnectionRecord) => void
}

/** A port that could not be opened. */
export interface PortFault {
  readonly port: number
  readonly message: string
}

/** The public TCP and TLS ports of the targets file, and those of sockets: opens, closes and changes them without touching connections that are open. */
export class TcpEdge {
  /** Client certificates, by their outcomes. */
  readonly visitors = new VisitorCounts()
  readonly #log: Log
  readonly #terminators: TcpTerminators
  readonly #context: TcpListenerContext
  #opening: DeadlineQueue | undefined
  #memory: Buffer | undefined
  #greeting: DeadlineQueue | undefined
  readonly #connections = new StreamTable<TcpConnection>()
  #listeners: readonly TcpListener[] = []
  /** Those of sockets of the service, by their port. */
  readonly #ofSockets = new Map<number, TcpListener>()
  /** Those of sockets that could not be opened. */
  readonly #missed = new Map<number, TcpPort>()
  #retryMissed: NodeJS.Timeout | undefined
  #wanted: readonly TcpPort[] = []
  #faults: readonly string[] = []
  #work: Promise<void> = Promise.resolve()
  #retry: NodeJS.Timeout | undefined
  #isClosed = false
  #onIdle: (() => void) | undefined

  constructor({ dispatch, terminators, check, isTrusted, shared, inherited, nextId, clock, log, taps, record }: TcpEdgeOptions) {
    this.#log = log
    this.#terminators = terminators
    // Made for the first connection: who has no such port has no timers for it either.
    const opening = (): DeadlineQueue => (this.#opening ??= new DeadlineQueue(OPENING_MS, clock))
    const greeting = (): DeadlineQueue => (this.#greeting ??= new DeadlineQueue(GREETING_MS, clock))
    const memory = (): Buffer => (this.#memory ??= Buffer.allocUnsafeSlow(READ_BYTES))
    let number = 0
    this.#context = {
      dispatch,
      check,
      isTrusted,
      shared,
      inherited: inherited && new Map(inherited),
      nextId,
      clock,
      log,
      taps,
      get opening() {
        return opening()
      },
      get greeting() {
        return greeting()
      },
      get memory() {
        return memory()
      },
      record,
      visitors: this.visitors,
      nextNumber: () => ++number,
      terminatorOf: port => terminators.of(port),
      onOpen: connection => this.#connections.add(connection),
      onOver: connection => this.#over(connection),
    }
  }

  /** Connections that are not over. */
  get openConnections(): number {
    return this.#connections.size
  }

  /** Ports of the file that are open, in the order of their numbers. */
  get ports(): readonly number[] {
    return this.#listeners.map(({ port }) => port.options.port)
  }

  /** The connections that each port has in its book, and what Node.js has. */
  get watched(): readonly { readonly name: string; readonly book: SocketBook; readonly count: () => Promise<number | undefined> }[] {
    // Of sockets there may be thousands, and most of them idle.
    const ofSockets = [...this.#ofSockets.values()].filter(({ connections, book }) => connections > 0 || book.size > 0)
    return [...this.#listeners, ...ofSockets].map(listener => ({
      name: `TCP port ${listener.port.options.port}`,
      book: listener.book,
      count: () => listener.countConnections(),
    }))
  }

  /** Ports that should be open and are not. */
  get missing(): readonly number[] {
    const open = new Set(this.#listeners.map(({ port }) => keyOf(port)))
    return this.#wanted.filter(port => !open.has(keyOf(port))).map(({ options }) => options.port)
  }

  /** Faults of ports that should be open; empty while all of them are. */
  get faults(): readonly string[] {
    return this.#faults
  }

  /** Files of authorities of clients that could not be read again: the last good ones are in force. */
  get clientFaults(): readonly string[] {
    return this.#terminators.clientFaults
  }

  /** Opens the ports, in their order. @throws GatewayError of the first that fails, such as LISTEN_FAILED, with none left open */
  async start(ports: readonly TcpPort[]): Promise<void> {
    this.#wanted = ports
    const opened: TcpListener[] = []
    try {
      await this.#terminators.prepare(ports)
      for (const port of ports) opened.push(await this.#open(port))
    } catch (error) {
      await Promise.all([...opened.map(listener => listener.close()), this.#terminators.close()])
      throw error
    }
    this.#listeners = opened
  }

  /** Takes a connection of another port, which has counted it. */
  carry({ socket, port, name, head, address, isChallenge }: PassedConnection): void {
    const over = (connection: TcpConnection): void => this.#over(connection)
    const connection = new TcpConnection(this.#context.nextNumber(), this.#context, port, socket, over, address)
    this.#connections.add(connection)
    connection.name = name
    if (!port.admits(address)) return connection.abort('ADDRESS_REFUSED', 'allow and deny of the name do not let this address in')
    connection.join({ route: { ...port.routeOf(name)!, hostname: name }, head, isChallenge })
  }

  /** Takes over other ports: resolves when they are open, or their faults are known. Connections that are open go on. */
  update(ports: readonly TcpPort[]): Promise<void> {
    this.#wanted = ports
    this.#work = this.#work.then(() => this.#apply())
    return this.#work
  }

  /**
   * Opens and changes ports of sockets, and closes others; connections that are open go on. Costs what it names, however many there are.
   * @returns those that could not be opened, when all others are
   */
  changeSockets(opened: readonly TcpPort[], closed: readonly number[]): Promise<readonly PortFault[]> {
    if (opened.length === 0 && closed.length === 0) return Promise.resolve([])
    const faults = this.#work.then(() => this.#changeSockets(opened, closed))
    this.#work = faults.then(ignore, ignore)
    return faults
  }

  async #changeSockets(opened: readonly TcpPort[], closed: readonly number[]): Promise<readonly PortFault[]> {
    if (this.#isClosed) return []
    const faults: PortFault[] = []
    for (const number of closed) {
      const listener = this.#ofSockets.get(number)
      this.#ofSockets.delete(number)
      this.#missed.delete(number)
      await listener?.close()
    }
    const secured = opened.filter(port => !this.#terminators.isReady(port))
    let failure: string | undefined
    if (secured.length > 0) {
      const prepare = this.#terminators.prepare([...this.#needed, ...secured])
      await prepare.catch((error: unknown) => void (failure = asGatewayError(error).message))
    }
    for (const port of opened) {
      const { port: number } = port.options
      const known = this.#ofSockets.get(number)
      try {
        if (!this.#terminators.isReady(port)) throw new GatewayError('LISTEN_FAILED', failure ?? 'its certificate is not there')
        if (known === undefined) this.#ofSockets.set(number, await this.#open(port))
        else known.port = port
        this.#missed.delete(number)
      } catch (error) {
        this.#missed.set(number, port)
        faults.push({ port: number, message: asGatewayError(error).message })
      }
    }
    if (this.#missed.size > 0) this.#retryMissed ??= setTimeout(() => this.#openMissed(), RETRY_MS).unref()
    return faults
  }

  /** Tries such ports again: they may be free by now. */
  #openMissed(): void {
    this.#retryMissed = undefined
    // Those that are missed by then: one may have gone while others were opened.
    this.#work = this.#work.then(() => this.#changeSockets([...this.#missed.values()], [])).then(ignore, ignore)
  }

  /** Ports that need something to be read: those of the file, and of the sockets that end TLS one of each kind. */
  get #needed(): readonly TcpPort[] {
    const kinds = new Map<string, TcpPort>()
    for (const { port } of this.#ofSockets.values()) if (port.options.tls === 'terminate') kinds.set(authorityKeyOf(port), port)
    return [...this.#wanted, ...kinds.values()]
  }

  get #all(): readonly TcpListener[] {
    return [...this.#listeners, ...this.#ofSockets.values()]
  }

  /** Takes no new connections; resolves once the open ones are over. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retry)
    clearTimeout(this.#retryMissed)
    await this.#work
    await Promise.all(this.#all.map(listener => listener.close()))
    this.#listeners = []
    this.#ofSockets.clear()
    if (this.#connections.size > 0) {
      await new Promise<void>(resolve => {
        this.#onIdle = resolve
      })
    }
  }

  /** Cuts everything. */
  async destroy(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retry)
    clearTimeout(this.#retryMissed)
    for (const listener of this.#all) void listener.close()
    for (const connection of this.#connections.all()) connection.abort('DRAINING', 'the outer layer stops')
    this.#opening?.close()
    this.#greeting?.close()
    await this.#work
    await Promise.all([...this.#all.map(listener => listener.close()), this.#terminators.close()])
  }

  async #open(port: TcpPort): Promise<TcpListener> {
    const listener = new TcpListener(port, this.#context)
    await listener.open()
    return listener
  }

  async #apply(): Promise<void> {
    if (this.#isClosed) return
    clearTimeout(this.#retry)
    const wanted = new Map(this.#wanted.map(port => [keyOf(port), port]))
    const kept = this.#listeners.filter(({ port }) => wanted.has(keyOf(port)))
    const gone = this.#listeners.filter(listener => !kept.includes(listener))
    await Promise.all(gone.map(listener => listener.close()))
    const faults: string[] = []
    // It is tried again and again, and told once.
    const blame = (error: unknown, what: string): void => {
      const { code, message } = asGatewayError(error)
      if (!this.#faults.includes(message)) this.#log.error({ code }, `${what}: ${message}`)
      faults.push(message)
    }
    await this.#terminators.prepare(this.#needed).catch((error: unknown) => blame(error, 'TCP ports with TLS are not as the file says'))
    for (const listener of kept) {
      const port = wanted.get(keyOf(listener.port))!
      wanted.delete(keyOf(port))
      if (this.#terminators.isReady(port)) listener.port = port
    }
    const opened: TcpListener[] = []
    for (const port of wanted.values()) {
      if (!this.#terminators.isReady(port)) continue
      try {
        opened.push(await this.#open(port))
      } catch (error) {
        blame(error, `port ${port.options.port} is not open`)
      }
    }
    this.#listeners = [...kept, ...opened].sort((a, b) => a.port.options.port - b.port.options.port)
    this.#say(opened, gone)
    this.#faults = faults
    if (faults.length > 0) this.#retry = setTimeout(() => void this.update(this.#wanted), RETRY_MS).unref()
  }

  #say(opened: readonly TcpListener[], closed: readonly TcpListener[]): void {
    const numbers = (listeners: readonly TcpListener[]): string => listeners.map(({ port }) => port.options.port).join(', ')
    if (opened.length > 0) this.#log.info({}, `TCP ports opened: ${numbers(opened)}`)
    if (closed.length > 0) {
      const open = closed.reduce((sum, { connections }) => sum + connections, 0)
      this.#log.info({}, `TCP ports closed: ${numbers(closed)}${open > 0 ? `; ${open} of their connections go on` : ''}`)
    }
  }

  #over(connection: TcpConnection): void {
    this.#connections.delete(connection)
    if (this.#connections.size === 0) this.#onIdle?.()
  }
}

/** Where a port listens; the same place is never closed and opened again. */
const keyOf = ({ options }: TcpPort): string => `${options.host ?? ''} ${options.port}`

const ignore = (): void => undefined
