/** Section 1.4, U10 to U12: answers that take their time. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { get, head } from '../support/message.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type OriginHandler, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

/** Short enough to pass several times over while something is silent. */
const TIMEOUT_MS = 200

let origin: RawOrigin
let silent: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  silent = await startRawOrigin(() => undefined)
  layers = await startLayers({
    origin: origin.port,
    outer: { timeoutMs: TIMEOUT_MS, limits: { writeStallMs: TIMEOUT_MS } },
    targets: `
targets:
  "*": {protocol: http, hostname: 127.0.0.1, port: {port}}
  patient.test: {protocol: http, hostname: 127.0.0.1, port: {port}, timeouts: {head: 30000}}
  strict.test: {protocol: http, hostname: 127.0.0.1, port: {port}, timeouts: {idle: 300}}
  silent.test: {protocol: http, hostname: 127.0.0.1, port: ${silent.port}}
`,
  })
})
beforeEach(() => origin.clear())
afterEach(() => quiet(layers))

const eventStream = (...lines: readonly string[]): string =>
  head('HTTP/1.1 200 OK', 'Content-Type: text/event-stream', 'Cache-Control: no-cache', 'Transfer-Encoding: chunked', ...lines)
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`

/** Lets `--timeout` pass `count` times, as the gateway itself measures it. */
const timeoutsPass = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) expect((await exchange(layers.port, { host: 'silent.test' })).status).toBe(504)
}

describe('U10: event streams', () => {
  test.each(['text/event-stream', 'application/x-ndjson', 'application/grpc-web', 'text/html'])(
    'U10: the head and each piece of %s arrive before the next one is written',
    async type => {
      let write = (_text: string): void => undefined
      origin.handle((_request, socket) => {
        socket.write(head('HTTP/1.1 200 OK', `Content-Type: ${type}`, 'Transfer-Encoding: chunked'))
        write = text => void socket.write(text)
      })
      const client = await RawConnection.open(layers.port)
      client.write(get('/'))
      expect(await client.read('\r\n\r\n')).toContain(type)
      for (let i = 0; i < 20; i++) {
        write(chunk(`data: ${i}\n\n`))
        expect(await client.read(`data: ${i}\n\n`)).toContain(`data: ${i}\n\n`)
      }
      write('0\r\n\r\n')
      await client.read('0\r\n\r\n')
      client.destroy()
    },
  )

  test('U10: nothing is compressed on the way, and `no-transform` stays', async () => {
    origin.handle(
      (_request, socket) => void socket.write(eventStream('X-Accel-Buffering: no') + chunk(`data: ${'x'.repeat(2_000)}\n\n`) + '0\r\n\r\n'),
    )
    const client = await RawConnection.open(layers.port)
    const response = await client.write(get('/', 'Accept-Encoding: gzip, br')).readResponse()
    expect(response.lines.some(line => /^content-encoding:/i.test(line))).toBe(false)
    expect(response.body.toString()).toBe(`data: ${'x'.repeat(2_000)}\n\n`)
    client.destroy()
  })

  test('U10: Last-Event-ID comes to the origin, and a body without a length ends with its connection', async () => {
    origin.handle((_request, socket) => {
      socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: all\n\n')
    })
    const client = await RawConnection.open(layers.port)
    const response = await client.write(get('/', 'Last-Event-ID: 7')).readResponse()
    expect(response.body.toString()).toBe('data: all\n\n')
    expect(origin.last.values('last-event-id')).toEqual(['7'])
    client.destroy()
  })
})

describe('U11: silence in the middle of an answer', () => {
  let write = (_text: string): void => undefined
  const beginning: OriginHandler = (_request, socket) => {
    socket.write(eventStream() + chunk(': hello\n\n'))
    write = text => void socket.write(text)
  }

  test('U11: a silent event stream outlives every time limit of requests', async () => {
    origin.handle(beginning)
    const client = await RawConnection.open(layers.port)
    client.write(get('/'))
    await client.read(': hello\n\n')
    await timeoutsPass(4)
    expect(client.peerClose).toBe('no')
    write(chunk('data: late\n\n'))
    await client.read('data: late\n\n')
    client.destroy()
  })

  test('U11: a target may cut it', async () => {
    origin.handle(beginning)
    const client = await RawConnection.open(layers.port)
    client.write(get('/').replace('a.test', 'strict.test'))
    await client.read(': hello\n\n')
    expect(await client.closed).toBe('fin')
    expect(client.text).not.toContain('0\r\n\r\n')
    await until(() => origin.last.connection.socket.destroyed)
  })

  test.each(['end', 'reset'] as const)('U11: a client that leaves a silent stream (%s) ends it at the origin', async leave => {
    origin.handle(beginning)
    const client = await RawConnection.open(layers.port)
    client.write(get('/'))
    await client.read(': hello\n\n')
    client[leave]()
    await until(() => origin.last.connection.socket.destroyed)
  })
})

describe('U12: a late first byte', () => {
  test('U12: the limit until the head is one of its own, for each target', async () => {
    let answer = (): void => undefined
    origin.handle((_request, socket) => {
      answer = () => void socket.write(rawResponse(200, 'at last'))
    })
    const client = await RawConnection.open(layers.port)
    client.write(get('/').replace('a.test', 'patient.test'))
    await until(() => origin.hits === 1)
    await timeoutsPass(4)
    answer()
    expect((await client.readResponse()).body.toString()).toBe('at last')
    client.destroy()
  })

  test('U12: interim answers are signs of life', async () => {
    let hints = 0
    origin.handle(async (_request, socket) => {
      const hint = setInterval(() => {
        socket.write(head('HTTP/1.1 103 Early Hints', 'Link: </a>'))
        if (++hints < 7) return
        clearInterval(hint)
        socket.write(rawResponse(200, 'at last'))
      }, TIMEOUT_MS / 4)
    })
    const response = await exchange(layers.port)
    expect([response.status, response.body.toString()]).toEqual([200, 'at last'])
    expect(hints).toBe(7)
  })
})
