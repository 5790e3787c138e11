import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from '@jest/globals'
import type { Inspector } from '../../src/inspector/inspector.ts'
import { newest, testInspector } from '../inspector/support.ts'
import { cleanUp, onCleanUp } from '../support/cleanup.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { once, until } from '../support/wait.ts'
import { startWebSocketOrigin, watch } from '../support/websocket.ts'
import { WebSocket } from 'ws'

afterEach(cleanUp)

const SECRET = ['plan', 'ted', 'sec', 'ret'].join('-')

const targets = (more = ''): string =>
  `targets:\n  "localhost": {protocol: http, hostname: 127.0.0.1, port: {port}, inspect: true${more}}\n  "127.0.0.1": {protocol: http, hostname: 127.0.0.1, port: {port}}\n`

interface Looked {
  readonly layers: Layers
  readonly inner: Inspector
  readonly outer: Inspector
  readonly url: string
}

/** Both layers, each with an inspector. */
async function look(origin: number, more = ''): Promise<Looked> {
  const clock = (): number => performance.now()
  const [inner, outer] = [testInspector({ clock, nowMs: Date.now }), testInspector({ clock, nowMs: Date.now, layer: 'outer' })]
  const layers = await startLayers({ origin, targets: targets(more), inner: { taps: inner.inspector }, outer: { taps: outer.inspector } })
  onCleanUp(() => {
    expect(inner.faults).toEqual([])
    expect(outer.faults).toEqual([])
  })
  return { layers, inner: inner.inspector, outer: outer.inspector, url: `http://localhost:${layers.port}` }
}

async function originOf(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(handler)
  onCleanUp(() => {
    server.closeAllConnections()
    server.close()
  })
  return listen(server)
}

describe('an exchange is seen at either end', () => {
  test('with heads, bodies, phases and without its secrets', async () => {
    const port = await originOf((request, response) => {
      request.resume().on('end', () => {
        response.writeEarlyHints({ link: '</a.css>; rel=preload' })
        response.writeHead(201, {
          'Set-Cookie': `sid=${SECRET}`,
          'Content-Type': 'application/json',
          'Content-Encoding': 'gzip',
          'X-Case': 'Kept',
          'Server-Timing': 'app;dur=1',
        })
        response.end(gzipSync(JSON.stringify({ hello: 'you', token: SECRET })))
      })
    })
    const { inner, outer, layers, url } = await look(port)
    const answer = await fetch(`${url}/x?api_key=${SECRET}&q=1`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${SECRET}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ user: 'ada', password: SECRET }),
    })
    expect(await answer.json()).toEqual({ hello: 'you', token: SECRET })
    for (const inspector of [inner, outer]) {
      const record = await newest(inspector)
      const { detail } = record
      expect(detail).toMatchObject({ method: 'POST', path: '/x?api_key=***&q=1', status: 201, isOver: true, error: null, kind: 'http' })
      expect(record.requestBody!.held.bytes.toString()).toBe('{"user":"ada","password":"***"}')
      expect(record.responseBody!.held.bytes.toString()).toBe('{"hello":"you","token":"***"}')
      expect(detail.response!.fields).toContainEqual(['X-Case', 'Kept'])
      expect(detail.response!.fields).toContainEqual(['Set-Cookie', 'sid=***'])
      expect(detail.interim).toMatchObject([{ status: 103 }])
      expect(detail.phases.firstByte).toBeGreaterThanOrEqual(0)
      expect(JSON.stringify([detail, inspector.state])).not.toContain(SECRET)
    }
    expect([...inner.newestFirst()][0]!.phases).toMatchObject({ edge: null, link: null, connect: expect.any(Number) })
    const { phases } = [...outer.newestFirst()][0]!
    const measured = { edge: expect.any(Number), link: expect.any(Number), connect: expect.any(Number), body: expect.any(Number) }
    expect(phases).toMatchObject(measured)
    // What the inner layer says of its connection is for the inspector alone.
    expect(answer.headers.get('server-timing')).toBe('app;dur=1')
    expect([...outer.newestFirst()][0]!.detail).toMatchObject({
      host: `localhost:${layers.port}`,
      target: 'localhost',
      innerLayer: 'inner-layer',
      client: '127.0.0.1',
    })
  })

  test('at the outer layer only where its target wants that, also when it is refused', async () => {
    const port = await originOf((_request, response) => response.end('ok'))
    const { inner, outer, layers, url } = await look(port, ', policy: {"/ok": [GET]}')
    await fetch(`http://127.0.0.1:${layers.port}/ok`)
    expect((await fetch(`${url}/no`)).status).toBe(403)
    expect((await newest(outer)).detail).toMatchObject({ path: '/no', status: 403, error: 'POLICY_REFUSED' })
    expect(outer.state.seen).toBe(1)
    expect(inner.state.seen).toBe(1)
  })

  test('with trailers, and a body that is cut at the limit', async () => {
    const big = 'x'.repeat(3_000_000)
    const port = await originOf((_request, response) => {
      response.writeHead(200, { Trailer: 'X-Sum', 'Content-Type': 'text/css' })
      response.write(big)
      response.addTrailers({ 'X-Sum': '1' })
      response.end()
    })
    const { inner, outer, url } = await look(port)
    expect((await (await fetch(url)).text()).length).toBe(big.length)
    for (const inspector of [inner, outer]) {
      const { response, responseBytes } = (await newest(inspector)).detail
      expect(response!.body).toMatchObject({ bytes: big.length, heldBytes: 1_000_000, isCut: true, isComplete: true })
      expect(response!.trailers).toEqual([['X-Sum', '1']])
      expect(responseBytes).toBe(big.length)
    }
  })

  test('a bomb is cut, and the client gets all of it', async () => {
    const bomb = gzipSync(Buffer.alloc(20_000_000))
    const port = await originOf((_request, response) => {
      response.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Type': 'text/plain' })
      response.end(bomb)
    })
    const { inner, layers } = await look(port)
    const { request } = await import('node:http')
    const asked = request({ port: layers.port, host: 'localhost' }).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    let bytes = 0
    answer.on('data', (chunk: Buffer) => (bytes += chunk.length))
    await once(answer, 'end')
    expect(bytes).toBe(bomb.length)
    const record = await newest(inner)
    expect(record.responseBody!.info).toMatchObject({ bytes: bomb.length, isCut: true, coding: 'gzip' })
    expect(record.responseBody!.held.length).toBeLessThanOrEqual(1_000_000)
  })
})

describe('messages are seen one by one', () => {
  test('of an event stream', async () => {
    const port = await originOf((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      response.write('event: greeting\nid: 7\ndata: {"a":1,\ndata: "token":"')
      response.write(`${SECRET}"}\r\n\r\n: nothing\n\ndata: bye\n\n`)
      response.end()
    })
    const { inner, outer, url } = await look(port)
    await (await fetch(url)).text()
    for (const inspector of [inner, outer]) {
      const { kind, messages } = await newest(inspector)
      expect(kind).toBe('events')
      expect(messages!.from(0, 10)).toMatchObject([
        { type: 'event', event: 'greeting', eventId: '7', text: '{"a":1,\n"token":"***"}', from: 'origin' },
        { event: 'message', text: 'bye' },
      ])
    }
  })

  test('of a WebSocket with compression, and who closed it', async () => {
    const { port } = await startWebSocketOrigin({ perMessageDeflate: { threshold: 0 } })
    const { inner, outer, layers } = await look(port)
    const client = watch(new WebSocket(`ws://localhost:${layers.port}/`, { perMessageDeflate: true }))
    await once(client.socket, 'open')
    const texts = [`{"password":"${SECRET}","n":1}`, 'again '.repeat(50), 'again '.repeat(50)]
    for (const text of texts) client.socket.send(text)
    client.socket.send(Buffer.from([1, 2, 3]))
    await until(() => client.messages.length === 4, { what: 'echoes' })
    client.socket.close(4001, 'enough')
    await until(() => client.closed.length === 1, { what: 'the end' })
    for (const inspector of [inner, outer]) {
      const { detail, messages } = await newest(inspector)
      expect(detail).toMatchObject({ kind: 'websocket', status: 101, close: { code: 4001, reason: 'enough', by: 'client', isClean: true } })
      const ofClient = messages!.from(0, 100).filter(({ from }) => from === 'client')
      expect(ofClient.map(({ text, type }) => text ?? type)).toEqual(['{"password":"***","n":1}', texts[1], texts[2], 'binary', 'enough'])
      expect(ofClient[1]).toMatchObject({ isCompressed: true, bytes: 300, isCut: false })
      expect(messages!.from(0, 100).filter(({ from }) => from === 'origin')).toHaveLength(5)
    }
  })

  test.each([
    ['origin', /origin ended its connection without a close frame/],
    ['client', /client's connection ended without a close frame/],
  ] as const)('a WebSocket that ends with 1006 says that the %s was it', async (side, why) => {
    const origin = await startWebSocketOrigin()
    const { inner, outer, layers } = await look(origin.port)
    const client = watch(new WebSocket(`ws://localhost:${layers.port}/`))
    await once(client.socket, 'open')
    await until(() => origin.ends.length === 1, { what: 'the origin' })
    ;(side === 'origin' ? origin.last : client).socket.terminate()
    await until(() => client.closed.length === 1, { what: 'the end' })
    for (const inspector of [inner, outer]) {
      const { close } = (await newest(inspector)).detail
      expect(close).toMatchObject({ code: 1006, by: side, isClean: false })
      expect(close!.explanation).toMatch(why)
    }
  })
})

describe('a full budget', () => {
  test('drops records and never bytes', async () => {
    const body = 'y'.repeat(50_000)
    const port = await originOf((_request, response) => response.end(body))
    const { inspector, faults } = testInspector({ budgetBytes: 200_000 })
    const layers = await startLayers({ origin: port, targets: targets(), inner: { taps: inspector } })
    for (let i = 0; i < 20; i++) {
      expect((await (await fetch(`http://localhost:${layers.port}/${i}`)).text()).length).toBe(body.length)
    }
    await until(() => [...inspector.newestFirst()].every(({ isSettled }) => isSettled), { what: 'the last one' })
    expect(inspector.state.seen).toBe(20)
    expect(inspector.state.heldBytes).toBeLessThanOrEqual(200_000)
    expect(inspector.state.dropped).toBeGreaterThanOrEqual(16)
    expect([...inspector.newestFirst()][0]!.start.path).toBe('/19')
    expect(faults).toEqual([])
    inspector.clear()
    expect(inspector.state).toMatchObject({ heldBytes: 0, requests: 0 })
  })
})
