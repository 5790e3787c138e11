import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import { decodeFields, encodeFields, RepeatedFieldLists } from '../../src/payload/byte-codec.ts'
import { MAX_FIELDS } from '../../src/http/fields.ts'
import { decodeRequestHead, decodeResponseHead, encodeRequestHead, encodeResponseHead } from '../../src/payload/head-codec.ts'
import type { BodyKind, RequestHead, ResponseHead } from '../../src/http/message.ts'

/** Any bytes, as the latin-1 text that stands for them. */
const bytes = (maxLength: number): fc.Arbitrary<string> => fc.uint8Array({ maxLength }).map(array => Buffer.from(array).toString('latin1'))
const fields = fc.array(fc.tuple(bytes(30), bytes(200)), { maxLength: 20 }).map(pairs => pairs.flat())
const body: fc.Arbitrary<BodyKind> = fc.oneof(
  fc.constant({ kind: 'none' } as const),
  fc.constant({ kind: 'stream' } as const),
  fc.record({ kind: fc.constant('length' as const), length: fc.nat(Number.MAX_SAFE_INTEGER) }),
)
const requestHead: fc.Arbitrary<RequestHead> = fc.record({
  protocol: fc.constantFrom('http' as const, 'https' as const),
  hostname: bytes(255),
  port: fc.nat(65_535),
  method: bytes(20),
  path: bytes(2_000),
  host: bytes(255),
  body,
  expectsContinue: fc.boolean(),
  upgrade: fc.constantFrom('', 'websocket'),
  profile: fc.nat(65_535),
  fields,
})
const responseHead: fc.Arbitrary<ResponseHead> = fc.record({ status: fc.nat(65_535), reason: bytes(100), body, fields })

describe('heads come out of the link as they went in', () => {
  test('requests', () => {
    fc.assert(fc.property(requestHead, head => expect(decodeRequestHead(encodeRequestHead(head))).toEqual(head)))
  })

  test('requests with fields that were encoded before, for any number of heads', () => {
    const lists = new RepeatedFieldLists()
    fc.assert(
      fc.property(requestHead, fields, (head, more) => {
        const whole = encodeRequestHead({ ...head, fields: [...head.fields, ...more] })
        for (let i = 0; i < 2; i++) expect(encodeRequestHead(head, lists.of(more))).toEqual(whole)
      }),
    )
    const [head] = fc.sample(requestHead, 1)
    const many = Array.from({ length: 2 * MAX_FIELDS }, () => 'x')
    expect(() => encodeRequestHead({ ...head!, fields: ['a', 'b'] }, lists.of(many))).toThrow(`${MAX_FIELDS + 1} fields`)
  })

  test('responses', () => {
    fc.assert(fc.property(responseHead, head => expect(decodeResponseHead(encodeResponseHead(head))).toEqual(head)))
  })

  test('trailers', () => {
    fc.assert(fc.property(fields, list => expect(decodeFields(encodeFields(list))).toEqual(list)))
  })
})

const decoders = [decodeRequestHead, decodeResponseHead, decodeFields] as const

const onlyProtocol = (decode: (payload: Buffer) => unknown, payload: Buffer): void => {
  try {
    decode(payload)
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError)
    expect((error as GatewayError).code).toBe('PROTOCOL')
  }
}

describe('bytes of a broken peer are read as a head or refused as PROTOCOL, never anything else', () => {
  test('arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), array => {
        for (const decode of decoders) onlyProtocol(decode, Buffer.from(array))
      }),
      { numRuns: 1_000 },
    )
  })

  test('a good head with one byte changed, cut short at every place, or with a byte behind it', () => {
    fc.assert(
      fc.property(requestHead, fc.nat(), fc.nat(255), (head, place, value) => {
        const good = encodeRequestHead(head)
        const changed = Buffer.from(good)
        changed[place % changed.length] = value
        onlyProtocol(decodeRequestHead, changed)
        expect(() => decodeRequestHead(good.subarray(0, place % good.length))).toThrow(GatewayError)
        expect(() => decodeRequestHead(Buffer.concat([good, Buffer.from([value])]))).toThrow(GatewayError)
      }),
    )
  })
})

describe('what does not fit is refused before it is sent', () => {
  test('more fields than may be', () => {
    const list = (count: number): string[] => Array.from({ length: count * 2 }, () => 'a')
    expect(decodeFields(encodeFields(list(MAX_FIELDS)))).toHaveLength(MAX_FIELDS * 2)
    expect(() => encodeFields(list(MAX_FIELDS + 1))).toThrow(expect.objectContaining({ code: 'HEADERS_TOO_LARGE' }))
  })

  test('a value of more than 65535 bytes', () => {
    expect(() => encodeFields(['a', 'b'.repeat(65_536)])).toThrow(expect.objectContaining({ code: 'HEADERS_TOO_LARGE' }))
  })
})
