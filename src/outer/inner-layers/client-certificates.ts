import type { Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { unmapped } from '../../address/mapped.ts'
import { attempt } from '../../net/guard.ts'
import { endLingering } from '../../net/linger.ts'

/** Said before anything is read: whoever dials understands it as the answer to its websocket handshake. */
const REFUSAL = [
  'HTTP/1.1 403 Forbidden',
  'Content-Type: text/plain; charset=utf-8',
  'Connection: close',
  '',
  'A client certificate of a known authority is needed here.\n',
].join('\r\n')

/**
 * Lets no connection through to `server` whose client certificate is not one of an authority of its options, which have to say
 * `rejectUnauthorized: false`: node:tls would hang up without a word to either side.
 * @param onRefused  with the address of the client and OpenSSL's reason
 */
export function demandClientCertificates(server: Server, onRefused: (address: string, reason: string) => void): void {
  const accept = server.listeners('secureConnection') as ((this: Server, socket: TLSSocket) => void)[]
  server.removeAllListeners('secureConnection')
  const take = (socket: TLSSocket): void => {
    if (socket.authorized) {
      for (const listener of accept) listener.call(server, socket)
      return
    }
    const hasOne = socket.getPeerX509Certificate() !== undefined
    // A code, in contrast to its type.
    const reason = hasOne ? String(socket.authorizationError) : 'there is none'
    onRefused(unmapped(socket.remoteAddress ?? ''), reason)
    socket.on('error', () => socket.destroy())
    socket.write(REFUSAL)
    socket.resume()
    endLingering(socket)
  }
  server.on('secureConnection', socket =>
    attempt(
      () => socket.destroy(),
      () => take(socket),
    ),
  )
}
