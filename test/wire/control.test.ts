import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import {
  decodeAuth,
  decodeCredit,
  decodeGoAway,
  decodeHello,
  decodePing,
  decodeReady,
  decodeReset,
  encodeCredit,
  encodeGoAway,
  encodeObject,
  encodeReset,
} from '../../src/wire/control.ts'

const u32 = fc.nat(0xffff_ffff)
const printableText = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .filter(text => Buffer.byteLength(text) <= 256 && !/\p{Cc}|\p{Cs}/u.test(text))

describe('the payloads of control frames', () => {
  test('RESET, CREDIT and GOAWAY come back as they went', () => {
    fc.assert(
      fc.property(u32, u32, printableText, fc.integer({ min: 1, max: 0x7fff_ffff }), (code, lastStream, reason, bytes) => {
        expect(decodeReset(encodeReset(code, reason))).toEqual({ code, reason })
        expect(decodeGoAway(encodeGoAway(lastStream, code, reason))).toEqual({ lastStream, code, reason })
        expect(decodeCredit(encodeCredit(bytes))).toBe(bytes)
      }),
    )
  })

  test('a text is cut at 256 bytes, between two characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀'), minLength: 60, maxLength: 300 }), text => {
        const { reason } = decodeReset(encodeReset(4, text))
        expect(text.startsWith(reason)).toBe(true)
        expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(256)
        if (reason !== text) expect(Buffer.byteLength(reason)).toBeGreaterThan(252)
      }),
    )
  })

  test('a text of the peer cannot forge a line of the log', () => {
    const forged = Buffer.concat([Buffer.from([0, 0, 0, 4]), Buffer.from('bye\r\n{"level":"info"}\u001b[31m\u0085')])
    expect(decodeReset(forged).reason).toBe('bye??{"level":"info"}?[31m?')
  })

  test('whatever the bytes, a decoder returns or throws PROTOCOL', () => {
    const decoders: ((payload: Buffer) => unknown)[] = [
      decodeReset,
      decodeCredit,
      decodeGoAway,
      decodePing,
      decodeHello,
      decodeAuth,
      decodeReady,
    ]
    const json = fc.json().map(text => Buffer.from(text))
    const object = fc
      .dictionary(
        fc.constantFrom('min', 'max', 'version', 'proof', 'agent', 'limits', 'session', 'identifier', '__proto__', 'features'),
        fc.jsonValue(),
      )
      .map(value => Buffer.from(JSON.stringify(value)))
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
          json,
          object,
        ),
        payload => {
          for (const decoder of decoders) {
            try {
              decoder(payload)
            } catch (thrown) {
              expect(thrown).toBeInstanceOf(GatewayError)
              expect((thrown as GatewayError).code).toBe('PROTOCOL')
            }
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['a RESET of 3 bytes', () => decodeReset(Buffer.alloc(3))],
    ['a CREDIT of 0', () => decodeCredit(Buffer.alloc(4))],
    ['a CREDIT of 2^31', () => decodeCredit(Buffer.from('80000000', 'hex'))],
    ['a CREDIT of 5 bytes', () => decodeCredit(Buffer.alloc(5, 1))],
    ['a GOAWAY of 7 bytes', () => decodeGoAway(Buffer.alloc(7))],
    ['a PING of 7 bytes', () => decodePing(Buffer.alloc(7))],
    ['a HELLO of more than 8 KiB', () => decodeHello(Buffer.alloc(8_193, ' '))],
  ])('%s is refused', (_what, decode) => {
    expect(decode).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
  })

  test('the objects of the handshake come back as they went, with members that nobody knows', () => {
    const limits = { streams: 1_024, windowBytes: 131_072 }
    const hello = { min: 1, max: 2, features: ['x'], nonce: 'n', audience: 'a', time: 1.5, validityMs: 60_000, limits }
    const auth = { version: 1, proof: 'p', agent: 'a', limits }
    const ready = { session: 's', identifier: 'i', agent: 'a' }
    expect(decodeHello(encodeObject({ ...hello, more: 1 } as typeof hello))).toEqual({ ...hello, more: 1 })
    expect(decodeAuth(encodeObject(auth))).toEqual(auth)
    expect(decodeReady(encodeObject(ready))).toEqual(ready)
  })
})
