/** W19: a reader that stops stops its sender; what lies in between has a bound. */
import { describe, expect, test } from '@jest/globals'
import { DEFAULT_LIMITS, GROWTH_BUDGET_BYTES } from '../../src/mux/limits.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { heldBytes } from '../support/memory.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const MIB = 1 << 20
/** The kernel takes some 10 MiB of each stream before anybody has to wait; beyond that the numbers of a hundred streams are no others. */
const STREAMS = 25
const TOTAL = 64 * MIB

/** Resolves once `measure` has stood still for a while, with what it says. */
const settled = async (measure: () => number): Promise<number> => {
  let last = -1
  let since = performance.now()
  await until(
    () => {
      const now = measure()
      if (now !== last) since = performance.now()
      last = now
      return now > 0 && performance.now() - since > 500
    },
    { what: 'the bytes to stand still' },
  )
  return last
}

/** Bytes that both layers hold, as their sessions count them. */
const outstanding = ({ outer, inner }: Layers): number =>
  inner.outstandingBytes + outer.registry.connections.reduce((sum, { session }) => sum + session.outstandingBytes, 0)

/** Waits for each request to come to the origin, and none twice. */
const allAsked = async (origin: RawOrigin): Promise<void> => {
  await until(() => origin.hits >= STREAMS).catch(() => undefined)
  expect(origin.hits).toBe(STREAMS)
}

describe('memory', () => {
  test('clients that never read hold back their origin, and no other client', async () => {
    const block = Buffer.alloc(64 << 10)
    let taken = 0
    const origin = await startRawOrigin((request, socket) => {
      if (request.target === '/small') return void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`)
      // One block in our own memory at a time: what was handed over is what the gateway, or a kernel, has taken.
      let left = TOTAL
      const next = (): void => {
        if (left === 0 || socket.destroyed) return
        left -= block.length
        socket.write(block, () => {
          taken += block.length
          next()
        })
      }
      next()
    })
    const layers = await startLayers({ origin: origin.port, logLevel: 'info', outer: { timeoutMs: 120_000 } })
    const before = heldBytes()
    const clients: RawConnection[] = []
    for (let i = 0; i < STREAMS; i++) {
      const client = await RawConnection.open(layers.port)
      client.freeze()
      client.write('GET /bulk HTTP/1.1\r\nHost: a.test\r\n\r\n')
      clients.push(client)
    }
    await allAsked(origin)
    expect(await settled(() => taken)).toBeLessThan(STREAMS * TOTAL)
    // The rest lies in buffers of the kernel, where neither layer can bound it.
    const held = outstanding(layers)
    const bound = STREAMS * 2 * (DEFAULT_LIMITS.windowBytes + 64 * 1024) + 2 * GROWTH_BUDGET_BYTES
    expect(held).toBeLessThan(bound)
    expect(heldBytes() - before).toBeLessThan(bound + 32 * MIB)
    const small = await RawConnection.open(layers.port)
    small.write('GET /small HTTP/1.1\r\nHost: a.test\r\n\r\n')
    expect((await small.readResponse()).body.toString()).toBe('ok')
    for (const client of clients) client.destroy()
    await quiet(layers)
  })

  test('uploads to an origin that never reads hold back their clients', async () => {
    const origin = await startRawOrigin((_request, socket) => void socket.pause())
    const layers = await startLayers({ origin: origin.port, logLevel: 'info', outer: { timeoutMs: 120_000 } })
    const before = heldBytes()
    const block = Buffer.alloc(64 << 10)
    let taken = 0
    const clients: RawConnection[] = []
    for (let i = 0; i < STREAMS; i++) {
      const client = await RawConnection.open(layers.port)
      client.write(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${TOTAL}\r\n\r\n`)
      let left = TOTAL
      const next = (): void => {
        if (left === 0 || client.socket.destroyed) return
        left -= block.length
        client.socket.write(block, () => {
          taken += block.length
          next()
        })
      }
      next()
      clients.push(client)
    }
    await allAsked(origin)
    const accepted = await settled(() => taken)
    expect(accepted).toBeLessThan(STREAMS * TOTAL)
    expect(layers.inner.streamCount).toBe(STREAMS)
    const bound = STREAMS * 2 * (DEFAULT_LIMITS.windowBytes + 128 * 1024) + 2 * GROWTH_BUDGET_BYTES
    expect(outstanding(layers)).toBeLessThan(bound)
    expect(heldBytes() - before).toBeLessThan(bound + 32 * MIB)
    // That a client has gone shows only behind the bytes that nobody reads, so the origin has to go first.
    for (const { connection } of origin.requests) connection.socket.destroy()
    await quiet(layers)
  })

  test('a response that arrives in small pieces for a slow reader keeps no large messages alive', async () => {
    const origin = await startRawOrigin((_request, socket) => void socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'))
    const layers = await startLayers({ origin: origin.port, logLevel: 'info', outer: { timeoutMs: 120_000 } })
    const before = heldBytes()
    const clients: RawConnection[] = []
    for (let i = 0; i < STREAMS; i++) {
      const client = await RawConnection.open(layers.port)
      client.freeze()
      client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
      clients.push(client)
    }
    await allAsked(origin)
    const piece = Buffer.from('400\r\n' + 'x'.repeat(1024) + '\r\n')
    for (let round = 0; round < 300; round++) {
      for (const { connection } of origin.requests) if (connection.socket.writableLength < MIB) connection.socket.write(piece)
      await new Promise(setImmediate)
    }
    await settled(() => outstanding(layers) + 1)
    expect(heldBytes() - before).toBeLessThan(160 * MIB)
    for (const client of clients) client.destroy()
    await quiet(layers)
  })
})
