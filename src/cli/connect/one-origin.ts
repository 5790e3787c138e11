import { connect } from 'node:net'
import type { HostPort } from '../../address/host-port.ts'
import { lookupName } from '../../net/lookup-name.ts'
import type { Dialer } from '../../origin/dial.ts'

/**
 * Dials the one origin of a tunnel, by whatever name and port it is asked for; the allow-list judges the name before.
 * @param allowHalfOpen  for connections that are carried as they are: each half ends for itself
 */
export const oneOrigin = ({ host, port }: HostPort, allowHalfOpen: boolean): Dialer => ({
  dial: (_hostname, _port, signal) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host, port, lookup: lookupName, allowHalfOpen, noDelay: true, keepAlive: true })
      const giveUp = (): void => void socket.destroy()
      const over = (): void => {
        signal.removeEventListener('abort', giveUp)
        socket.off('error', failed).off('close', gone)
      }
      const failed = (error: Error): void => {
        over()
        reject(error)
      }
      const gone = (): void => failed(new Error('nobody wants the connection any more'))
      signal.addEventListener('abort', giveUp)
      socket.once('error', failed).once('close', gone)
      socket.once('connect', () => {
        over()
        resolve(socket)
      })
    }),
})
