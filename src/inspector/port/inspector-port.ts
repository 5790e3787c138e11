import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isThisMachine } from '../../address/this-machine.ts'
import { createConsole, type ConsoleHandler } from '../../console/console-files.ts'
import { GatewayError } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'
import { listen } from '../../net/listen.ts'
import type { InspectorApi } from '../api/inspector-api.ts'

const LOOPBACK = '127.0.0.1'
const MAX_CONNECTIONS = 100

/** Where an inspector listens. */
export interface InspectorPlace {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
}

/** The port of an inspector, for eyes of this machine alone: the console, and the API below `/inspector/`. */
export class InspectorPort {
  readonly #server: Server
  readonly #console: ConsoleHandler

  /** @throws GatewayError USAGE for an address that others can reach */
  constructor(
    private readonly place: InspectorPlace,
    private readonly api: InspectorApi,
    onFault: (thrown: unknown) => void,
  ) {
    if (!isThisMachine(place.host))
      throw new GatewayError(
        'USAGE',
        `--inspect ${place.host}:${place.port}: others can reach this address, and the inspector has no password; listen on ${LOOPBACK} and come by ssh -L, or inspect at the outer layer, whose admin port has one`,
      )
    this.#console = createConsole(() => ({ role: 'inspector', features: ['inspector'] }))
    this.#server = createServer(
      { headersTimeout: 10_000, requestTimeout: 60_000, keepAliveTimeout: 20_000 },
      guarded(onFault, (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response)),
    )
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.on('clientError', (_error, socket) => socket.destroy())
  }

  /** Opens the port and gives it. @throws GatewayError LISTEN_FAILED */
  start(): Promise<number> {
    const { host, port } = this.place
    return listen(this.#server, port, host, {
      doing: 'open the port of the inspector',
      taken: 'another inspector may have it: pass --inspect with another port, or 0 for a free one',
    })
  }

  /** Closes the port and every connection. */
  async close(): Promise<void> {
    this.api.close()
    if (!this.#server.listening) return
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (!isLocalHost(request.headers.host)) {
      response
        .writeHead(421, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' })
        .end('This page answers to localhost, 127.0.0.1 and [::1] only.\n')
      return
    }
    if (this.api.handle(request, response) || this.#console(request, response)) return
    response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('Nothing here; see / and /inspector/state.\n')
  }
}

/**
 * Is it a name of this machine? A page of the Internet can make its own name resolve to 127.0.0.1 and then read, as its own origin, what only
 * this machine should see (DNS rebinding); the Host field still has that name.
 */
function isLocalHost(field = ''): boolean {
  const host = field.toLowerCase()
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d+$/, '')
  return isThisMachine(name)
}
