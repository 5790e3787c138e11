/** U9: WebSockets on streams of HTTP/2 (RFC 8441), joined to an Upgrade of HTTP/1.1 at the origin. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { constants } from 'node:http2'
import { WebSocketServer } from 'ws'
import { H2Client, type H2Answer } from '../support/h2-client.ts'
import { CODE, data, H2, H2Connection, headers, request, reset, SETTING, windowUpdate } from '../support/h2-frames.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { head } from '../support/message.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { echoOrigin, switchingOrigin } from '../support/upgrade.ts'
import { once, until } from '../support/wait.ts'

let origin: RawOrigin
let layers: Layers
let client: H2Client

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  client = H2Client.open(layers.port)
  await once(client.session, 'remoteSettings')
})
beforeEach(() => {
  origin.clear()
  origin.handle(echoOrigin)
})

const CONNECT = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat?x', ':scheme': 'http', 'sec-websocket-version': '13' }
const open = async (more: Record<string, string> = {}): Promise<H2Answer> => {
  const answer = client.ask({ ...CONNECT, ...more }, { open: true })
  await until(() => answer.status > 0, { what: 'the head of the answer' })
  return answer
}
const streamCount = (): number => layers.outer.registry.connections[0]!.session.streamCount

test('the settings say that it is possible', () => {
  expect(client.session.remoteSettings.enableConnectProtocol).toBe(true)
})

test('U9: 200 stands for 101, and bytes flow both ways', async () => {
  const answer = await open({ 'sec-websocket-protocol': 'chat' })
  expect(answer.status).toBe(200)
  expect(answer.fields.filter((_value, i) => i % 2 === 0)).not.toEqual(expect.arrayContaining(['sec-websocket-accept']))
  expect(answer.fields).not.toContain('upgrade')
  const { last } = origin
  expect(last.startLine).toBe('GET /chat?x HTTP/1.1')
  expect(last.values('upgrade')).toEqual(['websocket'])
  expect(last.values('sec-websocket-protocol')).toEqual(['chat'])
  expect(last.values('sec-websocket-key')[0]).toMatch(/^[A-Za-z0-9+/]{22}==$/)
  for (const word of ['a', 'bc', 'def']) {
    const before = answer.body.length
    answer.stream.write(word)
    await until(() => answer.body.length === before + word.length)
  }
  expect(answer.text).toBe('abcdef')
  answer.stream.end()
  expect((await answer.closed()).code).toBe(0)
  await until(() => layers.accessLog.at(-1)?.path === '/chat')
  expect(layers.accessLog.at(-1)).toMatchObject({ method: 'GET', status: 200, bytesIn: 6, bytesOut: 6 })
  expect(layers.accessLog.at(-1)!.error).toBeUndefined()
  await until(() => streamCount() === 0)
})

test('either half ends on its own', async () => {
  origin.handle(
    switchingOrigin(socket => {
      socket.end('bye')
      socket.on('data', (bytes: Buffer) => (heard += bytes.toString()))
    }),
  )
  let heard = ''
  const answer = await open()
  await until(() => answer.hasEnded)
  expect(answer.text).toBe('bye')
  answer.stream.end('still here')
  await until(() => heard === 'still here')
  expect((await answer.closed()).code).toBe(0)
})

test('U6: 8 MiB both ways', async () => {
  const answer = await open()
  const sent = Buffer.alloc(8 << 20, 'RFC 8441 ')
  answer.stream.end(sent)
  await answer.closed()
  expect(answer.body.equals(sent)).toBe(true)
})

describe('abnormal ends', () => {
  test('of the origin: the stream is reset', async () => {
    origin.handle(
      switchingOrigin(socket => {
        socket.write('part')
        socket.once('data', () => socket.resetAndDestroy())
      }),
    )
    const answer = await open()
    await until(() => answer.text === 'part')
    answer.stream.write('x')
    expect((await answer.closed()).code).toBe(constants.NGHTTP2_INTERNAL_ERROR)
  })

  test.each([CODE.CANCEL, CODE.NO_ERROR])('of the client, by RST_STREAM %d: the origin sees a reset', async code => {
    const raw = await H2Connection.open(layers.port, { pairs: [[SETTING.ENABLE_CONNECT_PROTOCOL, 1]] })
    raw.write(headers(1, [[':protocol', 'websocket'], ...request('/raw', [], { method: 'CONNECT' })]))
    await raw.frame(H2.HEADERS, 1)
    raw.write(data(1, 'x'), windowUpdate(0, 1))
    await until(() => raw.body(1).toString() === 'x')
    raw.write(reset(1, code))
    await until(() => origin.last.connection.closed === 'rst')
    raw.connection.destroy()
    await until(() => streamCount() === 0)
  })
})

describe('no switch', () => {
  test.each([401, 426, 302, 200])('%d passes with its body', async status => {
    origin.handle((one, socket) => {
      one.takeOver()
      socket.end(rawResponse(status, 'not now', ['Location: /login', 'Connection: close']))
    })
    const answer = await (await open()).closed()
    expect(answer).toMatchObject({ status })
    expect(answer.text).toBe('not now')
  })

  test('an origin that has not read the key is no WebSocket', async () => {
    origin.handle((one, socket) => {
      one.takeOver()
      socket.write(head('HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Accept: x'))
    })
    expect((await (await open()).closed()).status).toBe(502)
  })

  test('a policy that does not allow it refuses it, and nothing is dialled', async () => {
    const strict = await startLayers({
      origin: origin.port,
      targets: 'targets:\n  "*": {protocol: http, hostname: 127.0.0.1, port: {port}, policy: {/open: [GET]}}\n',
      outer: { appH2c: true },
    })
    const other = H2Client.open(strict.port)
    await once(other.session, 'remoteSettings')
    const answer = await other.ask({ ...CONNECT, ':path': '/closed' }, { open: true }).closed()
    expect(answer.status).toBe(403)
    expect(origin.hits).toBe(0)
  })

  test('another protocol is CONNECT, which is refused', async () => {
    const answer = await client.ask({ ...CONNECT, ':protocol': 'connect-udp' }, { open: true }).closed()
    expect(answer.status).toBe(405)
  })
})

test('a WebSocket server that checks everything is content', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', socket => socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary })))
  const { port } = server.address() as { port: number }
  const own = await startLayers({ origin: port, outer: { appH2c: true } })
  const other = H2Client.open(own.port)
  await once(other.session, 'remoteSettings')
  const answer = other.ask(CONNECT, { open: true })
  // A masked text frame (RFC 6455 §5.3), with a mask of zeroes.
  answer.stream.write(Buffer.concat([Buffer.from([0x81, 0x85, 0, 0, 0, 0]), Buffer.from('hello')]))
  await until(() => answer.body.length === 7)
  expect(answer.body).toEqual(Buffer.concat([Buffer.from([0x81, 5]), Buffer.from('hello')]))
  answer.stream.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]))
  await until(() => answer.body.length === 11)
  expect(answer.body.subarray(7)).toEqual(Buffer.from([0x88, 2, 0x03, 0xe8]))
  answer.stream.end()
  expect((await answer.closed()).code).toBe(0)
  await new Promise(resolve => server.close(resolve))
})
