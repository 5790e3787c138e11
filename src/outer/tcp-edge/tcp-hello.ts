import type { Socket } from 'node:net'
import { parseHost } from '../../address/host.ts'
import { guarded } from '../../net/guard.ts'
import type { TcpPort } from '../../route/tcp-port.ts'
import { UNRECOGNIZED_NAME } from '../../tls/client-hello.ts'
import { helloReader, type FirstMessage } from '../../tls/first-message.ts'
import type { TcpConnection } from './tcp-connection.ts'

/** Calls `then` with the first message of TLS, or with what is none, once it is whole; the socket is paused then, and nothing of it is read again. */
export function firstMessage(connection: TcpConnection, socket: Socket, then: (message: FirstMessage) => void): void {
  const add = helloReader()
  const leave = guarded(connection.fail, () => connection.left())
  const read = guarded(connection.fail, (chunk: Buffer) => {
    const message = connection.isOver ? undefined : add(chunk)
    if (message === undefined) return
    socket.off('data', read)
    socket.off('end', leave)
    socket.pause()
    then(message)
  })
  socket.on('data', read)
  socket.on('end', leave)
  socket.resume()
}

/** Reads which name the client wants, without opening its TLS, and joins the connection to the route of that name. */
export function joinByName(connection: TcpConnection, socket: Socket, port: TcpPort): void {
  firstMessage(connection, socket, ({ bytes, name: sent, fault }) => {
    if (fault !== undefined) return connection.abort('BAD_REQUEST', fault)
    const name = canonicalName(sent)
    connection.name = sent
    // A name that is none is not the same as no name.
    const route = sent !== undefined && name === undefined ? undefined : port.routeOf(name)
    if (route === undefined) return connection.dismiss('UNKNOWN_HOST', unknown(sent), UNRECOGNIZED_NAME)
    connection.join({ route, head: bytes, facts: { authority: name } })
  })
}

/** Returns the reason for the log when a name has no route. */
export const unknown = (name: string | undefined): string =>
  name === undefined ? 'the client sent no name, and the port has no entry for "*"' : 'the port has no entry for this name'

/** A TLS name as routes are compared; undefined where it is no host name. */
export function canonicalName(name: string | undefined): string | undefined {
  if (name === undefined) return undefined
  try {
    return parseHost(name).host
  } catch {
    return undefined
  }
}
