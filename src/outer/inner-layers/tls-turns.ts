import type { Socket } from 'node:net'
import type { Server } from 'node:https'
import { addressKey } from '../../address/address-key.ts'
import { attempt, guarded, type Fail } from '../../net/guard.ts'
import { HandshakeTurns } from '../../tls/handshake-turns.ts'
import { HANDSHAKE_MS } from '../../tls/settings.ts'

/**
 * Has the handshakes of a TLS server take turns, each once the first bytes of its client are there.
 * @param onFault  told of what an event throws; the connection is ended
 */
export function takeTurns(server: Server, onFault: Fail): void {
  const turns = new HandshakeTurns()
  const listeners = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  const failOf =
    (socket: Socket): Fail =>
    thrown => {
      socket.destroy()
      onFault(thrown)
    }
  const shake = (socket: Socket): void => {
    if (!socket.destroyed) for (const listener of listeners) listener.call(server, socket)
  }
  const wait = (socket: Socket): void => {
    const fail = failOf(socket)
    const leave = (): void => void socket.destroy()
    const timer = setTimeout(leave, HANDSHAKE_MS).unref()
    socket.on('error', leave)
    socket.once('end', leave)
    socket.once('close', () => clearTimeout(timer))
    const read = (chunk: Buffer): void => {
      clearTimeout(timer)
      socket.off('end', leave)
      socket.pause()
      socket.unshift(chunk)
      const begin = guarded(fail, () => shake(socket))
      turns.take(addressKey(socket.remoteAddress ?? ''), begin, leave)
    }
    socket.once('data', guarded(fail, read))
  }
  server.on('connection', (socket: Socket) => attempt(failOf(socket), () => wait(socket)))
}
