/** WebSocket as its users see it: real clients and servers on both sides of the gateway (section 1.4). */
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import { Server as SocketIoServer } from 'socket.io'
import { io } from 'socket.io-client'
import { pattern } from '../link/pair.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { quiet } from '../support/quiet.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { echoOrigin, openUpgraded, upgradeRequest } from '../support/upgrade.ts'
import { once, until, within } from '../support/wait.ts'
import { closeOf, openWebSocket, startWebSocketOrigin, type WebSocketOrigin } from '../support/websocket.ts'

/** Those that an endpoint may send: RFC 6455 §7.4. */
const CLOSE_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]

describe('through the gateway', () => {
  let origin: WebSocketOrigin
  let layers: Layers

  beforeAll(async () => {
    origin = await startWebSocketOrigin({
      handleProtocols: protocols => (protocols.has('chat.v2') ? 'chat.v2' : false),
      perMessageDeflate: { threshold: 0 },
      maxPayload: 32 * 1_048_576,
    })
    layers = await startLayers({ origin: origin.port })
  })
  afterEach(() => quiet(layers))

  test('U6: text and binary messages of every size come back as they were', async () => {
    const client = await openWebSocket(layers.port, { perMessageDeflate: false, maxPayload: 32 * 1_048_576 })
    const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000, 8_388_608]
    const sent: (string | Buffer)[] = []
    for (const size of sizes) {
      const bytes = pattern(size, size)
      sent.push(bytes, bytes.toString('base64').slice(0, size))
      client.socket.send(bytes)
      client.socket.send(sent.at(-1)!)
    }
    await until(() => client.messages.length === sent.length)
    for (const [i, message] of sent.entries()) expect(Buffer.from(client.messages[i]!).equals(Buffer.from(message))).toBe(true)
    client.socket.close()
    expect((await closeOf(client)).code).toBe(1005)
  })

  test('U4: a subprotocol is agreed on end to end', async () => {
    const client = await openWebSocket(layers.port, { protocols: ['chat.v1', 'chat.v2'] })
    expect(client.socket.protocol).toBe('chat.v2')
    client.socket.close()
    await closeOf(client)
    // One that the server does not speak is the client's decision: `ws` gives up, with the words of the origin.
    await expect(openWebSocket(layers.port, { protocols: ['chat.v9'] })).rejects.toThrow(/subprotocol/)
  })

  test('U4: permessage-deflate is agreed on end to end, and what is compressed is not touched', async () => {
    const client = await openWebSocket(layers.port, { perMessageDeflate: { threshold: 0 } })
    expect(client.socket.extensions).toContain('permessage-deflate')
    expect(origin.last.socket.extensions).toContain('permessage-deflate')
    const text = 'the same again and again. '.repeat(40_000)
    const before = layers.accessLog.length
    client.socket.send(text)
    await until(() => client.messages.length === 1)
    expect(client.messages[0]).toBe(text)
    client.socket.close()
    await closeOf(client)
    const line = await layers.accessLine(before + 1)
    expect(line.bytesIn).toBeLessThan(text.length / 10)
    expect(line.bytesOut).toBeLessThan(text.length / 10)
  })

  test.each(CLOSE_CODES)('U7: close code %d and its reason survive, whoever closes', async code => {
    const here = await openWebSocket(layers.port)
    here.socket.close(code, `reason ${code}`)
    expect(await closeOf(origin.last)).toEqual({ code, reason: `reason ${code}` })
    expect(await closeOf(here)).toEqual({ code, reason: `reason ${code}` })
    const there = await openWebSocket(layers.port)
    origin.last.socket.close(code, `reason ${code}`)
    expect(await closeOf(there)).toEqual({ code, reason: `reason ${code}` })
    expect(await closeOf(origin.last)).toEqual({ code, reason: `reason ${code}` })
  })

  test('U7: an abnormal end of either side is 1006 at the other', async () => {
    const first = await openWebSocket(layers.port)
    first.socket.terminate()
    expect(await closeOf(origin.last)).toEqual({ code: 1006, reason: '' })
    const second = await openWebSocket(layers.port)
    origin.last.socket.terminate()
    expect(await closeOf(second)).toEqual({ code: 1006, reason: '' })
  })

  test('U7: pings and pongs of both sides pass with what they carry', async () => {
    const client = await openWebSocket(layers.port, { autoPong: true })
    const pongs: string[] = []
    client.socket.on('pong', (data: Buffer) => pongs.push(`client ${data.toString()}`))
    origin.last.socket.on('pong', (data: Buffer) => pongs.push(`origin ${data.toString()}`))
    client.socket.ping('a')
    origin.last.socket.ping('b'.repeat(125))
    await until(() => pongs.length === 2)
    expect(pongs.sort()).toEqual(['client a', `origin ${'b'.repeat(125)}`])
    client.socket.close()
    await closeOf(client)
  })

  test('200 sockets, opened and closed in every way, leave no stream', async () => {
    for (let round = 0; round < 4; round++) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => openWebSocket(layers.port)))
      for (const client of clients) client.socket.send('x')
      await until(() => clients.every(({ messages }) => messages.length === 1))
      clients.forEach(({ socket }, i) => (i % 2 === 0 ? socket.close(1000) : socket.terminate()))
      await Promise.all(clients.map(closeOf))
    }
    await quiet(layers)
    await until(() => origin.ends.every(({ closed }) => closed.length === 1))
  })
})

describe('when something is lost', () => {
  const start = async (options: Parameters<typeof startLayers>[0] = {}) => {
    const origin = await startWebSocketOrigin()
    const layers = await startLayers({ origin: origin.port, ...options })
    const client = await openWebSocket(layers.port)
    client.socket.send('x')
    await until(() => client.messages.length === 1)
    return { origin, layers, client }
  }

  test('U7: the loss of the inner layer is 1012 at the client, and 1006 at the origin', async () => {
    const { origin, layers, client } = await start()
    layers.inner.destroy()
    expect(await closeOf(client)).toEqual({ code: 1012, reason: 'INNER_LAYER_LOST' })
    expect(await closeOf(origin.last)).toEqual({ code: 1006, reason: '' })
    expect(await layers.accessLine(1)).toMatchObject({ status: 101, error: 'INNER_LAYER_LOST', bytesIn: 7, bytesOut: 3 })
  })

  test('U7: a link that is cut is 1012 at the client and 1006 at the origin, and the next WebSocket works', async () => {
    const { origin, layers, client } = await start({ relay: {} })
    layers.relay.cut()
    expect((await closeOf(client)).code).toBe(1012)
    expect((await closeOf(origin.last)).code).toBe(1006)
    await layers.connected(1)
    const next = await openWebSocket(layers.port)
    next.socket.send('y')
    await until(() => next.messages[0] === 'y')
    next.socket.terminate()
  })

  test('an outer layer that drains lets them go on for its drain timeout, then has them move', async () => {
    const { origin, layers, client } = await start({ outer: { drainTimeoutMs: 2_000 } })
    const closed = layers.outer.close()
    client.socket.send('still here')
    await until(() => client.messages.includes('still here'))
    expect(client.closed).toEqual([])
    expect(await closeOf(client)).toEqual({ code: 1012, reason: 'DRAINING' })
    expect((await closeOf(origin.last)).code).toBe(1006)
    await within(closed, 'the outer layer to close')
    expect(await layers.accessLine(1)).toMatchObject({ status: 101, error: 'DRAINING' })
  })

  test('an outer layer that drains is gone as soon as the last of them is', async () => {
    const { layers, client } = await start({ outer: { drainTimeoutMs: 60_000 } })
    const closed = layers.outer.close()
    client.socket.close(1000)
    await within(closed, 'the outer layer to close')
    expect((await closeOf(client)).code).toBe(1000)
  })

  test('an inner layer that drains lets them go on for its drain timeout, then has them move', async () => {
    const { layers, client } = await start({ inner: { drainTimeoutMs: 2_000 } })
    const closed = layers.inner.close()
    client.socket.send('still here')
    await until(() => client.messages.includes('still here'))
    expect(await closeOf(client)).toEqual({ code: 1012, reason: 'INNER_LAYER_LOST' })
    await within(closed, 'the inner layer to close')
  })
})

describe('U8: idle', () => {
  test('U8: by default a silent WebSocket is never cut, neither are requests beside it', async () => {
    const origin = await startWebSocketOrigin()
    const silent = await startRawOrigin(() => undefined)
    const layers = await startLayers({
      origin: origin.port,
      outer: { timeoutMs: 1_000, limits: { writeStallMs: 1_000, headerMs: 1_000 } },
      targets: `
targets:
  "*": {protocol: http, hostname: 127.0.0.1, port: {port}}
  silent.test: {protocol: http, hostname: 127.0.0.1, port: ${silent.port}}
`,
    })
    const client = await openWebSocket(layers.port)
    // `--timeout` is for requests: the WebSocket outlives many that are given up one after the other.
    for (let i = 0; i < 5; i++) expect((await exchange(layers.port, { host: 'silent.test' })).status).toBe(504)
    expect(client.closed).toEqual([])
    client.socket.send('x')
    await until(() => client.messages.length === 1)
    client.socket.close()
    await closeOf(client)
  })

  test('U8: with --websocket-idle pings alone keep it open, and silence ends it at both ends', async () => {
    const origin = await startWebSocketOrigin()
    const layers = await startLayers({ origin: origin.port, outer: { limits: { websocketIdleMs: 1_000 } } })
    const client = await openWebSocket(layers.port)
    let pongs = 0
    client.socket.on('pong', () => pongs++)
    const pings = setInterval(() => client.socket.ping(), 100)
    await until(() => pongs >= 15)
    clearInterval(pings)
    expect(client.closed).toEqual([])
    expect((await closeOf(client)).code).toBe(1006)
    expect((await closeOf(origin.last)).code).toBe(1006)
    expect(await layers.accessLine(1)).toMatchObject({ error: 'IDLE_TIMEOUT' })
  })

  test('U8: a target has a limit of its own', async () => {
    const origin = await startWebSocketOrigin()
    const layers = await startLayers({
      origin: origin.port,
      outer: { limits: { websocketIdleMs: 300 } },
      targets: `
targets:
  "*": {protocol: http, hostname: 127.0.0.1, port: {port}}
  patient.test: {protocol: http, hostname: 127.0.0.1, port: {port}, timeouts: {idle: 0}}
`,
    })
    const patient = await openWebSocket(layers.port, { headers: { host: 'patient.test' } })
    const usual = await openWebSocket(layers.port)
    expect((await closeOf(usual)).code).toBe(1006)
    expect(patient.closed).toEqual([])
    patient.socket.close()
    await closeOf(patient)
  })
})

test('U1: a target says which protocols it takes; for any other the request goes on as HTTP', async () => {
  const origin = await startRawOrigin((request, socket) => {
    if (request.values('upgrade').length > 0) return echoOrigin(request, socket)
    socket.write(rawResponse(200, 'plain'))
  })
  const layers = await startLayers({
    origin: origin.port,
    targets: `
targets:
  none.test: {protocol: http, hostname: 127.0.0.1, port: {port}, upgrades: false}
  foo.test: {protocol: http, hostname: 127.0.0.1, port: {port}, upgrades: [foo]}
`,
  })
  const asking = (host: string, protocol: string): string => upgradeRequest().replace('a.test', host).replace('websocket', protocol)
  for (const [host, protocol] of [
    ['none.test', 'websocket'],
    ['none.test', 'foo/2'],
    ['foo.test', 'websocket'],
  ] as const) {
    await expect(openUpgraded(layers.port, asking(host, protocol))).rejects.toThrow('HTTP/1.1 200')
  }
  const client = await openUpgraded(layers.port, asking('foo.test', 'Foo/2'))
  expect(await client.write('foo').read('foo')).toBe('foo')
  client.destroy()
})

test('U6: slow readers hold a bounded part of what is sent to them, and lose nothing', async () => {
  const message = pattern(1_048_576, 3)
  const count = 12
  const origin = await startWebSocketOrigin({}, ({ socket }) => {
    for (let i = 0; i < count; i++) socket.send(message)
  })
  const layers = await startLayers({ origin: origin.port })
  const clients = await Promise.all(
    Array.from({ length: 16 }, async () => {
      const client = await openWebSocket(layers.port, { maxPayload: 4 * 1_048_576, perMessageDeflate: false })
      client.socket.pause()
      return client
    }),
  )
  const held = (): number => layers.outer.registry.connections[0]!.session.outstandingBytes + layers.inner.outstandingBytes
  let before = -1
  let isStillFor = 0
  await until(() => {
    const now = origin.ends.reduce((sum, { socket }) => sum + socket.bufferedAmount, 0)
    isStillFor = now === before ? isStillFor + 1 : 0
    before = now
    return isStillFor === 20 && now > 0
  })
  // 192 MiB want to pass, more than kernels take. Each stream holds a window on one side and a queue on the other; one budget lends the rest.
  expect(held()).toBeLessThan(64 * 1_048_576)
  for (const { socket } of clients) socket.resume()
  await until(() => clients.every(({ messages }) => messages.length === count))
  expect(clients.every(({ messages }) => messages.every(bytes => message.equals(bytes as Buffer)))).toBe(true)
  for (const { socket } of clients) socket.terminate()
  await quiet(layers)
})

describe('socket.io behind the gateway', () => {
  let layers: Layers

  beforeAll(async () => {
    const http = createServer()
    const server = new SocketIoServer(http)
    server.on('connection', socket => {
      socket.on('echo', (value: unknown, answer: (value: unknown, transport: string) => void) => answer(value, socket.conn.transport.name))
      socket.on('join', async (room: string) => {
        await socket.join(room)
        server.to(room).emit('joined', room, socket.id)
      })
    })
    const port = await listen(http)
    onCleanUp(() => server.close())
    layers = await startLayers({ origin: port })
  })

  test.each([
    [['polling'], 'polling'],
    [['websocket'], 'websocket'],
    [['polling', 'websocket'], 'websocket'],
  ])('works with the transports %j', async (transports, last) => {
    const clients = [0, 1].map(() => io(`http://127.0.0.1:${layers.port}`, { transports, reconnection: false, forceNew: true }))
    onCleanUp(() => clients.forEach(client => client.disconnect()))
    const joined: string[] = []
    for (const client of clients) client.on('joined', (room: string, id: string) => joined.push(`${room} ${id === clients[1]!.id}`))
    await Promise.all(clients.map(client => once(client as never, 'connect')))
    await until(() => clients.every(client => client.io.engine.transport.name === last))
    const value = { text: 'ü'.repeat(1_000), bytes: Buffer.from(pattern(200_000, 1)), list: [1, 2, null] }
    const [echoed, transport] = await new Promise<unknown[]>(resolve =>
      clients[0]!.emit('echo', value, (...all: unknown[]) => resolve(all)),
    )
    expect(echoed).toEqual(value)
    expect(transport).toBe(last)
    clients[0]!.emit('join', 'room')
    await until(() => joined.length === 1)
    clients[1]!.emit('join', 'room')
    await until(() => joined.length === 3)
    expect(joined).toEqual(['room false', 'room true', 'room true'])
    for (const client of clients) client.disconnect()
    await quiet(layers)
  })

  test('reconnects by itself when the link was lost', async () => {
    const client = io(`http://127.0.0.1:${layers.port}`, { transports: ['websocket'], reconnectionDelay: 20, reconnectionDelayMax: 50 })
    onCleanUp(() => client.disconnect())
    await once(client as never, 'connect')
    const first = client.id
    layers.inner.destroy()
    await once(client as never, 'disconnect')
    await layers.addInner()
    await until(() => client.connected && client.id !== first)
    client.disconnect()
  })
})
