/** TLS in front of a plain port, with a certificate for `localhost` that its own file alone knows. */
import { connect } from 'node:net'
import { createServer } from 'node:tls'
import { mintServer, writePair } from './certificates.ts'
import { listen } from './ports.ts'

export interface TlsProxy {
  readonly port: number
  /** PEM of the only authority that knows it. */
  readonly caFile: string
}

/** Starts it on a free port; it is closed after the test file. */
export const startTlsProxy = async (target: number): Promise<TlsProxy> => {
  const { pair, certificate } = writePair(await mintServer(['localhost']))
  const server = createServer({ key: pair.privateKeyPem, cert: pair.certificatePem }, socket => {
    const onward = connect(target, '127.0.0.1')
    for (const end of [socket, onward]) end.on('error', () => undefined)
    socket.pipe(onward).pipe(socket)
    socket.on('close', () => onward.destroy())
    onward.on('close', () => socket.destroy())
  })
  server.on('tlsClientError', () => undefined)
  return { port: await listen(server), caFile: certificate }
}
