import { createServer, type Server } from 'node:http'
import { messageOf } from '../errors.ts'
import type { HostPort } from '../address/host-port.ts'
import type { ConnectionCount } from '../tunnel/connection-count.ts'
import { dialTunnel, type DialOptions } from '../tunnel/dial.ts'
import { listenOn, TunnelListener, type TunnelObserver } from '../tunnel/tunnel-listener.ts'
import type { TunnelArgument } from './arguments.ts'
import { answerText, healthText } from '../tunnel/health-page.ts'
import { goDuration, type SokkenFields, type SokkenLog } from './log.ts'
import { pathOf } from './path.ts'
import { logFault } from './server.ts'

/** Options of a client. */
export interface SokkenClientOptions {
  readonly api: HostPort
  readonly tunnels: readonly TunnelArgument[]
  readonly count: ConnectionCount
  readonly dial: DialOptions
  /** Milliseconds, rising. */
  readonly clock: () => number
}

/** Without user and password. */
export const shownUrl = (text: string): string => text.replace(/\/\/[^/@]*@/, '//***@')

/** The client end: listens on local ports, carries each connection to a server. */
export class SokkenClient {
  readonly #health: Server
  readonly #listeners: readonly TunnelListener[]

  constructor(
    private readonly options: SokkenClientOptions,
    private readonly log: SokkenLog,
  ) {
    const { count, clock, dial } = options
    this.#health = createServer((request, response) => {
      request.resume()
      if (pathOf(request.url ?? '') === '/health') answerText(response, 200, healthText(count))
      else answerText(response, 404, '404 page not found\n')
    })
    this.#health.on('clientError', (_error, socket) => socket.destroy())
    this.#listeners = options.tunnels.map(
      tunnel =>
        new TunnelListener({
          listen: tunnel.listen,
          count,
          clock,
          dial: signal => dialTunnel(tunnel.url, { ...dial, signal }),
          observer: this.#observe(tunnel),
        }),
    )
  }

  /** Opens all ports, the health page's first. @throws GatewayError LISTEN_FAILED, with nothing left open */
  async start(): Promise<{ readonly api: HostPort; readonly listeners: readonly HostPort[] }> {
    try {
      const api = await listenOn(this.#health, this.options.api)
      const listeners: HostPort[] = []
      for (const listener of this.#listeners) listeners.push(await listener.start())
      return { api, listeners }
    } catch (error) {
      this.destroy('')
      throw error
    }
  }

  /** Takes no new connections. */
  stop(): void {
    for (const listener of this.#listeners) listener.stop()
  }

  /** Cuts every connection and closes the health page. Idempotent. */
  destroy(reason: string): void {
    for (const listener of this.#listeners) listener.destroy(reason)
    this.#health.close()
    this.#health.closeAllConnections()
  }

  #observe({ urlText }: TunnelArgument): TunnelObserver {
    const { log } = this
    const { count } = this.options
    // As in the real program, `local` is who has connected, not where.
    const fields = (client: string): SokkenFields => ({
      local: client,
      remote: shownUrl(urlText),
      client,
      'active-connections': count.active,
    })
    return {
      onRejected: ({ client }) => log.error(`rejecting client since we have ${count.active} connections`, fields(client)),
      onRequest: ({ client }) => log.info('tunnel request', fields(client)),
      onOpened: ({ client }) => log.info('plumbing start', fields(client)),
      onFailed: ({ client }, error) => log.error('Dial error', { ...fields(client), error: messageOf(error) }),
      onEnd: ({ client }, { error }, durationMs) => {
        if (error !== undefined) logFault(log, error, fields(client))
        const lasted = { 'active-connections': count.active - 1, 'plumbing-duration-ms': Math.round(durationMs) }
        log.info(`plumbing end, lasted ${goDuration(durationMs)}`, { ...fields(client), ...lasted })
      },
    }
  }
}
