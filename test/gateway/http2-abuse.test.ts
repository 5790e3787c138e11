/** L9: clients of HTTP/2 that make work of which nothing comes are told to calm down; the process stays responsive, its memory flat. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { H2Client } from '../support/h2-client.ts'
import {
  ACK,
  block,
  CODE,
  codeOf,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  H2,
  H2Connection,
  headers,
  request,
  reset,
  SETTING,
  settings,
  windowUpdate,
} from '../support/h2-frames.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { head } from '../support/message.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

let origin: RawOrigin
let layers: Layers
let honest: H2Client

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port, outer: { appH2c: true, limits: { writeStallMs: 300 } }, logLevel: 'warn' })
  honest = H2Client.open(layers.port)
})
beforeEach(() => {
  origin.clear()
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, 'ok'))
  })
})

const GET = END_HEADERS | END_STREAM
const streamCount = (): number => layers.outer.registry.connections.reduce((sum, { session }) => sum + session.streamCount, 0)

/** Another client is served, nothing is left open, and nothing was logged as a fault. */
const expectHealthy = async (): Promise<void> => {
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'healthy')))
  expect((await honest.get()).text).toBe('healthy')
  await until(() => streamCount() === 0, { what: 'no stream left' })
  expect([...layers.outerLogs, ...layers.innerLogs].filter(record => record.level === 'error')).toEqual([])
}

/** Sends `frames` until the connection is ended; gives the code of GOAWAY, or `closed` without one. */
const flood = async (client: H2Connection, next: (round: number) => Buffer, rounds = 2_000): Promise<number | 'closed' | 'open'> => {
  for (let round = 0; round < rounds; round++) {
    if (client.connection.peerClose !== 'no' || client.of(H2.GOAWAY).length > 0) break
    client.write(next(round))
    if (client.connection.socket.writableNeedDrain)
      await until(() => !client.connection.socket.writableNeedDrain || client.connection.peerClose !== 'no')
    else await new Promise(setImmediate)
  }
  await until(() => client.of(H2.GOAWAY).length > 0 || client.connection.peerClose !== 'no').catch(() => undefined)
  const [goAway] = client.of(H2.GOAWAY)
  return goAway !== undefined ? codeOf(goAway) : client.connection.peerClose === 'no' ? 'open' : 'closed'
}

describe('floods', () => {
  test('rapid reset: streams that are opened and reset at once', async () => {
    const client = await H2Connection.open(layers.port)
    let id = -1
    const outcome = await flood(client, () =>
      Buffer.concat(Array.from({ length: 20 }, () => Buffer.concat([headers((id += 2), request('/reset'), GET), reset(id, CODE.CANCEL)]))),
    )
    expect(outcome).not.toBe('open')
    expect(id).toBeLessThan(10_000)
    await expectHealthy()
  })

  test('rapid reset, slower: each stream has reached the origin', async () => {
    origin.handle(() => undefined)
    const client = await H2Connection.open(layers.port)
    let id = -1
    const outcome = await flood(client, () => {
      const before = id
      id += 2
      return Buffer.concat([before > 0 ? reset(before, CODE.CANCEL) : Buffer.alloc(0), headers(id, request('/slow'), GET)])
    })
    expect(outcome).not.toBe('open')
    expect(origin.hits).toBeLessThan(1_500)
    await expectHealthy()
  })

  test('MadeYouReset: streams that the server is made to reset', async () => {
    origin.handle(() => undefined)
    const client = await H2Connection.open(layers.port)
    let id = -1
    // A window update of zero is an error of that stream (RFC 9113 §6.9).
    const outcome = await flood(client, () => Buffer.concat([headers((id += 2), request('/made'), GET), windowUpdate(id, 0)]))
    expect(outcome).not.toBe('open')
    await expectHealthy()
  })

  test('an address that floods gets no other connection for a while, and others do', async () => {
    const own = await startLayers({ origin: origin.port, outer: { appH2c: true, trustProxy: [] } })
    const client = await H2Connection.open(own.port, { localAddress: '127.0.0.2' })
    expect(await flood(client, () => settings([SETTING.INITIAL_WINDOW_SIZE, 65_535]))).toBe(CODE.CALM)
    const again = await H2Connection.open(own.port, { localAddress: '127.0.0.2' })
    await until(() => again.connection.peerClose !== 'no')
    expect(again.frames).toEqual([])
    expect((await H2Client.open(own.port).get()).text).toBe('ok')
  })

  test('PING', async () => {
    const client = await H2Connection.open(layers.port)
    const ping = frame(H2.PING, 0, 0, Buffer.alloc(8))
    expect(await flood(client, () => Buffer.concat(Array.from({ length: 50 }, () => ping)))).not.toBe('open')
    await expectHealthy()
  })

  test('SETTINGS', async () => {
    const client = await H2Connection.open(layers.port)
    expect(await flood(client, () => settings([SETTING.INITIAL_WINDOW_SIZE, 65_535]))).toBe(CODE.CALM)
    await expectHealthy()
  })

  test('CONTINUATION without an end', async () => {
    const client = await H2Connection.open(layers.port)
    client.write(headers(1, request('/endless'), 0))
    const more = frame(H2.CONTINUATION, 0, 1, block([['x-fill', 'x'.repeat(1_000)]]))
    expect(await flood(client, () => more)).not.toBe('open')
    expect(origin.hits).toBe(0)
    await expectHealthy()
  })

  test('empty DATA', async () => {
    const client = await H2Connection.open(layers.port)
    client.write(headers(1, request('/empty', [], { method: 'POST' })))
    await flood(client, () => Buffer.concat(Array.from({ length: 100 }, () => data(1, ''))), 200)
    client.connection.destroy()
    await expectHealthy()
  })

  test('heads that never end their block are bounded in time', async () => {
    const client = await H2Connection.open(layers.port)
    client.write(headers(1, request('/half'), END_STREAM))
    expect((await honest.get()).text).toBe('ok')
    client.connection.destroy()
    await expectHealthy()
  })

  test('a header list that grows when it is decoded', async () => {
    const client = await H2Connection.open(layers.port)
    // One entry of the dynamic table, named thousands of times (RFC 7541 §6.1): a byte each.
    const entry = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from('x'), Buffer.from([0x7f, 0xa1, 0x1e]), Buffer.alloc(4_000, 'y')])
    const bomb = Buffer.concat([block(request('/bomb')), entry, Buffer.alloc(12_000, 0xbe)])
    client.write(frame(H2.HEADERS, GET, 1, bomb))
    const outcome = await until(() => client.of(H2.RST_STREAM, 1)[0] ?? client.of(H2.GOAWAY)[0])
    expect(codeOf(outcome)).toBe(CODE.CALM)
    expect(origin.hits).toBe(0)
    client.connection.destroy()
    await expectHealthy()
  })
})

describe('windows', () => {
  test('a client that takes nothing is reset in the end, and the origin with it', async () => {
    let written = 0
    origin.handle((_request, socket) => {
      socket.write(head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'))
      const fill = (): void => {
        while (written < 64 << 20 && socket.write(`4000\r\n${'x'.repeat(0x4000)}\r\n`)) written += 0x4000
      }
      socket.on('drain', fill)
      fill()
    })
    const client = await H2Connection.open(layers.port, { pairs: [[SETTING.INITIAL_WINDOW_SIZE, 0]] })
    client.write(...[1, 3, 5, 7, 9].map(id => headers(id, request('/stalled'), GET)))
    expect(await client.ended(9)).toBe(CODE.INTERNAL_ERROR)
    expect(client.body(1)).toHaveLength(0)
    expect(written).toBeLessThan(5 * (8 << 20)) // most of it in the kernel
    await until(() => streamCount() === 0)
    client.connection.destroy()
    await expectHealthy()
  })

  test('nor does the end of a complete answer wait for ever', async () => {
    const client = await H2Connection.open(layers.port, { pairs: [[SETTING.INITIAL_WINDOW_SIZE, 0]] })
    client.write(headers(1, request('/small'), GET))
    expect(await client.ended(1)).toBe(CODE.INTERNAL_ERROR)
    client.connection.destroy()
    await expectHealthy()
  })

  test('a window that overflows is an error of its stream', async () => {
    origin.handle(() => undefined)
    const client = await H2Connection.open(layers.port)
    client.write(headers(1, request('/overflow'), GET))
    await until(() => origin.hits === 1)
    client.write(windowUpdate(1, 0x7fff_ffff))
    expect([CODE.FLOW_CONTROL_ERROR, CODE.INTERNAL_ERROR]).toContain(await client.ended(1))
    await until(() => origin.last.connection.closed !== 'no')
    client.connection.destroy()
    await expectHealthy()
  })

  test('an upload beyond its window is an error, of its stream or of the connection', async () => {
    origin.handle(() => undefined)
    const client = await H2Connection.open(layers.port)
    // Nothing of it is read before 100 (Continue), so no window comes back.
    client.write(headers(1, request('/upload', [['expect', '100-continue']], { method: 'POST' })))
    await until(() => origin.hits === 1)
    client.write(...Array.from({ length: 8 }, () => data(1, Buffer.alloc(16_384))))
    const outcome = await until(() => client.of(H2.RST_STREAM, 1)[0] ?? client.of(H2.GOAWAY)[0])
    expect(codeOf(outcome)).not.toBe(CODE.NO_ERROR)
    expect(origin.last.bodyBytes).toBe(0)
    client.connection.destroy()
    await until(() => origin.last.isCut)
    await expectHealthy()
  })
})

describe('what is malformed', () => {
  test.each<readonly [string, readonly (readonly [string, string])[]]>([
    ['a field of a connection', request('/', [['connection', 'close']])],
    ['Transfer-Encoding', request('/', [['transfer-encoding', 'chunked']])],
    ['TE with more than trailers', request('/', [['te', 'gzip']])],
    ['a name in upper case', request('/', [['X-A', '1']])],
    ['a pseudo-header field twice', [...request('/'), [':path', '/other']]],
    ['a pseudo-header field behind a field', [...request('/', [['x', 'y']]), [':path', '/other']]],
    ['no path', request('/').filter(([name]) => name !== ':path')],
    ['an unknown pseudo-header field', request('/', [[':x', 'y']])],
  ])('%s never reaches the origin', async (_name, fields) => {
    const client = await H2Connection.open(layers.port)
    client.write(headers(1, fields, GET))
    const outcome = await until(() => client.of(H2.RST_STREAM, 1)[0] ?? client.of(H2.GOAWAY)[0])
    expect(codeOf(outcome)).toBe(CODE.PROTOCOL_ERROR)
    expect(origin.hits).toBe(0)
    client.connection.destroy()
    await expectHealthy()
  })

  test.each<readonly [string, readonly [string, string]]>([
    ['a value with a line break', ['x', 'a\r\nevil: c']],
    ['a value with a NUL', ['x', 'a\0evil\0c']],
    ['a name with a space', ['evil y', 'a']],
    ['a name with a colon', ['evil:y', 'a']],
  ])('%s is left out, and nothing of it reaches the origin', async (_name, field) => {
    const client = await H2Connection.open(layers.port)
    client.write(headers(1, request('/', [field, ['x-last', 'yes']]), GET))
    await client.ended(1)
    expect(origin.last.values('x-last')).toEqual(['yes'])
    expect(origin.last.lines.join('\n')).not.toContain('evil')
    client.connection.destroy()
    await expectHealthy()
  })

  test.each([
    ['longer', 'abcdef'],
    ['shorter', 'a'],
  ])('a body that is %s than its Content-Length is never complete at the origin', async (_name, body) => {
    origin.handle(() => undefined)
    const client = await H2Connection.open(layers.port)
    client.write(headers(1, request('/length', [['content-length', '3']], { method: 'POST' })))
    client.write(data(1, body, END_STREAM))
    expect([CODE.PROTOCOL_ERROR, CODE.INTERNAL_ERROR]).toContain(await client.ended(1))
    expect(origin.requests.some(one => one.isComplete && one.bodyBytes !== 3)).toBe(false)
    await until(() => origin.requests.every(one => one.isCut || one.isComplete))
    client.connection.destroy()
    await expectHealthy()
  })

  test('a stream that is reset with NO_ERROR in the middle of its upload is cut at the origin', async () => {
    origin.handle(() => undefined)
    const client = await H2Connection.open(layers.port)
    client.write(headers(1, request('/upload', [], { method: 'POST' })), data(1, 'part'))
    await until(() => origin.hits === 1 && origin.last.bodyBytes === 4)
    client.write(reset(1, CODE.NO_ERROR))
    await until(() => origin.last.isCut)
    expect(origin.last.isComplete).toBe(false)
    client.connection.destroy()
    await expectHealthy()
  })

  test('garbage behind the preface ends the connection', async () => {
    const client = await H2Connection.open(layers.port)
    client.write(frame(H2.HEADERS, GET, 1, Buffer.from('GET / HTTP/1.1\r\n\r\n')))
    await until(() => client.of(H2.GOAWAY).length > 0 || client.connection.peerClose !== 'no')
    expect(origin.hits).toBe(0)
    await expectHealthy()
  })

  test('a connection that sends half a preface, or a preface alone, is closed', async () => {
    const own = await startLayers({ origin: origin.port, outer: { appH2c: true, limits: { headerMs: 200 } } })
    const alone = await H2Connection.open(own.port)
    alone.write(settings(), frame(H2.SETTINGS, ACK, 0))
    const silent = await H2Connection.open(own.port)
    expect(silent.frames).toBeDefined()
    const { RawConnection } = await import('../support/raw-client.ts')
    const half = await RawConnection.open(own.port)
    half.write('PRI * HTTP/2.0\r\n')
    await until(() => half.peerClose !== 'no')
    const bare = await RawConnection.open(own.port)
    bare.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    await until(() => bare.peerClose !== 'no')
  })
})

test('100 streams at a time; a client that opens more has not read the settings, and is left', async () => {
  let finish: (() => void)[] = []
  origin.handle((_request, socket) => void finish.push(() => socket.write(rawResponse(200, 'ok'))))
  const client = await H2Connection.open(layers.port)
  await client.frame(H2.SETTINGS)
  client.write(...Array.from({ length: 100 }, (_, i) => headers(2 * i + 1, request(`/${i}`), GET)))
  await until(() => finish.length === 100)
  for (const one of finish) one()
  finish = []
  expect(await client.ended(199)).toBe('end')
  client.write(...Array.from({ length: 101 }, (_, i) => headers(2 * i + 201, request(`/${i}`), GET)))
  expect(codeOf(await client.frame(H2.GOAWAY))).not.toBe(CODE.NO_ERROR)
  await until(() => streamCount() === 0)
  await expectHealthy()
})

test('a hundred requests in one piece on each of three connections, some given up at once: all others are answered, and have their lines', async () => {
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
  const own = await startLayers({ origin: origin.port, outer: { appH2c: true } })
  const kept = Array.from({ length: 100 }, (_, i) => 2 * i + 1).filter(stream => stream % 10 !== 9)
  const clients = await Promise.all(Array.from({ length: 3 }, () => H2Connection.open(own.port)))
  for (const client of clients) {
    await client.frame(H2.SETTINGS)
    const resets = Array.from({ length: 20 }, (_, i) => reset(10 * i + 9, CODE.CANCEL))
    client.write(...Array.from({ length: 100 }, (_, i) => headers(2 * i + 1, request(`/${i}`), GET)), ...resets)
  }
  for (const client of clients) for (const stream of kept) expect(await client.ended(stream)).toBe('end')
  const lines = (): readonly (string | undefined)[] => own.accessLog.map(({ error }) => error)
  await until(() => lines().filter(error => error === undefined).length >= 3 * kept.length)
  expect(lines().filter(error => error !== undefined && error !== 'CANCELLED')).toEqual([])
  for (const client of clients) client.connection.destroy()
  await until(() => own.outer.registry.connections.every(({ session }) => session.streamCount === 0))
  expect((await H2Client.open(own.port).get()).status).toBe(200)
})

describe('what one address costs in all', () => {
  const own = (): Promise<Layers> => startLayers({ origin: origin.port, outer: { appH2c: true, trustProxy: [] } })

  test('rapid reset by reconnecting: the budget is one for all connections', async () => {
    origin.handle(() => undefined)
    const layers = await own()
    const startedMs = performance.now()
    let refused = 0
    for (let i = 0; i < 40; i++) {
      const client = await H2Connection.open(layers.port, { localAddress: '127.0.0.3' })
      await until(() => client.of(H2.SETTINGS).length > 0 || client.connection.peerClose !== 'no')
      if (client.connection.peerClose !== 'no') {
        refused++
        continue
      }
      const count = 400
      client.write(
        ...Array.from({ length: count }, (_, n) =>
          Buffer.concat([headers(2 * n + 1, request('/reset'), GET), reset(2 * n + 1, CODE.CANCEL)]),
        ),
      )
      client.write(frame(H2.PING, 0, 0, Buffer.alloc(8)))
      await until(() => client.of(H2.PING).length > 0 || client.connection.peerClose !== 'no')
      client.connection.destroy()
    }
    // Forty connections of 400 would be 16,000. Four times what one may do at once is 2,000, and a hundred come back each second.
    const seconds = (performance.now() - startedMs) / 1_000
    const begun = layers.accessLog.filter(({ client }) => client === '127.0.0.3').length
    expect(begun).toBeGreaterThan(1_000)
    expect(begun).toBeLessThan(3_000 + 100 * seconds)
    expect(refused).toBeGreaterThan(0)
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    expect((await H2Client.open(layers.port).get()).status).toBe(200)
  })

  test('HPACK: few bytes that unpack into many are held for some requests, not for all', async () => {
    const layers = await own()
    const client = await H2Connection.open(layers.port, { localAddress: '127.0.0.4', pairs: [[SETTING.INITIAL_WINDOW_SIZE, 0]] })
    await client.frame(H2.SETTINGS)
    // Literal with incremental indexing (RFC 7541 §6.2.1), then references to it: index 62 is the newest entry.
    const [big] = [Buffer.from('x'.repeat(3_900))]
    const name = Buffer.from('x-big')
    const entry = Buffer.concat([Buffer.from([0x40, name.length]), name, Buffer.from([127, 0xbd, 0x1d]), big])
    expect(127 + 0x3d + (0x1d << 7)).toBe(3_900)
    const head = block(request('/bomb'))
    client.write(frame(H2.HEADERS, GET, 1, Buffer.concat([head, entry])))
    const references = Buffer.alloc(7, 0x80 | 62)
    for (let i = 1; i < 100; i++) client.write(frame(H2.HEADERS, GET, 1 + 2 * i, Buffer.concat([head, references])))
    await until(() => client.of(H2.RST_STREAM).filter(one => codeOf(one) === CODE.CALM).length > 50)
    expect(client.of(H2.HEADERS).length).toBeLessThan(45)
  })
})
