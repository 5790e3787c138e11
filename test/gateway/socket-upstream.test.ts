/** Sockets whose service is asked in another way than their type and their public name say. */
import { createServer, type TLSSocket } from 'node:tls'
import { expect, test } from '@jest/globals'
import { mintServer } from '../support/certificates.ts'
import { changeOf, socketOf, startSocketLayers, ZONE } from '../support/directory.ts'
import { exchange } from '../support/exchange.ts'
import { listen } from '../support/ports.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'

const host = `s1.${ZONE}`

test('a service is asked by the host that its socket names, and what it says of that host is of the public one', async () => {
  const { layers, directory, connect } = await startSocketLayers()
  const fields = [
    'Location: http://app.internal:8080/next?a=1',
    'Content-Location: http://elsewhere.internal:8080/',
    'Set-Cookie: a=1; Domain=app.internal; Path=/',
  ]
  const origin = await startRawOrigin((_request, socket) => void socket.write(rawResponse(302, '', fields)))
  await directory.apply(changeOf({ sockets: [socketOf(1, { upstream: { hostname: 'app.internal:8080' } })] }))
  await connect(1, origin.port)
  const answer = await exchange(layers.port, { host })
  expect(origin.last.lines).toEqual(expect.arrayContaining(['Host: app.internal:8080', `X-Forwarded-Host: ${host}`]))
  expect(answer.headers).toMatchObject({
    location: `http://${host}/next?a=1`,
    'content-location': 'http://elsewhere.internal:8080/',
    'set-cookie': [`a=1; Domain=${host}; Path=/`],
  })
  await directory.apply(changeOf({ sockets: [socketOf(1)] }))
  await exchange(layers.port, { host })
  expect(origin.last.lines).toContain(`Host: ${host}`)
})

test('a socket of type http asks a service that speaks HTTPS, which gets the named host in SNI and in Host', async () => {
  const { layers, directory, connect } = await startSocketLayers()
  const { certificatePem: cert, privateKeyPem: key } = await mintServer(['any.example'])
  const names: (string | false | null)[] = []
  const hosts: (string | undefined)[] = []
  const server = createServer({ cert, key }, (socket: TLSSocket) => {
    names.push(socket.servername)
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      hosts.push(/^Host: (.*)\r$/m.exec(bytes.toString('latin1'))?.[1])
      socket.write('HTTP/1.1 204 No Content\r\n\r\n')
    })
  })
  const port = await listen(server)
  const put = (upstream: { protocol?: 'http' | 'https'; hostname?: string }): Promise<unknown> =>
    directory.apply(changeOf({ sockets: [socketOf(1, { upstream })] }))
  await put({ protocol: 'https', hostname: 'app.internal' })
  await connect(1, port)
  expect((await exchange(layers.port, { host })).status).toBe(204)
  // The next one goes by a connection of its own, as that one may be for another host.
  await put({ protocol: 'https', hostname: 'other.internal:8443' })
  expect((await exchange(layers.port, { host })).status).toBe(204)
  await put({ protocol: 'https', hostname: '192.0.2.7' })
  expect((await exchange(layers.port, { host })).status).toBe(204)
  expect(hosts).toEqual(['app.internal', 'other.internal:8443', '192.0.2.7'])
  expect(names.slice(0, 2)).toEqual(['app.internal', 'other.internal'])
  expect(names[2]).toMatch(/\.socket\.invalid$/) // no name stands in for an address
})

test('a socket of type https asks a service that speaks HTTP, where it says so', async () => {
  const { layers, directory, connect } = await startSocketLayers()
  const origin = await startRawOrigin()
  await directory.apply(changeOf({ sockets: [socketOf(1, { type: 'https', upstream: { protocol: 'http' } })] }))
  await connect(1, origin.port)
  expect((await exchange(layers.port, { host })).status).toBe(200)
  expect(origin.last.lines).toContain(`Host: ${host}`)
})
