/**
 * Many SSH clients in one process: `node --import tsx bench/ssh-clients.ts DOOR_PORT COUNT GATEWAY_PORT [FIRST]`. Each forwards one tunnel, from
 * number FIRST on; when all are up it writes how long that took, and then how long it takes to take one over from a client that does not answer any more.
 */
import { generateKeyPairSync } from 'node:crypto'
import { get } from 'node:http'
import { connect as connectTcp, type Socket } from 'node:net'
import { Client } from 'ssh2'
import { hostKeyText } from '../src/ssh/keys/host-key.ts'

const [doorPort, count, gatewayPort, first = 0] = process.argv.slice(2).map(Number) as [number, number, number, number?]
const AT_ONCE = 50
const privateKey = hostKeyText(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)

/** A client that serves a tunnel, and answers each request with its name. */
const connect = async (tunnel: number, name: string): Promise<{ readonly client: Client; readonly readyMs: number }> => {
  const client = new Client()
  client.on('error', error => void process.stderr.write(`${name}: ${error.message}\n`))
  client.on('tcp connection', (_info, accept) => {
    const channel = accept()
    channel.on('data', () => void channel.write(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`))
  })
  const ready = new Promise<void>(resolve => void client.once('ready', resolve))
  client.connect({
    sock: connectTcp({ host: '127.0.0.1', port: doorPort, noDelay: true }),
    username: 'bench',
    privateKey,
    keepaliveInterval: 0,
  })
  await ready
  const readyMs = performance.now()
  await new Promise<void>((resolve, reject) =>
    client.forwardIn(`t${tunnel}`, 80, error => (error === undefined ? resolve() : reject(error))),
  )
  return { client, readyMs }
}

const ask = (tunnel: number): Promise<string> =>
  new Promise(resolve => {
    const request = get({ port: gatewayPort, host: '127.0.0.1', headers: { host: `t${tunnel}.bench` }, agent: false }, response => {
      let text = ''
      response.on('data', (bytes: Buffer) => (text += bytes.toString())).on('end', () => resolve(text))
    })
    request.on('error', () => resolve(''))
  })

const start = performance.now()
let next = 0
const clients: Client[] = []
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (next < count) {
      const number = next++
      clients[number] = (await connect(first + number, `client ${number}`)).client
    }
  }),
)
const upMs = performance.now() - start
// One of them does not read any more: it has vanished, and nobody has said so.
;(clients[0] as unknown as { _sock: Socket })._sock.pause()
const { readyMs } = await connect(first, 'another')
while ((await ask(first)) !== 'another') await new Promise(resolve => setTimeout(resolve, 5))
process.stdout.write(`${JSON.stringify({ upMs, takeoverMs: performance.now() - readyMs })}\n`)
process.on('disconnect', () => process.exit())
