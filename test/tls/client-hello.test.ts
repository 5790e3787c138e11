import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { connect, type ConnectionOptions } from 'node:tls'
import { describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import { MAX_HELLO_BYTES, readClientHello } from '../../src/tls/client-hello.ts'
import { helloReader, type FirstMessage } from '../../src/tls/first-message.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { within } from '../support/wait.ts'

/** The first message of the TLS of Node (OpenSSL), as it goes out. */
const helloOf = async (options: ConnectionOptions): Promise<Buffer> => {
  let take = (_bytes: Buffer): void => undefined
  const first = new Promise<Buffer>(resolve => (take = resolve))
  const port = await listen(createServer((socket: Socket) => socket.once('data', take)))
  const socket = connectTcp({ port, host: '127.0.0.1' })
  const client = connect({ ...options, socket })
  client.on('error', () => undefined)
  onCleanUp(() => {
    client.destroy()
    socket.destroy()
  })
  return within(first, 'a ClientHello')
}

/** The same message in records of at most `size` bytes. */
const inRecords = (hello: Buffer, size: number): Buffer => {
  const body = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size)
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 0xff]), piece)
  }
  return Buffer.concat(records)
}

describe('the ClientHello of OpenSSL', () => {
  test.each([
    [
      'with a name and protocols',
      { servername: 'DB.example.com', ALPNProtocols: ['postgresql', 'h2'] },
      'db.example.com',
      ['postgresql', 'h2'],
    ],
    ['without a name', { servername: '' }, undefined, []],
    ['of TLS 1.2', { servername: 'old.example', maxVersion: 'TLSv1.2' }, 'old.example', []],
  ] as const)('%s is read', async (_what, options, name, alpn) => {
    const hello = await helloOf(options)
    expect(readClientHello(hello)).toEqual({ kind: 'hello', name, alpn })
    expect(readClientHello(Buffer.concat([hello, Buffer.from('what comes behind it')]))).toEqual({ kind: 'hello', name, alpn })
  })

  test('may come in pieces and in many records; what is asked for is never more than there will be', async () => {
    const hello = await helloOf({ servername: 'a.example' })
    for (const size of [1, 3, 7, 50, 16_384]) {
      const bytes = inRecords(hello, size)
      for (let length = 0; length < bytes.length; length++) {
        const found = readClientHello(bytes.subarray(0, length))
        if (found.kind !== 'more') throw new Error(`${found.kind} after ${length} of ${bytes.length} bytes`)
        expect(found.bytes).toBeGreaterThan(length)
        expect(found.bytes).toBeLessThanOrEqual(bytes.length)
      }
      expect(readClientHello(bytes)).toMatchObject({ kind: 'hello', name: 'a.example' })
    }
  })

  test('in records of one byte, which come byte by byte, costs a time that is linear', async () => {
    const bytes = inRecords(await helloOf({ servername: 'a.example' }), 1)
    const concat = jest.spyOn(Buffer, 'concat')
    const add = helloReader()
    let message: FirstMessage | undefined
    for (let at = 0; message === undefined && at < bytes.length; at++) message = add(bytes.subarray(at, at + 1))
    const pieces = concat.mock.calls.reduce((sum, [list]) => sum + list.length, 0)
    concat.mockRestore()
    expect(message).toMatchObject({ name: 'a.example', fault: undefined })
    expect(message!.bytes).toEqual(bytes)
    expect(pieces).toBeLessThan(3 * bytes.length)
  })

  test('cut short inside never has a name', async () => {
    const hello = await helloOf({ servername: 'a.example' })
    for (let cut = 1; cut < hello.length - 9; cut += 7) {
      const bytes = Buffer.from(hello.subarray(0, hello.length - cut))
      bytes.writeUInt16BE(bytes.length - 5, 3)
      bytes.writeUIntBE(bytes.length - 9, 6, 3)
      // Without any extensions it is a hello of old, which has no name.
      const found = readClientHello(bytes)
      if (found.kind !== 'invalid') expect(found).toEqual({ kind: 'hello', name: undefined, alpn: [] })
    }
  })
})

describe('what is no ClientHello', () => {
  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n'), 'no TLS'],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), 'no TLS'],
    ['another message', Buffer.from('16030100040200000000', 'hex'), 'no ClientHello'],
    ['an empty record', Buffer.from('1603010000', 'hex'), 'a record of 0 bytes'],
    ['a record beyond the limit', Buffer.from('1603014001', 'hex'), 'a record of 16385 bytes'],
    ['a message beyond the limit', Buffer.from('160301000401010000', 'hex'), 'more than 16384'],
    ['an alert in the middle', Buffer.from('160301000401000010' + '15030100020228', 'hex'), 'another record'],
  ])('%s is refused', (_what, bytes, reason) => {
    expect(readClientHello(bytes)).toEqual({ kind: 'invalid', reason: expect.stringContaining(reason) })
  })

  test('nothing makes the reader throw, or ask for more than its limit', () => {
    const handshake = fc.uint8Array({ maxLength: 300 }).map(body => {
      const bytes = Buffer.concat([Buffer.from([22, 3, 1, 0, 0, 1, 0, 0, 0]), body])
      bytes.writeUInt16BE(bytes.length - 5, 3)
      bytes.writeUIntBE(bytes.length - 9, 6, 3)
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), handshake), input => {
        const found = readClientHello(Buffer.from(input))
        if (found.kind === 'more') expect(found.bytes).toBeLessThanOrEqual(MAX_HELLO_BYTES)
      }),
      { numRuns: 2_000 },
    )
  })
})
