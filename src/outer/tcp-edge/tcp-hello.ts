import type { Socket } from 'node:net'
import { parseHost } from '../../address/host.ts'
import { guarded } from '../../net/guard.ts'
import type { TcpPort } from '../../route/tcp-port.ts'
import { readClientHello, UNRECOGNIZED_NAME } from '../../tls/client-hello.ts'
import type { TcpConnection } from './tcp-connection.ts'

/** Reads which name the client wants, without opening its TLS, and joins the connection to the route of that name. */
export function joinByName(connection: TcpConnection, socket: Socket, port: TcpPort): void {
  const chunks: Buffer[] = []
  let length = 0
  let wanted = 1
  const read = guarded(connection.fail, (chunk: Buffer) => {
    chunks.push(chunk)
    length += chunk.length
    // Whoever sends byte by byte has each of them looked at once, not all of them every time.
    if (length < wanted || connection.isOver) return
    const bytes = Buffer.concat(chunks)
    const hello = readClientHello(bytes)
    if (hello.kind === 'more') {
      wanted = hello.bytes
      return
    }
    socket.off('data', read)
    socket.off('end', leave)
    socket.pause()
    if (hello.kind === 'invalid') return connection.abort('BAD_REQUEST', hello.reason)
    const name = canonicalName(hello.name)
    connection.name = hello.name
    // A name that is none is not the same as no name.
    const route = hello.name !== undefined && name === undefined ? undefined : port.routeOf(name)
    if (route === undefined) return connection.dismiss('UNKNOWN_HOST', unknown(hello.name), UNRECOGNIZED_NAME)
    connection.join({ route, head: bytes, facts: { authority: name } })
  })
  const leave = guarded(connection.fail, () => connection.left())
  socket.on('data', read)
  socket.on('end', leave)
  socket.resume()
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
