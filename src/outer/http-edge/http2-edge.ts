import type { Socket } from 'node:net'
import { addressKey } from '../../address/address-key.ts'
import type { Peer } from '../../http/client.ts'
import { MAX_FIELDS } from '../../http/fields.ts'
import type { ClientTurns } from '../../net/client-turns.ts'
import { attempt, guarded } from '../../net/guard.ts'
import { Penalties } from '../access/penalties.ts'
import type { EdgeContext } from './edge-context.ts'
import { Http2Budgets, type Http2Budget } from './http2-budgets.ts'
import { FIRST_WINDOW_BYTES, UploadBudget } from './http2-upload-window.ts'
import { Http2Connection, type Http2ConnectionOptions } from './http2-connection.ts'

/** RFC 9113 §6.5.2 recommends no fewer; each may wait for an origin. */
const MAX_STREAMS = 100
/** Connections without a stream are kept this long, as over HTTP/1. */
const IDLE_MS = 65_000
/** An address whose connection was ended for a flood gets no other for this long; proxies that are trusted apart, milliseconds. */
const PENALTY_MS = 10_000
/** The time between two looks at the connections. */
const LOOK_MS = 1_000

/** Options of an HTTP/2 edge. */
export interface Http2EdgeOptions {
  /** Turns of requests that come at the same moment. */
  readonly turns: ClientTurns
  /** The time for which connections without a stream are kept; the default suits everything but tests. */
  readonly idleMs?: number
}

/** Step 1 of the path for HTTP/2 (RFC 9113): connections come from other ports, by ALPN or by their preface. Every stream is an exchange. */
export class Http2Edge {
  readonly #connections = new Set<Http2Connection>()
  readonly #settings: Http2ConnectionOptions['settings']
  readonly #penalties: Penalties
  readonly #budgets: Http2Budgets
  readonly #uploads = new UploadBudget()
  #watch: NodeJS.Timeout | undefined
  #openExchanges = 0
  #isDestroyed = false
  #onIdle: (() => void) | undefined

  constructor(
    private readonly context: EdgeContext,
    private readonly options: Http2EdgeOptions,
  ) {
    this.#penalties = new Penalties(PENALTY_MS, context.clock)
    this.#budgets = new Http2Budgets(context.clock)
    this.#settings = {
      maxHeaderListPairs: 2 * MAX_FIELDS, // beyond MAX_FIELDS admission says 431, what is beyond this is reset
      maxSessionInvalidFrames: 100,
      settings: {
        enableConnectProtocol: true,
        initialWindowSize: FIRST_WINDOW_BYTES,
        maxConcurrentStreams: MAX_STREAMS,
        maxHeaderListSize: 2 * context.limits.headerBytes, // likewise
      },
    }
  }

  /** Requests that are not over. */
  get openExchanges(): number {
    return this.#openExchanges
  }

  /** Connections that are open. */
  get openConnections(): number {
    return this.#connections.size
  }

  /** Takes a connection that another port has accepted and counted; what was read of it already is given back to it. */
  adopt(socket: Socket, peer: Peer): void {
    // A session on a socket that is gone would end the process (Node 20).
    if (socket.destroyed || this.#isDestroyed || this.#penalties.has(peer.address)) return void socket.destroy()
    const { budget, close } = this.#budgets.open(peer.address, peer.isTrusted)
    const fail = (thrown: unknown): void => {
      close()
      socket.destroy()
      throw thrown
    }
    attempt(fail, () => this.#open(socket, peer, budget, close))
  }

  #open(socket: Socket, peer: Peer, budget: Http2Budget, close: () => void): void {
    const client = addressKey(peer.address)
    const connection = new Http2Connection(this.context, {
      socket,
      peer,
      settings: this.#settings,
      idleMs: this.options.idleMs ?? IDLE_MS,
      budget,
      uploads: this.#uploads,
      takeTurn: (begin, refuse) => this.options.turns.take(client, begin, refuse),
      onFlood: () => {
        if (!peer.isTrusted) this.#penalties.add(peer.address)
      },
      onBegin: () => {
        this.#openExchanges++
      },
      onEnd: () => {
        this.#openExchanges--
        this.#idle()
      },
      onClosed: over => {
        close()
        this.#connections.delete(over)
        this.#idle()
      },
    })
    this.#connections.add(connection)
    this.#watch ??= setInterval(guarded(this.#fail, this.#look), LOOK_MS).unref()
  }

  /** Takes no new connections and no new requests; resolves once those in flight are over. */
  async close(): Promise<void> {
    if (this.#connections.size === 0) return
    const idle = new Promise<void>(resolve => {
      this.#onIdle = resolve
    })
    for (const connection of this.#connections) connection.retireSoon()
    await idle
  }

  /** Cuts everything. */
  destroy(): void {
    this.#isDestroyed = true
    clearInterval(this.#watch)
    for (const connection of [...this.#connections]) connection.destroy()
  }

  readonly #fail = (thrown: unknown): void => {
    this.context.log.error({ err: thrown }, 'internal fault in the watch of HTTP/2 connections')
  }

  readonly #look = (): void => {
    this.#budgets.forget()
    for (const connection of [...this.#connections]) {
      const requests = connection.openStreams
      const reason = connection.look()
      if (reason !== undefined)
        this.context.log.warn({ requests, reason }, `gave up an HTTP/2 connection and freed what it held: ${reason}`)
    }
  }

  #idle(): void {
    if (this.#openExchanges === 0 && this.#connections.size === 0) this.#onIdle?.()
  }
}
