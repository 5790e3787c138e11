import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import { encodeRequestHead } from '../../src/payload/head-codec.ts'
import { NO_BODY } from '../../src/http/message.ts'
import { decodeTcpHead, encodeTcpHead, KIND_TCP } from '../../src/payload/tcp-head.ts'

const head = fc.record({
  hostname: fc.uint8Array({ maxLength: 255 }).map(bytes => Buffer.from(bytes).toString('latin1')),
  port: fc.nat(65_535),
})

describe('heads of TCP streams', () => {
  test('come out of the link as they went in', () => {
    fc.assert(fc.property(head, each => expect(decodeTcpHead(encodeTcpHead(each))).toEqual(each)))
  })

  test('say who the client is, where the inner layer takes that', () => {
    const head = { hostname: 'db.lan', port: 5432, visitor: { address: '2001:db8::1', port: 50_000 } }
    expect(decodeTcpHead(encodeTcpHead(head))).toEqual(head)
  })

  test('kind, flags, port, length of the name, name', () => {
    expect(encodeTcpHead({ hostname: 'db.lan', port: 5432 }).toString('hex')).toBe(`020015380006${Buffer.from('db.lan').toString('hex')}`)
  })

  test('whatever else comes is a fault of the peer', () => {
    const refusal = (payload: Buffer): unknown => {
      try {
        return decodeTcpHead(payload)
      } catch (thrown) {
        return thrown instanceof GatewayError ? thrown.code : thrown
      }
    }
    const whole = encodeTcpHead({ hostname: 'db.lan', port: 5432 })
    for (let length = 0; length < whole.length; length++) expect(refusal(whole.subarray(0, length))).toBe('PROTOCOL')
    const withVisitor = encodeTcpHead({ hostname: 'db.lan', port: 5432, visitor: { address: '192.0.2.7', port: 50_000 } })
    for (let length = 0; length < withVisitor.length; length++) expect(refusal(withVisitor.subarray(0, length))).toBe('PROTOCOL')
    expect(refusal(Buffer.concat([whole, Buffer.from([0])]))).toBe('PROTOCOL')
    expect(refusal(Buffer.from([KIND_TCP + 1, ...whole.subarray(1)]))).toBe('PROTOCOL')
    const request = { protocol: 'http', hostname: 'a', port: 1, method: 'GET', path: '/', host: 'a', body: NO_BODY, fields: [] } as const
    expect(refusal(encodeRequestHead({ ...request, expectsContinue: false, upgrade: '', profile: 0 }))).toBe('PROTOCOL')
  })
})
