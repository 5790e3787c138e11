/** Places of a TCP port: a client that left has none, and no address has all of them. */
import { connect, type Socket } from 'node:net'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { CertificateStore } from '../../src/tls/certificate-store.ts'
import { mintAuthority, mintServer, writePair, type PairFiles } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startTcpLayers, toOrigin } from '../support/tcp-layers.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { once, until } from '../support/wait.ts'

let files: PairFiles
beforeAll(async () => {
  files = writePair(await mintServer(['db.example.com'], await mintAuthority()))
})

/** The beginning of a ClientHello, which is to be 512 bytes long. */
const HALF_HELLO = Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), Buffer.alloc(50)])

describe.each(['true', 'passthrough'])('tls: %s', tls => {
  test.each([
    ['says nothing', Buffer.alloc(0)],
    ['is in the middle of its first message', HALF_HELLO],
    ['has asked for TLS as PostgreSQL does', Buffer.from('0000000804d2162f', 'hex')],
  ])('a client that leaves when it %s frees its place at once', async (_when, bytes) => {
    const origin = await startTcpOrigin(echo)
    const keys = tls === 'true' ? toOrigin(origin.port, 'tls: true') : `tls: passthrough, names: {"a.test": {${toOrigin(origin.port)}}}`
    const tcpCertificates = (): CertificateStore => new CertificateStore({ certificates: [files.certificate], keys: [files.key] })
    const layers = await startTcpLayers(keys, { outer: { tcpCertificates } })
    const clients = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const socket: Socket = connect({ port: layers.tcpPort, host: '127.0.0.1', allowHalfOpen: true })
        onCleanUp(() => socket.destroy())
        socket.on('error', () => undefined)
        await once(socket, 'connect')
        return socket
      }),
    )
    await until(() => layers.outer.tcpConnections === 10)
    for (const client of clients) {
      if (bytes.length > 0) client.write(bytes)
      client.end()
    }
    await until(() => layers.outer.tcpConnections === 0)
    // It used to be the time for a handshake, at the end of which it is a REQUEST_TIMEOUT.
    const isPlain = tls === 'passthrough' && bytes.length === 8
    const errors = (): (string | undefined)[] => layers.connectionLog.map(({ error }) => error)
    await until(() => errors().length === clients.length)
    expect(errors()).toEqual(clients.map(() => (isPlain ? 'BAD_REQUEST' : 'CANCELLED')))
  })
})

test('maxConnectionsPerAddress leaves places to others', async () => {
  const origin = await startTcpOrigin(echo)
  const layers = await startTcpLayers(toOrigin(origin.port, 'maxConnectionsPerAddress: 2'), { outer: { trustProxy: [] } })
  const from = (localAddress: string): Promise<RawConnection> => RawConnection.open(layers.tcpPort, { localAddress })
  const [first, second] = [await from('127.0.0.2'), await from('127.0.0.2')]
  for (const client of [first, second]) await client.write('x').read('x')
  const third = await from('127.0.0.2').then(
    client => client.closed,
    () => 'rst',
  )
  expect(third).toBe('rst')
  expect(await layers.connectionLine()).toMatchObject({
    error: 'OVERLOADED',
    reason: expect.stringContaining('maxConnectionsPerAddress') as unknown,
  })
  expect(await (await from('127.0.0.3')).write('y').read('y')).toBe('y')
  first.destroy()
  await until(() => layers.outer.tcpConnections === 2)
  expect(await (await from('127.0.0.2')).write('z').read('z')).toBe('z')
})
