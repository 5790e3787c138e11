import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseProxyHeader } from '../../src/net/read-proxy-header.ts'
import { proxyHeader } from '../../src/net/write-proxy-header.ts'

const endpoint = (address: fc.Arbitrary<string>): fc.Arbitrary<{ address: string; port: number }> =>
  fc.record({ address, port: fc.nat(65_535) })
const pair = (
  address: fc.Arbitrary<string>,
): fc.Arbitrary<{ source: { address: string; port: number }; destination: { address: string; port: number } }> =>
  fc.record({ source: endpoint(address), destination: endpoint(address) })
const canonical = (address: string): string => (address.includes(':') ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address)
const v6 = fc.ipV6().filter(address => !canonical(address).startsWith('::ffff:'))
const v2 = (rest: string, versionAndCommand = '21', family = '11'): Buffer => {
  const bytes = Buffer.from(rest, 'hex')
  const length = bytes.length.toString(16).padStart(4, '0')
  return Buffer.concat([Buffer.from(`0d0a0d0a000d0a515549540a${versionAndCommand}${family}${length}`, 'hex'), bytes])
}

describe('the PROXY protocol', () => {
  test.each([1, 2] as const)('version %i: what is written is read again, whatever comes behind it', version => {
    fc.assert(
      fc.property(fc.oneof(pair(fc.ipV4()), pair(v6)), fc.uint8Array({ maxLength: 50 }), (facts, rest) => {
        const header = proxyHeader(version, { ...facts, authority: 'a.example', alpn: 'h2' })
        const { source, destination } = facts
        expect(parseProxyHeader(Buffer.concat([header, rest]))).toEqual({
          length: header.length,
          source: { address: version === 1 ? source.address : canonical(source.address), port: source.port },
          destination: { address: version === 1 ? destination.address : canonical(destination.address), port: destination.port },
        })
        for (let i = 0; i < header.length; i++) expect(parseProxyHeader(header.subarray(0, i))).toBe('more')
      }),
      { numRuns: 50 },
    )
  })

  test.each<readonly [string, Buffer]>([
    ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n')],
    ['UNKNOWN with addresses', Buffer.from('PROXY UNKNOWN ::1 ::1 1 2\r\n')],
    ['LOCAL', v2('', '20', '00')],
    ['LOCAL with addresses', v2('7f0000017f00000100010002', '20', '11')],
    ['UNIX sockets', v2('00'.repeat(216), '21', '31')],
    ['UDP', v2('7f0000017f00000100010002', '21', '12')],
  ])('%s is a header without a client', (_name, bytes) => {
    expect(parseProxyHeader(bytes)).toEqual({ length: bytes.length, source: undefined, destination: undefined })
  })

  test('a mapped address is the IPv4 address that it is', () => {
    const bytes = v2(`${'00'.repeat(10)}ffffc0000201${'00'.repeat(15)}0100500051`, '21', '21')
    expect(parseProxyHeader(bytes)).toMatchObject({ source: { address: '192.0.2.1', port: 80 }, destination: { address: '::1', port: 81 } })
  })

  test.each<readonly [string, Buffer]>([
    ['a request', Buffer.from('GET / HTTP/1.1\r\n')],
    ['one wrong byte', Buffer.from('PROXX')],
    ['lower case', Buffer.from('proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n')],
    ['another protocol', Buffer.from('PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n')],
    ['IPv6 as TCP4', Buffer.from('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['a name', Buffer.from('PROXY TCP4 localhost localhost 1 2\r\n')],
    ['a port with a zero before it', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n')],
    ['a port beyond the last', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n')],
    ['a bare line feed', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n')],
    ['a line without end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`)],
    ['TLS', Buffer.from('160301', 'hex')],
    ['version 3', v2('', '31', '00')],
    ['an unknown command', v2('', '22', '00')],
    ['addresses that are cut short', v2('7f000001', '21', '11')],
    ['a header of 60 KiB', Buffer.from('0d0a0d0a000d0a515549540a2111f000', 'hex')],
  ])('%s is refused', (_name, bytes) => {
    expect(() => parseProxyHeader(bytes)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
  })

  test('no bytes at all make it throw anything else', () => {
    fc.assert(
      fc.property(fc.constantFrom('', 'PROXY ', 'PROXY TCP6 '), fc.uint8Array({ maxLength: 300 }), (start, bytes) => {
        try {
          parseProxyHeader(Buffer.concat([Buffer.from(start), bytes]))
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'BAD_REQUEST' })
        }
      }),
    )
  })
})
