/** Many requests on one connection: what waits is bounded, in order, and in the way of nobody else. */
import { beforeAll, beforeEach, expect, test } from '@jest/globals'
import { startLayers, type Layers } from '../support/layers.ts'
import { heldBytes } from '../support/memory.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const TARGETS = 'targets:\n  a.test: {protocol: http, hostname: 127.0.0.1, port: {port}}\n'
let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port, targets: TARGETS, logLevel: 'error' })
})
beforeEach(() => {
  origin.clear()
})

const SLOW = 'GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n'
const LOCAL = 'GET / HTTP/1.1\r\nHost: b.test\r\n\r\n'

test('what waits behind a slow request waits as bytes, and is answered in order', async () => {
  let answer: (() => void) | undefined
  origin.handle((request, socket) => {
    if (request.target === '/slow') answer = () => void socket.write(rawResponse(200, '/slow'))
    else void socket.write(rawResponse(200, request.target))
  })
  const client = await RawConnection.open(layers.port)
  const before = heldBytes()
  const paths = Array.from({ length: 1_000 }, (_, i) => `/${i}`)
  client.write(SLOW + paths.map(path => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`).join(''))
  await until(() => answer)
  expect(heldBytes() - before).toBeLessThan(8_388_608)
  answer!()
  for (const path of ['/slow', ...paths]) expect((await client.readResponse()).body.toString()).toBe(path)
})

test('a burst of requests that are answered here does not hold up others', async () => {
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
  const bursts = await Promise.all(Array.from({ length: 20 }, () => RawConnection.open(layers.port)))
  const other = await RawConnection.open(layers.port)
  for (const client of bursts) client.write(LOCAL.repeat(2_000))
  // The others are far from done when the one that came last has its answer.
  other.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  expect((await other.readResponse()).body.toString()).toBe('ok')
  for (const client of bursts) expect(client.bytes.toString('latin1').match(/HTTP\/1\.1 404/g)?.length ?? 0).toBeLessThan(1_000)
  for (const client of bursts) client.destroy() // what is left of 40,000 requests is nobody's any more
})

test('one burst takes no long turn', async () => {
  const client = await RawConnection.open(layers.port)
  const ANSWER = 'HTTP/1.1 404'
  let [seen, inTurn, most] = [0, 0, 0]
  let rest = ''
  client.socket.on('data', (bytes: Buffer) => {
    const text = rest + bytes.toString('latin1')
    const answers = text.split(ANSWER).length - 1
    seen += answers
    inTurn += answers
    rest = text.slice(1 - ANSWER.length) // an answer may begin in one piece and go on in the next one
  })
  client.write(LOCAL.repeat(3_000))
  let isOver = false
  const turn = (): void => {
    most = Math.max(most, inTurn)
    inTurn = 0
    if (!isOver) setImmediate(turn)
  }
  turn()
  await until(() => seen >= 3_000, { what: 'the answers of the burst' }).finally(() => (isOver = true))
  // A few of the burst for each turn, however long a busy machine makes them.
  expect(most).toBeLessThan(100)
})

test('an upload and requests behind it, in one piece and byte by byte', async () => {
  origin.handle(async (request, socket) => {
    await request.complete
    socket.write(rawResponse(200, request.body))
  })
  const body = 'x\r\n\r\n'.repeat(50)
  const upload = `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const client = await RawConnection.open(layers.port)
  client.write(upload.repeat(30))
  for (let i = 0; i < 30; i++) expect((await client.readResponse()).body.toString()).toBe(body)
  for (const byte of upload + upload) client.write(byte)
  for (let i = 0; i < 2; i++) expect((await client.readResponse()).body.toString()).toBe(body)
})

test('a request whose body is broken, and which waits for its turn meanwhile, is refused in its turn', async () => {
  let answer: (() => void) | undefined
  origin.handle(async (request, socket) => {
    await request.complete
    answer = () => void socket.write(rawResponse(200, request.target))
  })
  const client = await RawConnection.open(layers.port)
  const upload = 'POST /slow HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx'
  client.write(`${upload}POST /broken HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nwrong`)
  await until(() => answer)
  answer!()
  expect((await client.readResponse()).body.toString()).toBe('/slow')
  expect((await client.readResponse()).status).toBe(400)
  expect(await client.closed).toBe('fin')
})
