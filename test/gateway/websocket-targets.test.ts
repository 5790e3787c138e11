/** WebSocket with what else a target or a port may have: TLS on every side, access, limits, fields. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { pattern } from '../link/pair.ts'
import { mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { exchange } from '../support/exchange.ts'
import { cheapHash } from '../support/password.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { get, head } from '../support/message.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { tempFile } from '../support/temp.ts'
import { once, until } from '../support/wait.ts'
import { closeOf, openWebSocket, startWebSocketOrigin, type WebSocketOrigin } from '../support/websocket.ts'

describe('with TLS at the client and at the origin', () => {
  let origin: WebSocketOrigin
  let layers: Layers
  let ca: string

  beforeAll(async () => {
    const authority = await mintAuthority()
    ca = authority.certificatePem
    const [outside, inside] = [await mintServer(['127.0.0.1'], authority), await mintServer(['localhost'], authority)]
    origin = await startWebSocketOrigin({ tls: { cert: inside.certificatePem, key: inside.privateKeyPem }, maxPayload: 16 * 1_048_576 })
    layers = await startLayers({
      origin: origin.port,
      targets: `
targets:
  "*":
    protocol: https
    hostname: localhost
    port: {port}
    tls: {ca: ${tempFile('ca.crt', ca)}}
`,
      outer: { appCertificates: await startStore([writePair(outside)]) },
    })
  })

  test('U6: messages pass, and each half ends on its own', async () => {
    const client = await openWebSocket(layers.port, { ca, maxPayload: 16 * 1_048_576 })
    expect(origin.last.request!.headers['x-forwarded-proto']).toBe('https')
    const message = pattern(5_000_000, 1)
    client.socket.send(message)
    await until(() => client.messages.length === 1)
    expect(message.equals(client.messages[0] as Buffer)).toBe(true)
    client.socket.close(4_000, 'enough')
    expect(await closeOf(client)).toEqual({ code: 4_000, reason: 'enough' })
    expect(await closeOf(origin.last)).toEqual({ code: 4_000, reason: 'enough' })
    await quiet(layers)
  })

  test('U7: an abnormal end of either side is 1006 at the other', async () => {
    const first = await openWebSocket(layers.port, { ca })
    first.socket.terminate()
    expect((await closeOf(origin.last)).code).toBe(1006)
    const second = await openWebSocket(layers.port, { ca })
    origin.last.socket.terminate()
    expect((await closeOf(second)).code).toBe(1006)
    await quiet(layers)
  })

  test('U1: an upgrade that is ignored leaves the connection as it was', async () => {
    const client = await RawConnection.open(layers.port, { tls: { ca } })
    for (let i = 0; i < 3; i++) {
      client.write(head('GET / HTTP/1.1', 'Host: a.test', 'Connection: Upgrade', 'Upgrade: h2c') + get('/behind'))
      for (let answers = 0; answers < 2; answers++) expect((await client.readResponse()).body.toString()).toBe('plain')
    }
    client.destroy()
  })
})

describe('with what a target says', () => {
  let origin: WebSocketOrigin
  let layers: Layers

  beforeAll(async () => {
    const hash = cheapHash('open sesame')
    origin = await startWebSocketOrigin()
    const place = 'protocol: http, hostname: 127.0.0.1, port: {port}'
    layers = await startLayers({
      origin: origin.port,
      targets: `
targets:
  auth.test: {${place}, basicAuth: {users: {alice: '${hash}'}}}
  one.test: {${place}, limits: {concurrency: 1}}
  gone.test: {${place}, redirect: {to: "https://b.test"}}
  deny.test: {${place}, deny: [127.0.0.1]}
  fields.test: {${place}, headers: {request: {set: {X-In: "in"}}, response: {set: {X-Out: "out"}}}}
  prefix.test: {${place}, stripPrefix: /app}
  http2.test: {${place}, http2: true}
`,
    })
  })

  test('U3: basicAuth asks for a password first', async () => {
    const as = (user: string) => ({ host: 'auth.test', authorization: `Basic ${Buffer.from(user).toString('base64')}` })
    const none = openWebSocket(layers.port, { headers: { host: 'auth.test' } })
    await expect(none).rejects.toThrow('401')
    const wrong = openWebSocket(layers.port, { headers: as('alice:close sesame') })
    await expect(wrong).rejects.toThrow('401')
    expect(origin.ends).toHaveLength(0)
    const client = await openWebSocket(layers.port, { headers: as('alice:open sesame') })
    client.socket.send('in')
    await until(() => client.messages[0] === 'in')
    expect(origin.last.request!.headers.authorization).toBeUndefined()
    client.socket.close()
    await closeOf(client)
  })

  test('U3: an open WebSocket counts for the concurrency of its target, up to its end', async () => {
    const headers = { host: 'one.test' }
    const first = await openWebSocket(layers.port, { headers })
    await expect(openWebSocket(layers.port, { headers })).rejects.toThrow('503')
    expect((await exchange(layers.port, { host: 'one.test' })).status).toBe(503)
    first.socket.close()
    await closeOf(first)
    await quiet(layers)
    await until(async () => (await exchange(layers.port, { host: 'one.test' })).status === 200)
    const second = await openWebSocket(layers.port, { headers })
    second.socket.terminate()
    await quiet(layers)
  })

  test.each([
    ['gone.test', /30\d/],
    ['deny.test', /403/],
  ])('U3: %s answers without the origin', async (host, status) => {
    const { length } = origin.ends
    await expect(openWebSocket(layers.port, { headers: { host } })).rejects.toThrow(status)
    expect(origin.ends).toHaveLength(length)
  })

  test('U4: edits of fields hold for the handshake as well', async () => {
    const client = openWebSocket(layers.port, { headers: { host: 'fields.test' } })
    const { socket } = await client
    expect(origin.last.request!.headers['x-in']).toBe('in')
    socket.close()
    await closeOf(await client)
    const raw = await RawConnection.open(layers.port)
    raw.write(
      head(
        'GET / HTTP/1.1',
        'Host: fields.test',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ),
    )
    expect(await raw.read('\r\n\r\n')).toContain('X-Out: out\r\n')
    raw.reset()
    await quiet(layers)
  })

  test('U3: the path that the origin gets is the one that was judged, mapped', async () => {
    const { socket } = await openWebSocket(layers.port, { path: '/app/chat?room=1', headers: { host: 'prefix.test' } })
    expect(origin.last.request!.url).toBe('/chat?room=1')
    socket.terminate()
    await quiet(layers)
  })

  test('U1: an origin that speaks HTTP/2 is asked in HTTP/1.1', async () => {
    const client = await openWebSocket(layers.port, { headers: { host: 'http2.test' } })
    expect(origin.last.request!.httpVersion).toBe('1.1')
    client.socket.close()
    await once(client.socket, 'close')
    await quiet(layers)
  })
})
