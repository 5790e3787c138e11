import { expect, test } from '@jest/globals'
import type { ConnectionOptions } from 'node:tls'
import { CertificateStore } from '../../src/tls/certificate-store.ts'
import { mintServer, writePair } from '../support/certificates.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startTcpLayers, toOrigin } from '../support/tcp-layers.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { until } from '../support/wait.ts'

const AT_A_TIME = 200

/** A turn of the event loop, and a look at one of the files that are followed. */
const PASSING = new Set(['Immediate', 'FSReqPromise', 'FSReqCallback'])

/** What keeps this process busy, by kind. Sockets are those of clients, of both layers and of the origin alike. */
const counts = (): Record<string, number> => {
  const all: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) if (!PASSING.has(name)) all[name] = (all[name] ?? 0) + 1
  return all
}

/** The same, once the last sockets that were closed have gone: nothing has changed for 40 looks. */
const settledCounts = async (): Promise<Record<string, number>> => {
  let last = ''
  let looks = 0
  await until(() => {
    const { TCPSocketWrap: sockets } = counts()
    looks = String(sockets) === last ? looks + 1 : 0
    last = String(sockets)
    return looks >= 40
  })
  return counts()
}

interface Shape {
  readonly what: string
  readonly connections: number
  readonly keys: string
  readonly tls: boolean
}

test.each<Shape>([
  { what: 'plain', connections: 2_000, keys: '', tls: false },
  { what: 'TLS that is ended', connections: 400, keys: 'tls: true', tls: true },
])(
  '$connections connections, $what, at most 200 at a time, leave no socket, stream or timer behind',
  async ({ connections, keys, tls }) => {
    const pair = await mintServer(['localhost'])
    const { certificate, key } = writePair(pair)
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port, keys), {
      outer: { tcpCertificates: () => new CertificateStore({ certificates: [certificate], keys: [key] }) },
    })
    const options: { readonly tls?: ConnectionOptions } = tls ? { tls: { ca: pair.certificatePem, servername: 'localhost' } } : {}
    const use = async (number: number): Promise<void> => {
      const client = await RawConnection.open(layers.tcpPort, options)
      const text = `connection ${number} `
      expect(await client.write(text).read(text)).toBe(text)
      // Every way to end: cleanly, by a reset, and by vanishing with bytes under way.
      if (number % 3 === 0) {
        client.end()
        await client.closed
      } else if (number % 3 === 1 && !tls) client.reset()
      else client.write('never read').destroy()
    }
    const isQuiet = (): boolean => layers.outer.tcpConnections === 0 && layers.inner.streamCount === 0 && origin.sockets.length === 0
    await use(0)
    await until(isQuiet)
    const before = await settledCounts()
    let next = 1
    const worker = async (): Promise<void> => {
      while (next <= connections) await use(next++)
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
    await until(isQuiet)
    await until(() => layers.connectionLog.length === connections + 1)
    const { session } = layers.outer.registry.connections[0]!
    expect({ streams: session.streamCount, bytes: session.outstandingBytes }).toEqual({ streams: 0, bytes: 0 })
    expect(layers.inner.outstandingBytes).toBe(0)
    expect(origin.accepted).toBe(connections + 1)
    // Those of the link, and of this test, come and go.
    const { Timeout: timers = 0, ...others } = before
    await until(() => counts()['TCPSocketWrap'] === others['TCPSocketWrap'])
    const { Timeout: timersAfter = 0, ...othersAfter } = counts()
    expect(othersAfter).toEqual(others)
    expect(timersAfter).toBeLessThanOrEqual(timers + 3)
    await layers.close()
  },
  120_000,
)
