import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decodeTlsHead, encodeTlsHead } from '../../src/payload/tls-head.ts'

const text = fc.uint8Array({ maxLength: 255 }).map(bytes => Buffer.from(bytes).toString('latin1'))
const head = fc.record({ name: text, isChallenge: fc.boolean(), client: fc.record({ address: text, port: fc.nat(65_535) }) })

describe('heads of connections whose TLS the inner layer ends', () => {
  test('come out of the link as they went in, whatever a later release says behind them', () => {
    fc.assert(
      fc.property(head, fc.uint8Array(), (each, more) => expect(decodeTlsHead(Buffer.concat([encodeTlsHead(each), more]))).toEqual(each)),
    )
  })

  test('kind, flags, port of the client, name, address of the client', () => {
    const payload = encodeTlsHead({ name: 'a.b', isChallenge: true, client: { address: '::1', port: 258 } })
    expect(payload.toString('hex')).toBe('0301' + '0102' + '0003612e62' + '00033a3a31')
  })

  test('one that is cut short is a fault of the peer', () => {
    const whole = encodeTlsHead({ name: 'a.b', isChallenge: false, client: { address: '::1', port: 1 } })
    for (let length = 0; length < whole.length; length++) expect(() => decodeTlsHead(whole.subarray(0, length))).toThrow()
    expect(() => decodeTlsHead(Buffer.from([2, ...whole.subarray(1)]))).toThrow(/unknown kind 2/)
  })
})
