/** TLS in front of a plain port, with a certificate for `localhost` that its own authority file knows. */
import { connect } from 'node:net'
import { createServer } from 'node:tls'
import forge from 'node-forge'
import { listen } from './ports.ts'
import { tempFile } from './temp.ts'

export interface TlsProxy {
  readonly port: number
  /** PEM of the only authority that knows it. */
  readonly caFile: string
}

const selfSigned = (): { readonly key: string; readonly cert: string } => {
  const { privateKey, publicKey } = forge.pki.rsa.generateKeyPair(2048)
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = publicKey
  certificate.serialNumber = '01'
  certificate.validity.notBefore = new Date(Date.now() - 3_600_000)
  certificate.validity.notAfter = new Date(Date.now() + 90 * 86_400_000)
  const name = [{ name: 'commonName', value: 'localhost' }]
  certificate.setSubject(name)
  certificate.setIssuer(name)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true },
    { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
  ])
  certificate.sign(privateKey, forge.md.sha256.create())
  return { key: forge.pki.privateKeyToPem(privateKey), cert: forge.pki.certificateToPem(certificate) }
}

/** Starts it on a free port; it is closed after the test file. */
export const startTlsProxy = async (target: number): Promise<TlsProxy> => {
  const { key, cert } = selfSigned()
  const server = createServer({ key, cert }, socket => {
    const onward = connect(target, '127.0.0.1')
    for (const end of [socket, onward]) end.on('error', () => undefined)
    socket.pipe(onward).pipe(socket)
    socket.on('close', () => onward.destroy())
    onward.on('close', () => socket.destroy())
  })
  server.on('tlsClientError', () => undefined)
  return { port: await listen(server), caFile: tempFile('ca.pem', cert) }
}
