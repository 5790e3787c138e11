import type { IncomingMessage, Server as HttpServer } from 'node:http'
import { Server, type Socket as ServerSocket } from 'socket.io'
import { MAX_MESSAGE_BYTES, type Link } from '../mux/link.ts'
import { attempt, guarded } from '../net/guard.ts'
import * as parser from './parser.ts'
import { limitPings, READ_BYTES, SocketIoLink, type WebSocketLike } from './socket-io-link.ts'

/** Callbacks of the outer layer's listener for inner layers. */
export interface ListenerEvents {
  /** May this websocket handshake go on? Undefined means yes, a text is the reason of the refusal. */
  readonly admit: (request: IncomingMessage) => string | undefined
  /** A link is up; nothing about its other end is known yet. */
  readonly onLink: (link: Link, request: IncomingMessage) => void
  /** An event of a connection threw before it was a link; the connection is cut. */
  readonly onFault: (thrown: unknown) => void
}

/** Time from the websocket handshake to the connection of socket.io, milliseconds. */
const CONNECT_MS = 5_000

/** Longest delay of a timer, milliseconds: more would be none at all. */
const MAX_TIMER_MS = 2_147_483_647

const websocketOf = (conn: { readonly transport: unknown }): WebSocketLike => (conn.transport as { socket: WebSocketLike }).socket

/**
 * Accepts links on an HTTP server at the path `/socket.io/`, by websocket alone. A request that is no websocket handshake gets 400.
 * `close` takes no new links, closes all of them after what was sent has left, within five seconds, and closes the server.
 */
export function createListener(server: HttpServer, events: ListenerEvents): { readonly close: () => Promise<void> } {
  const links = new Set<SocketIoLink>()
  const memory = Buffer.allocUnsafeSlow(READ_BYTES)
  const connected = new WeakSet<object>()
  let allClosed: (() => void) | undefined
  const io = new Server(server, {
    parser,
    transports: ['websocket'],
    serveClient: false,
    perMessageDeflate: false,
    httpCompression: false,
    maxHttpBufferSize: MAX_MESSAGE_BYTES,
    connectTimeout: CONNECT_MS,
    // The mux has its own liveness, which decides: a slow link delays engine.io's pong behind data although the peer lives. The sum of
    // both is what timers take at most.
    pingInterval: 25_000,
    pingTimeout: MAX_TIMER_MS - 25_000,
    allowRequest: (request, callback) => {
      // Browsers send Origin, and have no business here.
      const refusal = request.headers.origin !== undefined ? 'no browsers' : allClosed !== undefined ? 'closing' : events.admit(request)
      callback(refusal, refusal === undefined)
    },
  })
  const begin = (conn: { readonly transport: unknown }): void => {
    const websocket = websocketOf(conn)
    // Admitted before `close`, and there after engine.io has closed what it had: nobody else would end it, and `close` would wait for ever.
    if (allClosed === undefined) limitPings(websocket)
    else websocket.terminate()
  }
  io.engine.on('connection', guarded(events.onFault, begin))
  const connect = (socket: ServerSocket): void => {
    const { conn } = socket
    const websocket = websocketOf(conn)
    // Two CONNECT packets at once are two sockets on one connection: each would be greeted, with one admission for all of them.
    if (connected.has(conn) || allClosed !== undefined) return websocket.terminate()
    connected.add(conn)
    const link = new SocketIoLink({ close: () => conn.close(), websocket, mask: 'none', memory })
    links.add(link)
    socket.on(
      parser.FRAMES_EVENT,
      guarded(link.fail, (message: unknown) => link.received(message)),
    )
    socket.on('error', () => link.destroy())
    socket.on(
      'disconnect',
      guarded(link.fail, (reason: string, description?: unknown) => link.closed(reason, description)),
    )
    const closed = (): void => {
      links.delete(link)
      if (links.size === 0) allClosed?.()
    }
    websocket.on('close', guarded(link.fail, closed))
    attempt(link.fail, () => events.onLink(link, socket.request))
  }
  io.on('connection', guarded(events.onFault, connect))
  return {
    close: async () => {
      await new Promise<void>(resolve => {
        allClosed = resolve
        for (const link of links) link.close()
        if (links.size === 0) resolve()
      })
      await io.close()
    },
  }
}
