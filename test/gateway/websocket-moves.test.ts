/** WebSockets that have to end because a part of the gateway does: with a close frame where the bytes allow one, byte by byte. */
import { describe, expect, test } from '@jest/globals'
import type { Socket } from 'node:net'
import type { MuxStream } from '../../src/mux/stream.ts'
import { SwitchedConnections } from '../../src/outer/exchange/switched-connections.ts'
import { Recorder, startPair } from '../mux/ends.ts'
import { readAll, socketPair } from '../splice/spliced.ts'
import { H2Client } from '../support/h2-client.ts'
import { startLayers, type LayersOptions } from '../support/layers.ts'
import type { RawConnection } from '../support/raw-client.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { openUpgraded, switchingOrigin, upgradeRequest } from '../support/upgrade.ts'
import { once, until, within } from '../support/wait.ts'
import { closePayload, frame, Opcode } from '../support/websocket-frames.ts'

/** As a server sends it. */
const served = (opcode: number, payload: string | Buffer): Buffer => frame(opcode, payload, { mask: undefined })
const restart = (reason: string): Buffer => served(Opcode.CLOSE, closePayload(1012, reason))

const LOST = restart('INNER_LAYER_LOST')
const DRAINED = restart('DRAINING')

/** The bytes that the client has, as the origin sent them: [name, bytes, may a close frame follow] */
const PLACES: readonly (readonly [string, Buffer, boolean])[] = [
  ['nothing', Buffer.alloc(0), true],
  ['a whole frame', served(Opcode.TEXT, 'hello'), true],
  ['an empty frame', served(Opcode.PING, ''), true],
  ['a frame of 126 bytes', served(Opcode.BINARY, Buffer.alloc(126, 0x88)), true],
  ['a frame of 70,000 bytes', served(Opcode.BINARY, Buffer.alloc(70_000, 0x88)), true],
  ['a first fragment of a message', frame(Opcode.TEXT, 'first', { mask: undefined, fin: false }), true],
  ['the first byte of a frame', served(Opcode.TEXT, 'hello').subarray(0, 1), false],
  ['a header alone', served(Opcode.TEXT, 'hello').subarray(0, 2), false],
  ['a part of a long length', served(Opcode.BINARY, Buffer.alloc(70_000)).subarray(0, 6), false],
  ['all but the last byte', served(Opcode.BINARY, Buffer.alloc(70_000, 0x88)).subarray(0, -1), false],
]

const CONNECT = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', ':scheme': 'http', 'sec-websocket-version': '13' }

/** Layers of one's own, since they end, and an origin that sends `bytes` behind its 101. */
const start = async (bytes: Buffer, outer: LayersOptions['outer'] = {}) => {
  const send = (socket: Socket): void =>
    void socket
      .on('error', () => undefined)
      .resume()
      .write(bytes)
  const origin = await startRawOrigin(switchingOrigin(send))
  const layers = await startLayers({ origin: origin.port, outer: { appH2c: true, ...outer } })
  return { layers, origin }
}

const openH2 = async (port: number) => {
  const client = H2Client.open(port)
  await once(client.session, 'remoteSettings')
  const answer = client.ask(CONNECT, { open: true })
  // As a WebSocket does that has got a close frame.
  answer.stream.once('end', () => answer.stream.end())
  await until(() => answer.status > 0, { what: 'the head of the answer' })
  return answer
}

describe('the inner layer is lost', () => {
  test.each(PLACES)('U7: behind %s', async (_name, bytes, isTold) => {
    const { layers } = await start(bytes)
    const [plain, stream] = [await openUpgraded(layers.port), await openH2(layers.port)]
    await until(() => plain.bytes.length === bytes.length && stream.body.length === bytes.length, { what: 'the bytes of the origin' })
    layers.inner.destroy()
    expect(await within(plain.closed, 'the end')).toBe(isTold ? 'fin' : 'rst')
    expect((await stream.closed()).code === 0).toBe(isTold)
    const expected = isTold ? Buffer.concat([bytes, LOST]) : bytes
    expect(plain.bytes.equals(expected)).toBe(true)
    expect(stream.body.equals(expected)).toBe(true)
  })

  test('behind a close frame of the origin: there is no second one', async () => {
    const bytes = served(Opcode.CLOSE, closePayload(4_000, 'done'))
    const { layers } = await start(bytes)
    const [plain, stream] = [await openUpgraded(layers.port), await openH2(layers.port)]
    await until(() => plain.bytes.length === bytes.length && stream.body.length === bytes.length)
    layers.inner.destroy()
    expect(await within(plain.closed, 'the end')).toBe('fin')
    expect((await stream.closed()).code).toBe(0)
    expect([plain.bytes.equals(bytes), stream.body.equals(bytes)]).toEqual([true, true])
  })

  test('an upgrade to another protocol is cut', async () => {
    const origin = await startRawOrigin(switchingOrigin(socket => void socket.on('error', () => undefined).write('hi')))
    const layers = await startLayers({
      origin: origin.port,
      targets: 'targets:\n  "*": {protocol: http, hostname: 127.0.0.1, port: {port}, upgrades: [foo]}\n',
    })
    const client = await openUpgraded(layers.port, upgradeRequest().replace('websocket', 'foo'))
    await client.read('hi')
    layers.inner.destroy()
    expect(await within(client.closed, 'the end')).toBe('rst')
    expect(client.bytes).toHaveLength(0)
  })
})

describe('the outer layer ends', () => {
  test('U7: with a close frame behind what came, over HTTP/1.1, where the client does not answer, and over HTTP/2', async () => {
    const bytes = served(Opcode.TEXT, 'hello')
    const { layers } = await start(bytes, { drainTimeoutMs: 0 })
    const [plain, stream] = [await openUpgraded(layers.port), await openH2(layers.port)]
    await until(() => plain.bytes.length === bytes.length && stream.body.length === bytes.length)
    const closed = layers.outer.close()
    await within(plain.closed, 'the end')
    await stream.closed()
    await within(closed, 'the outer layer to close')
    expect(plain.bytes.equals(Buffer.concat([bytes, DRAINED]))).toBe(true)
    expect(stream.body.equals(Buffer.concat([bytes, DRAINED]))).toBe(true)
  })

  test('a frame that is under way becomes whole first', async () => {
    const message = served(Opcode.BINARY, Buffer.alloc(1_000, 0x88))
    let origin: MuxStream | undefined
    const pair = startPair({ inner: { accept: (_payload, stream) => ((origin = stream), new Recorder()) } })
    const [far, near] = await socketPair()
    const all = readAll(far)
    const switched = new SwitchedConnections(0)
    const stream = pair.outer.session.open(Buffer.from('open'), new Recorder())
    const ends: unknown[] = []
    switched.join(stream, { socket: near, head: Buffer.alloc(0) }, { idleMs: 0, isWebSocket: true, onEnd: end => ends.push(end.code) })
    await until(() => origin, { what: 'the stream' })
    origin!.write(message.subarray(0, 10))
    await until(() => all.length() === 10, { what: 'the beginning' })
    // The rest comes in the next turn, long before the second is over.
    const closed = switched.close()
    origin!.write(message.subarray(10))
    expect(await within(all.done, 'the end')).toBe('end')
    far.end()
    await within(closed, 'the close')
    expect(all.bytes().equals(Buffer.concat([message, DRAINED]))).toBe(true)
    expect([ends, switched.count, near.destroyed]).toEqual([['DRAINING'], 0, true])
  })

  test('what the client still sends is read, also where its origin read nothing, so that it gets an orderly end', async () => {
    const pair = startPair({ inner: { consumes: false } })
    const [far, near] = await socketPair()
    const all = readAll(far)
    const switched = new SwitchedConnections(0)
    const stream = pair.outer.session.open(Buffer.from('open'), new Recorder())
    switched.join(stream, { socket: near, head: Buffer.alloc(0) }, { idleMs: 0, isWebSocket: true, onEnd: () => undefined })
    far.write(Buffer.alloc(2_000_000))
    await until(() => near.isPaused(), { what: 'the client to be held back' })
    const closed = switched.close()
    expect(await within(all.done, 'the end')).toBe('end')
    expect(all.bytes().equals(DRAINED)).toBe(true)
    far.end()
    await within(closed, 'the close')
    await until(() => near.closed, { what: 'the end of the socket' })
    expect(near.readableEnded).toBe(true)
  })

  test('a frame that stands still is cut, by a reset', async () => {
    const bytes = served(Opcode.BINARY, Buffer.alloc(1_000)).subarray(0, 10)
    const { layers } = await start(bytes, { drainTimeoutMs: 0 })
    const [plain, stream] = [await openUpgraded(layers.port), await openH2(layers.port)]
    await until(() => plain.bytes.length === 10 && stream.body.length === 10)
    const closed = layers.outer.close()
    expect(await within(plain.closed, 'the end')).toBe('rst')
    expect((await stream.closed()).code).not.toBe(0)
    await within(closed, 'the outer layer to close')
    expect([plain.bytes.length, stream.body.length]).toEqual([10, 10])
  })

  test('nothing is left of clients that never close', async () => {
    const { layers } = await start(Buffer.alloc(0), { drainTimeoutMs: 0 })
    const clients: RawConnection[] = []
    for (let i = 0; i < 20; i++) clients.push(await openUpgraded(layers.port))
    await within(layers.outer.close(), 'the outer layer to close')
    for (const client of clients) {
      await within(client.closed, 'the end')
      expect(client.bytes.equals(DRAINED)).toBe(true)
    }
  })
})
