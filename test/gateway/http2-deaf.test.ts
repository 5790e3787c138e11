/** Sessions of HTTP/2 of which Node never says that they are over: nothing of them is left within seconds. */
import { beforeAll, describe, test } from '@jest/globals'
import { mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { data, END_HEADERS, END_STREAM, frame, goAway, H2, H2Connection, headers, request, windowUpdate } from '../support/h2-frames.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const MAX = 16
let origin: RawOrigin
let ports: Record<string, Layers>
let ca: string

beforeAll(async () => {
  const authority = await mintAuthority()
  ca = authority.certificatePem
  const appCertificates = await startStore([writePair(await mintServer(['a.test', '127.0.0.1'], authority))])
  origin = await startRawOrigin()
  origin.handle(() => undefined) // never answers
  const targets = 'targets:\n  a.test: {protocol: http, hostname: 127.0.0.1, port: {port}}\n'
  const outer = { trustProxy: [], limits: { connectionsPerAddress: MAX } }
  ports = {
    tls: await startLayers({ origin: origin.port, targets, outer: { ...outer, appCertificates } }),
    h2c: await startLayers({ origin: origin.port, targets, outer: { ...outer, appH2c: true } }),
  }
})

/** 50 requests for `authority`. */
const requests = (authority: string, scheme: string): Buffer[] =>
  Array.from({ length: 50 }, (_, i) => headers(1 + 2 * i, request('/', [], { authority, scheme }), END_HEADERS | END_STREAM))

const FAULTS: readonly (readonly [string, readonly Buffer[]])[] = [
  ['GOAWAY and DATA on an idle stream', [goAway(0, 0), data(999, '')]],
  ['DATA on an idle stream', [data(999, '')]],
  ['GOAWAY and a WINDOW_UPDATE of zero', [goAway(0, 0), windowUpdate(0, 0)]],
  ['a PING on a stream', [frame(H2.PING, 0, 1, Buffer.alloc(8))]],
  ['GOAWAY, and nothing more', [goAway(0, 0)]],
]

describe.each(['tls', 'h2c'])('%s', kind => {
  let number = 1
  const scheme = kind === 'tls' ? 'https' : 'http'

  test.each(FAULTS)('%s', async (_name, frames) => {
    const layers = ports[kind]!
    // An address of its own: so many requests of which nothing comes count against it.
    const place = { localAddress: `127.0.0.${++number}` }
    const options = { ...place, ...(kind === 'tls' && { tls: { ca, servername: 'a.test', ALPNProtocols: ['h2'] } }) }
    // More connections than one address may have: those before must be gone.
    const clients = await Promise.all(Array.from({ length: MAX }, () => H2Connection.open(layers.port, options)))
    await Promise.all(clients.map(client => client.frame(H2.SETTINGS)))
    clients.forEach((client, i) => client.write(...requests(i % 2 === 0 ? 'nobody.test' : 'a.test', scheme), ...frames))
    for (const client of clients) client.connection.socket.end()
    const full = (): boolean => layers.outer.registry.connections.every(({ session }) => session.streamCount === 0)
    await until(full, { what: 'no stream left' })
    origin.handle(async (one, socket) => {
      await one.complete
      socket.write(rawResponse(200, 'ok', ['Connection: close']))
    })
    // Each of its places is free again: so many connections are open and answered at one time.
    const tls = kind === 'tls' ? { tls: { ca, servername: 'a.test' } } : {}
    const open: RawConnection[] = []
    while (open.length < MAX) {
      const isAnswered = async (): Promise<boolean> => {
        const connection = await RawConnection.open(layers.port, { ...place, ...tls }).catch(() => undefined)
        connection?.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        if ((await connection?.readResponse().catch(() => undefined))?.status !== 200) return false
        open.push(connection!)
        return true
      }
      await until(isAnswered, { what: `place ${open.length + 1} of ${MAX}` })
    }
    for (const connection of open) connection.destroy()
    origin.handle(() => undefined)
  })
})
