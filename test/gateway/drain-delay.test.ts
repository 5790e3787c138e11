/** An outer layer that stops: whoever was accepted is answered, whenever the first request comes. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { END_HEADERS, END_STREAM, H2Connection, headers, request } from '../support/h2-frames.ts'
import { startLayers } from '../support/layers.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'

let origin: RawOrigin
let ca: string
let appCertificates: Awaited<ReturnType<typeof startStore>>

beforeAll(async () => {
  const authority = await mintAuthority()
  ca = authority.certificatePem
  appCertificates = await startStore([writePair(await mintServer(['a.test', '127.0.0.1'], authority))])
  origin = await startRawOrigin()
  origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
})

/** Time between a connection and its first request, milliseconds. */
const PAUSES = [0, 5, 50, 100]
const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'

describe.each(['plain', 'tls', 'h2'])('%s', kind => {
  test('none of those that were accepted is lost', async () => {
    const layers = await startLayers({
      origin: origin.port,
      // A busy machine keeps visitors from their first request for longer than a second.
      outer: { drainDelayMs: 300, drainTimeoutMs: 60_000, limits: { lastRequestMs: 30_000 }, ...(kind !== 'plain' && { appCertificates }) },
    })
    const tls = kind === 'plain' ? {} : { tls: { ca, servername: 'a.test', ...(kind === 'h2' && { ALPNProtocols: ['h2'] }) } }
    // What the kernel has taken, and the process has not when its port closes, is reset: nobody accepted that.
    let accepted = 0
    const count = (message: unknown): void => {
      if ((message as { socket: Socket }).socket.localPort === layers.port) accepted++
    }
    subscribe('net.server.socket', count)
    onCleanUp(() => unsubscribe('net.server.socket', count))
    let answered = 0
    const visit = async (pauseMs: number): Promise<void> => {
      let connection: RawConnection | H2Connection
      try {
        connection = await (kind === 'h2' ? H2Connection : RawConnection).open(layers.port, tls)
      } catch {
        return
      }
      await delay(pauseMs)
      try {
        if (connection instanceof RawConnection) {
          connection.write(GET)
          expect((await connection.readResponse()).body.toString()).toBe('ok')
        } else {
          connection.write(headers(1, request('/', [], { scheme: 'https' }), END_HEADERS | END_STREAM))
          expect(await connection.ended(1)).toBe('end')
        }
        answered++
      } catch {
        // then it is one that was accepted and not answered
      }
    }
    let isOver = false
    const visits: Promise<void>[] = []
    const visitors = (async () => {
      for (let i = 0; !isOver; i++) {
        visits.push(visit(PAUSES[i % PAUSES.length]!))
        await delay(10)
      }
    })()
    await delay(200)
    await layers.outer.close().finally(() => (isOver = true))
    await visitors
    await Promise.all(visits)
    expect(answered).toBe(accepted)
    expect(answered).toBeGreaterThan(0)
  })
})
