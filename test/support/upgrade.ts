/** Handshakes of upgrades by hand. */
import type { Socket } from 'node:net'
import { acceptKey } from './websocket-frames.ts'
import { head } from './message.ts'
import { RawConnection } from './raw-client.ts'
import type { OriginHandler, RawRequest } from './raw-origin.ts'

/** The example of RFC 6455 §1.3. */
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='

/** The request for a WebSocket, with more lines if given. */
export const upgradeRequest = (path = '/', ...lines: readonly string[]): string =>
  head(
    `GET ${path} HTTP/1.1`,
    'Host: a.test',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${KEY}`,
    ...lines,
  )

/** The head of the answer that a WebSocket server gives to `request`. */
export const switching = (request: RawRequest, ...lines: readonly string[]): string =>
  head(
    'HTTP/1.1 101 Switching Protocols',
    `Upgrade: ${request.values('upgrade')[0] ?? 'websocket'}`,
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptKey(request.values('sec-websocket-key')[0] ?? '')}`,
    ...lines,
  )

/** An origin that switches, and hands over its socket with what came behind the request. */
export const switchingOrigin =
  (onSocket: (socket: Socket, early: Buffer) => void): OriginHandler =>
  (request, socket) => {
    const early = request.takeOver()
    socket.write(switching(request))
    onSocket(socket, early)
  }

/** An origin that switches and sends back whatever comes; it ends its half when the client has. */
export const echoOrigin = switchingOrigin((socket, early) => {
  socket.write(early)
  socket.on('data', (bytes: Buffer) => socket.write(bytes))
  socket.on('end', () => socket.end())
})

/** A connection to `port` that has switched. */
export const openUpgraded = async (port: number, request = upgradeRequest()): Promise<RawConnection> => {
  const connection = await RawConnection.open(port)
  connection.write(request)
  const answer = await connection.read('\r\n\r\n')
  if (!answer.startsWith('HTTP/1.1 101 ')) throw new Error(`no switch: ${answer}`)
  return connection
}
