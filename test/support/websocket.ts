/** WebSocket clients and servers of the npm package `ws`, with what they were told. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { TlsOptions } from 'node:tls'
import { WebSocket, WebSocketServer, type ClientOptions, type RawData, type ServerOptions } from 'ws'
import { onCleanUp } from './cleanup.ts'
import { listen } from './ports.ts'
import { once, until } from './wait.ts'

/** One end of a WebSocket. */
export interface End {
  readonly socket: WebSocket
  /** The request that opened it, at the server. */
  readonly request: IncomingMessage | undefined
  /** Text as text, binary as bytes. */
  readonly messages: (string | Buffer)[]
  /** Of the close, once it has come: 1005 without a code, 1006 without a close frame. */
  readonly closed: { readonly code: number; readonly reason: string }[]
  readonly errors: Error[]
}

/** Watches one end. */
export const watch = (socket: WebSocket, request?: IncomingMessage): End => {
  const end: End = { socket, request, messages: [], closed: [], errors: [] }
  socket.on('message', (data: RawData, isBinary: boolean) => {
    const bytes = Buffer.isBuffer(data) ? data : Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
    end.messages.push(isBinary ? bytes : bytes.toString())
  })
  socket.on('close', (code: number, reason: Buffer) => end.closed.push({ code, reason: reason.toString() }))
  socket.on('error', error => end.errors.push(error))
  return end
}

export interface WebSocketOrigin {
  readonly port: number
  readonly http: Server
  /** In the order in which they came. */
  readonly ends: readonly End[]
  /** The latest one. @throws Error when there is none */
  readonly last: End
  close(): Promise<void>
}

/** Starts a server; `onEnd` is told of each connection. It sends back what comes unless `onEnd` is given. */
export const startWebSocketOrigin = async (
  { tls, ...options }: ServerOptions & { readonly tls?: TlsOptions } = {},
  onEnd?: (end: End) => void,
): Promise<WebSocketOrigin> => {
  const answer = (_request: IncomingMessage, response: ServerResponse): void => void response.writeHead(200).end('plain')
  const http = tls === undefined ? createServer(answer) : createTlsServer(tls, answer)
  const server = new WebSocketServer({ server: http, ...options })
  const ends: End[] = []
  server.on('connection', (socket, request) => {
    const end = watch(socket, request)
    ends.push(end)
    if (onEnd === undefined) socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    else onEnd(end)
  })
  server.on('error', () => undefined)
  const port = await listen(http)
  let closing: Promise<void> | undefined
  const close = (): Promise<void> =>
    (closing ??= new Promise(resolve => {
      for (const { socket } of ends) socket.terminate()
      server.close()
      http.closeAllConnections()
      http.close(() => resolve())
    }))
  onCleanUp(close)
  return {
    port,
    http,
    ends,
    get last() {
      const last = ends.at(-1)
      if (last === undefined) throw new Error('nobody has connected')
      return last
    },
    close,
  }
}

/** Opens a WebSocket to 127.0.0.1, over TLS when `ca` is given; it is terminated after the test file. @throws Error when the server does not switch */
export const openWebSocket = async (
  port: number,
  { path = '/', protocols = [], ...options }: ClientOptions & { readonly path?: string; readonly protocols?: string[] } = {},
): Promise<End> => {
  const socket = new WebSocket(`${options.ca === undefined ? 'ws' : 'wss'}://127.0.0.1:${port}${path}`, protocols, options)
  const end = watch(socket)
  onCleanUp(() => socket.terminate())
  await once(socket, 'open')
  return end
}

/** The next close of an end. */
export const closeOf = (end: End): Promise<{ readonly code: number; readonly reason: string }> =>
  until(() => end.closed[0], { what: 'a close' })
