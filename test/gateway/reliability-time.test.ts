/** What may take how long: only silence ends a request, and the one who was silent is told so. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Socket } from 'node:net'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type OriginHandler, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const get = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
const upload = 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n'
const answerOk: OriginHandler = async (request, socket) => {
  await request.complete
  socket.write(rawResponse(200, 'ok'))
}
const silence: OriginHandler = () => undefined

let origin: RawOrigin
beforeAll(async () => {
  origin = await startRawOrigin()
})
beforeEach(() => {
  origin.handle(answerOk)
  origin.clear()
})

/** Nothing is under way, and no fault of ours was logged. */
const unharmed = async (layers: Layers): Promise<void> => {
  await quiet(layers)
  expect([...layers.outerLogs, ...layers.innerLogs].filter(({ level }) => level === 'error')).toEqual([])
}

describe('time', () => {
  let hasty: Layers
  beforeAll(async () => {
    hasty = await startLayers({ origin: origin.port, outer: { timeoutMs: 1_500 } })
  })

  test('F07 (fault): an upload that goes on is not timed out, however long it takes', async () => {
    const client = await RawConnection.open(hasty.port)
    client.write('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 30\r\n\r\n')
    const startedMs = performance.now()
    for (let sent = 1; sent <= 30; sent++) {
      client.write('x')
      await until(() => performance.now() - startedMs >= sent * 100)
    }
    expect((await client.readResponse('POST')).status).toBe(200)
    await unharmed(hasty)
  })

  test('W28: nor is one that only the origin holds up, as long as it takes some', async () => {
    // Too much for all buffers on the way, read in gulps.
    const total = 12 << 20
    origin.handle(async (request, socket) => {
      const gulps = setInterval(() => (socket.isPaused() ? socket.resume() : socket.pause()), 60)
      await request.complete.finally(() => clearInterval(gulps))
      socket.resume()
      socket.write(rawResponse(200, String(request.bodyBytes)))
    })
    const { status, body } = await exchange(hasty.port, { method: 'POST', body: Buffer.alloc(total) })
    expect([status, body.toString()]).toEqual([200, String(total)])
    await unharmed(hasty)
  })

  test('a client that stalls its upload gets 408', async () => {
    const client = await RawConnection.open(hasty.port)
    client.write(upload).write('x'.repeat(100))
    const response = await client.readResponse('POST')
    expect(response.status).toBe(408)
    await client.closed
    await until(() => origin.last.connection.closed !== 'no')
    await unharmed(hasty)
  })

  test('F32 (fault): an origin that accepts and says nothing is 504', async () => {
    origin.handle(silence)
    for (const method of ['GET', 'POST'])
      expect(await exchange(hasty.port, { method })).toMatchObject({ status: 504, code: 'ORIGIN_TIMEOUT' })
    expect(origin.hits).toBe(2)
    await until(() => origin.last.connection.closed !== 'no')
    await unharmed(hasty)
  })

  test('neither a 504 nor a client that gives up has a connection made on which nothing is asked', async () => {
    origin.handle(silence)
    for (let i = 0; i < 3; i++) expect(await exchange(hasty.port)).toMatchObject({ status: 504 })
    for (let i = 0; i < 3; i++) {
      const client = await RawConnection.open(hasty.port)
      client.write(get)
      await until(() => origin.hits === 4 + i)
      client.socket.destroy()
      await until(() => origin.last.connection.closed !== 'no')
    }
    origin.handle(answerOk)
    for (let i = 0; i < 3; i++) expect(await exchange(hasty.port)).toMatchObject({ status: 200 })
    expect(origin.connections.filter(({ requests }) => requests.length === 0)).toEqual([])
    await unharmed(hasty)
  })

  test('an origin that does not read an upload is 504, not the fault of the client', async () => {
    origin.handle((_request, socket) => void socket.pause())
    const outcome = await exchange(hasty.port, { method: 'POST', body: Buffer.alloc(16 << 20) })
    // The client is still sending when the answer comes: it reads 504 or sees the connection closed, never a success.
    expect([504, 0]).toContain(outcome.status)
    await until(() => hasty.accessLog.at(-1)?.error === 'ORIGIN_TIMEOUT')
    origin.last.connection.socket.resume()
    await unharmed(hasty)
  })

  test('F31 (fault): a connection to an origin that is never made is 504', async () => {
    const mute = await startRawOrigin(silence)
    const tls = await startLayers({
      targets: `targets:\n  "*": {protocol: https, hostname: 127.0.0.1, port: ${mute.port}}\n`,
      outer: { timeoutMs: 1_500 },
    })
    expect(await exchange(tls.port)).toMatchObject({ status: 504 })
    await unharmed(tls)
  })

  test('once the answer has begun, silence is no fault: an event stream may be quiet', async () => {
    let stream: Socket | undefined
    origin.handle((_request, socket) => {
      stream = socket
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    })
    const client = await RawConnection.open(hasty.port)
    client.write(get)
    await client.read('\r\n\r\n')
    const startedMs = performance.now()
    await until(() => performance.now() - startedMs > 1_200)
    stream!.write('5\r\nlater\r\n0\r\n\r\n')
    await client.read('later')
    client.destroy()
    await unharmed(hasty)
  })
})
