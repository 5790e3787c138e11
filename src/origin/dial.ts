import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { formatHostPort } from '../address/host-port.ts'
import { GatewayError } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import { handshakeFailure } from './origin-failure.ts'
import { serverNameOf, type TlsMaterial } from './origin-tls.ts'

const CONNECT_MS = 10_000
const TCP_KEEP_ALIVE_MS = 60_000
/** Bytes that are read while nobody takes them, before the read that goes beyond: Node would take four times as many. */
const READ_AHEAD_BYTES = 16_384

/** Another way to a host than a socket of this machine. Names are resolved at the other end, so the allow-list judges the name alone. */
export interface Dialer {
  /** A connection that stands. @param signal  nobody wants it any more */
  dial(hostname: string, port: number, signal: AbortSignal): Promise<Duplex>
}

/** Where an origin is. */
export interface OriginAddress {
  readonly protocol: 'http' | 'https'
  /** A name or an address, IPv6 without brackets. */
  readonly hostname: string
  readonly port: number
}

/** Options for making a connection. */
export interface DialOptions extends OriginAddress {
  /** For `https` alone. */
  readonly tls: TlsMaterial
  /** Protocols that are offered in the TLS handshake. */
  readonly alpn: readonly string[]
  /** 0: as long as the kernel takes. */
  readonly connectMs: number | undefined
  /** DNS, less the addresses that are not allowed. */
  readonly lookup: LookupFunction
  readonly dialer?: Dialer | undefined
  /** Of a plain connection: whatever is read is read into `buffer`, and there is no event `data`. */
  readonly onread?: { readonly buffer: Uint8Array; readonly callback: (length: number) => boolean } | undefined
  /** A session of an earlier connection, to resume. */
  readonly session?: Buffer | undefined
}

/** Told once: of a connection that is ready for the first byte of the request, or of why there is none. */
export interface DialEvents {
  onSocket(socket: Duplex): void
  onFailure(thrown: unknown): void
}

/** Makes a connection, over TLS where the origin speaks it. @returns gives up; nothing is told any more */
export function dial(options: DialOptions, events: DialEvents): () => void {
  const attempt = new Attempt(options, events)
  attempt.start()
  return () => attempt.cancel()
}

class Attempt {
  #timer: NodeJS.Timeout | undefined
  #socket: Duplex | undefined
  #isOver = false
  #error: unknown
  #isConnected = false
  readonly #controller: AbortController | undefined

  constructor(
    private readonly options: DialOptions,
    private readonly events: DialEvents,
  ) {
    if (options.dialer !== undefined) this.#controller = new AbortController()
  }

  start(): void {
    const { connectMs = CONNECT_MS, dialer, hostname, port } = this.options
    if (connectMs > 0) {
      const text = `no connection within ${connectMs / 1000} s`
      this.#timer = setTimeout(() => this.#failed(new GatewayError('ORIGIN_CONNECT_TIMEOUT', text)), connectMs)
    }
    try {
      if (dialer === undefined) this.#use(this.options.protocol === 'https' ? this.#secure(undefined) : this.#plain())
      else
        dialer.dial(hostname, port, this.#controller!.signal).then(
          guarded(
            thrown => this.#failed(thrown),
            socket => {
              if (this.#isOver) return void socket.on('error', () => undefined).destroy()
              this.#isConnected = true
              this.#use(this.options.protocol === 'https' ? this.#secure(socket) : socket)
            },
          ),
          (thrown: unknown) => this.#failed(thrown),
        )
    } catch (thrown) {
      // Later: who asked does not have its handle yet.
      queueMicrotask(() => this.#failed(thrown))
    }
  }

  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#controller?.abort()
    this.#socket?.destroy()
  }

  #plain(): Socket {
    const { hostname: host, port, lookup, onread } = this.options
    return connectTcp({ host, port, lookup, ...SOCKET_OPTIONS, ...(onread !== undefined && { onread }) })
  }

  #secure(socket: Duplex | undefined): TLSSocket {
    const { hostname, port, lookup, tls, alpn, session } = this.options
    return connectTls({
      ...serverNameOf(hostname),
      ...tls.options,
      ...(session === undefined ? {} : { session }),
      ...SOCKET_OPTIONS,
      ...(socket === undefined ? { lookup } : { socket }),
      host: hostname,
      port,
      ALPNProtocols: [...alpn],
    })
  }

  #use(socket: Duplex): void {
    this.#socket = socket
    socket.on('error', error => {
      this.#error ??= error
    })
    socket.once('close', this.#onClose)
    if (this.options.protocol === 'https') {
      socket.once('connect', this.#onConnect)
      socket.once('secureConnect', this.#onReady)
    } else if (this.#isConnected) this.#onReady()
    else socket.once('connect', this.#onReady)
  }

  readonly #onConnect = (): void => {
    this.#isConnected = true
  }

  readonly #onFault = (thrown: unknown): void => {
    this.#isOver = true
    this.#socket?.destroy()
    this.events.onFailure(thrown)
  }

  readonly #onReady = guarded(this.#onFault, () => {
    const socket = this.#socket!
    if (this.#isOver || socket.destroyed) return
    this.#isOver = true
    clearTimeout(this.#timer)
    socket.off('close', this.#onClose)
    this.events.onSocket(socket)
  })

  readonly #onClose = guarded(this.#onFault, () => {
    const isHandshake = this.#isConnected && this.options.protocol === 'https'
    if (isHandshake)
      return this.#failed(handshakeFailure(this.#error, formatHostPort({ host: this.options.hostname, port: this.options.port })))
    this.#failed(this.#error ?? new GatewayError('ORIGIN_CLOSED', 'the connection ended before it was of use'))
  })

  #failed(thrown: unknown): void {
    if (this.#isOver) return
    this.cancel()
    this.events.onFailure(thrown)
  }
}

const SOCKET_OPTIONS = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  highWaterMark: READ_AHEAD_BYTES,
} as const
