/**
 * Bare servers for floods: `node --import tsx bench/flood-sink.ts HTTP-PORT TLS-PORT SSH-PORT CERTIFICATE KEY`. They do what a flood needs to go
 * on and nothing else, so that a load beside it feels the generator and the work of its own end, and none of the gateway.
 */
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { getPriority, setPriority } from 'node:os'
import { createServer as createTlsServer } from 'node:tls'
import ssh2 from 'ssh2'
import { hostKeyText } from '../src/ssh/keys/host-key.ts'
import { ALGORITHMS } from '../src/ssh/ssh2.ts'

/** As the service process: what a bare server costs must not make the comparison easier. */
const NICER_BY = 5
const [httpPort, tlsPort, sshPort, certificate = '', key = ''] = process.argv.slice(2)

setPriority(Math.min(19, getPriority() + NICER_BY))

const http = createServer((request, response) => {
  request.on('error', () => undefined).resume()
  request.on('end', () => response.writeHead(401, { 'Content-Type': 'application/json' }).end('{}'))
})
http.listen(Number(httpPort), '127.0.0.1', 4_096)

const tls = createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, socket => {
  socket.on('error', () => undefined).resume()
})
tls.on('tlsClientError', () => undefined).listen(Number(tlsPort), '127.0.0.1', 4_096)

const hostKey = hostKeyText(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
const ssh = new ssh2.Server({ hostKeys: [hostKey], algorithms: ALGORITHMS as never }, client => {
  client.on('error', () => undefined).on('authentication', attempt => attempt.reject(['publickey']))
})
ssh.listen(Number(sshPort), '127.0.0.1')

process.on('disconnect', () => process.exit())
