import { createServer, type Server } from 'node:http'
import { asGatewayError, messageOf, type ErrorCode } from '../errors.ts'
import type { ConnectionRecord } from '../telemetry/connection-log.ts'
import type { Log } from '../telemetry/log.ts'
import { mutedText, Repeats } from '../telemetry/repeats.ts'
import { formatHostPort, parseHostPort, type HostPort } from '../address/host-port.ts'
import { ConnectionCount } from './connection-count.ts'
import { askTunnel, dialTunnel, refusalOf, TunnelRefused, type DialOptions } from './dial.ts'
import { answerText, healthText } from './health-page.ts'
import { TunnelListener, listenOn, type TunnelClient, type TunnelObserver } from './tunnel-listener.ts'

/** A local port and the tunnel that its connections go through. */
export interface Forward {
  readonly listen: HostPort
  readonly url: URL
}

/** Options of a forwarder. */
export interface ForwarderOptions {
  readonly forwards: readonly Forward[]
  readonly maxConnections: number
  /** Where the health page is; undefined: nowhere. */
  readonly api?: HostPort | undefined
  readonly dial: Omit<DialOptions, 'authorization'>
  /** Value of Authorization for one connection through `url`; undefined: what the URL has. */
  readonly authorization: (url: URL) => string | undefined
  /** Told of each connection for which the credentials were not enough. */
  readonly onUnauthorized?: (url: URL) => void
  readonly drainTimeoutMs: number
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly record: (record: ConnectionRecord) => void
}

/** Statuses that another attempt will not change: they are about what the user said. */
const FINAL: ReadonlySet<number> = new Set([400, 401, 403, 404])
/** A gateway says this to a request that would be a tunnel if it were a WebSocket. */
const WOULD_OPEN = 426
const UNAUTHORIZED = 401
const GONE = 'the forwarder stops'
/** The shortest time between two log lines of the same complaint, milliseconds. */
const COMPLAINT_PERIOD_MS = 60_000
/** For close frames to be sent and answered, milliseconds. */
const FAREWELL_MS = 1_000

/** A URL as it may be shown: without user, password and query. */
export const shownUrl = (url: URL): string => `${url.protocol}//${url.host}${url.pathname}`

/** Local ports that lead through tunnels, each connection through one of its own. */
export class Forwarder {
  readonly #count: ConnectionCount
  readonly #listeners: readonly TunnelListener[]
  readonly #health: Server | undefined
  readonly #complaints: Repeats
  #ids = 0
  #closing: Promise<void> | undefined
  /** Where it listens, in the order of the forwards; and the health page. Once started. */
  places: { readonly listeners: readonly HostPort[]; readonly api: HostPort | undefined } = { listeners: [], api: undefined }

  constructor(
    private readonly options: ForwarderOptions,
    private readonly log: Log,
  ) {
    const { forwards, maxConnections, dial, authorization, clock, api } = options
    this.#count = new ConnectionCount(maxConnections)
    this.#complaints = new Repeats(COMPLAINT_PERIOD_MS, clock)
    this.#listeners = forwards.map(
      ({ listen, url }, index) =>
        new TunnelListener({
          listen,
          count: this.#count,
          clock,
          dial: signal => dialTunnel(url, { ...dial, authorization: authorization(url), signal }),
          observer: this.#observe(url, () => this.places.listeners[index]?.port ?? listen.port),
        }),
    )
    if (api === undefined) return
    this.#health = createServer({ requestTimeout: 5_000 }, (request, response) => {
      request.resume()
      if (request.url === '/health') answerText(response, 200, healthText(this.#count))
      else answerText(response, 404, '404 page not found\n')
    })
    this.#health.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#count.active
  }

  /**
   * Asks whether the tunnels would open, then opens the ports. A gateway that does not answer may come later, so that is a warning.
   * @throws TunnelRefused for credentials or names that are not accepted, GatewayError LISTEN_FAILED; with nothing left open
   */
  async start(): Promise<void> {
    const { forwards, api } = this.options
    await Promise.all(forwards.map(({ url }) => this.#probe(url)))
    try {
      const listeners: HostPort[] = []
      for (const listener of this.#listeners) listeners.push(await listener.start())
      const apiPlace = this.#health === undefined || api === undefined ? undefined : await listenOn(this.#health, api)
      this.places = { listeners, api: apiPlace }
    } catch (error) {
      this.destroy()
      throw error
    }
    for (const [index, { url }] of forwards.entries()) {
      const place = formatHostPort(this.places.listeners[index]!)
      this.log.info({ listen: place, url: shownUrl(url) }, `forwarding ${place} to ${shownUrl(url)}`)
    }
    if (this.places.api !== undefined)
      this.log.info({ listen: formatHostPort(this.places.api) }, `health page at http://${formatHostPort(this.places.api)}/health`)
  }

  /** Takes no new connections, lets the open ones end up to the drain timeout, then cuts them. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#drain()
    return this.#closing
  }

  /** Ends now. */
  destroy(): void {
    for (const listener of this.#listeners) listener.destroy(GONE)
    this.#health?.close()
    this.#health?.closeAllConnections()
  }

  async #drain(): Promise<void> {
    for (const listener of this.#listeners) listener.stop()
    const { active } = this.#count
    if (active > 0) this.log.info({ connections: active }, 'draining: open connections may end, new ones are refused')
    await this.#count.idle(this.options.drainTimeoutMs)
    this.destroy()
    await this.#count.idle(FAREWELL_MS)
  }

  async #probe(url: URL): Promise<void> {
    const { dial, authorization } = this.options
    try {
      const { response, body } = await askTunnel(url, {}, { ...dial, authorization: authorization(url) })
      const status = response.statusCode ?? 0
      if (status === WOULD_OPEN) return
      const refusal = refusalOf(url, response, body)
      if (FINAL.has(status)) throw refusal
      const why = status < 300 ? 'something else answers there: is it the gateway, and has its targets file this tunnel?' : refusal.message
      this.log.warn({ url: shownUrl(url), status }, `${why}; connections will be tried nevertheless`)
    } catch (error) {
      if (error instanceof TunnelRefused) throw error
      this.log.warn({ url: shownUrl(url), code: asGatewayError(error).code }, `${messageOf(error)}; connections will be tried nevertheless`)
    }
  }

  #observe(url: URL, port: () => number): TunnelObserver {
    const { log } = this
    const target = shownUrl(url)
    const nothing = { bytesIn: 0, bytesOut: 0, durationMs: 0 }
    const record = ({ client }: TunnelClient, facts: typeof nothing, error: ErrorCode | undefined, reason: string): void => {
      const { host, port: clientPort } = parseHostPort(client) ?? { host: client, port: 0 }
      const connectionId = (++this.#ids).toString(36)
      this.options.record({ connectionId, client: host, clientPort, port: port(), target, identifier: undefined, error, reason, ...facts })
    }
    // Each connection has its line; this says it to those who only look at warnings, and not a hundred times.
    const complain = (code: ErrorCode, message: string): void => {
      const muted = this.#complaints.take(`${target} ${message}`)
      if (muted !== undefined)
        log.warn({ url: target, code, ...(muted > 0 && { muted }) }, `no tunnel for a connection: ${message}${mutedText(muted)}`)
    }
    return {
      onRejected: connection => {
        const reason = `${this.#count.max} connections are open, as many as --max-connections allows`
        complain('OVERLOADED', reason)
        record(connection, nothing, 'OVERLOADED', reason)
      },
      onRequest: () => undefined,
      onOpened: () => undefined,
      onFailed: (connection, error) => {
        const { code, message } = asGatewayError(error)
        complain(code, message)
        record(connection, nothing, code, message)
        if (error instanceof TunnelRefused && error.status === UNAUTHORIZED) this.options.onUnauthorized?.(url)
      },
      onEnd: (connection, { error, bytesFromTunnel, bytesToTunnel }, durationMs) => {
        const failure = error === undefined ? undefined : asGatewayError(error, 'CANCELLED')
        record(connection, { bytesIn: bytesToTunnel, bytesOut: bytesFromTunnel, durationMs }, failure?.code, failure?.message ?? '')
      },
    }
  }
}
