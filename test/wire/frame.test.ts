import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import {
  BatchWriter,
  decodeBatch,
  encodeFrame,
  FRAME_HEADER_BYTES,
  MAX_BATCH_FRAMES,
  MAX_PAYLOAD_BYTES,
  MAX_STREAM_ID,
  TARGET_BATCH_BYTES,
} from '../../src/wire/frame.ts'
import { MAX_MESSAGE_BYTES } from '../../src/mux/link.ts'
import { plainDecode, plainEncode, type PlainFrame } from './plain-codec.ts'

const frame: fc.Arbitrary<PlainFrame> = fc.record({
  type: fc.nat(255),
  flags: fc.nat(255),
  stream: fc.oneof(fc.nat(20), fc.nat(MAX_STREAM_ID)),
  payload: fc.oneof(
    { weight: 9, arbitrary: fc.uint8Array({ maxLength: 300 }) },
    { weight: 1, arbitrary: fc.nat(3_000).map(length => new Uint8Array(length)) },
  ),
})
const frames = fc.array(frame, { minLength: 1, maxLength: 64 })

/** What the decoder makes of `message`; anything but a GatewayError is let through to fail the test. */
const decode = (message: Uint8Array): PlainFrame[] | GatewayError => {
  const seen: PlainFrame[] = []
  try {
    decodeBatch(Buffer.from(message), (type, flags, stream, payload) =>
      seen.push({ type, flags, stream, payload: Uint8Array.from(payload) }),
    )
    return seen
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown
    throw thrown
  }
}

const encode = (list: readonly PlainFrame[]): Buffer => {
  const writer = new BatchWriter()
  for (const { type, flags, stream, payload } of list) writer.add(type, flags, stream, payload)
  return writer.take()
}

describe('the codec', () => {
  test('encodes as the plain one does, and decodes to what was encoded', () => {
    fc.assert(
      fc.property(frames, list => {
        const message = encode(list)
        expect([...message]).toEqual(plainEncode(list))
        expect(decode(message)).toEqual(list)
      }),
      { numRuns: 300 },
    )
  })

  test('decodes as the plain one does whatever the bytes, and calls everything else PROTOCOL', () => {
    const mutated = fc
      .tuple(frames, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(12))
      .map(([list, changes, cut]) => {
        const bytes = encode(list.slice(0, 5))
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        return bytes.subarray(0, bytes.length - (cut > 9 ? cut : 0))
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), mutated), bytes => {
        const plain = plainDecode([...bytes])
        const decoded = decode(bytes)
        if (plain === 'invalid') expect(decoded).toMatchObject({ name: 'GatewayError', code: 'PROTOCOL' })
        else expect(decoded).toEqual(plain)
      }),
      { numRuns: 3_000 },
    )
  })

  test('joins the parts of a payload', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 }), parts => {
        const whole = Buffer.concat(parts)
        const writer = new BatchWriter()
        writer.addParts(0, 1, 5, parts, whole.length)
        expect([writer.frames, writer.bytes]).toEqual([1, FRAME_HEADER_BYTES + whole.length])
        expect(writer.take()).toEqual(encodeFrame(0, 1, 5, whole))
        expect([writer.frames, writer.bytes]).toEqual([0, 0])
      }),
    )
  })

  test.each([
    ['no frame', Buffer.alloc(0)],
    ['half a header', Buffer.alloc(8)],
    ['a payload that is not there', encodeFrame(0, 0, 1, Buffer.from('four')).subarray(0, 12)],
    ['a byte too many', Buffer.concat([encodeFrame(0, 0, 1), Buffer.alloc(1)])],
    ['a payload of 64 KiB and one byte', encodeFrame(0, 0, 1, Buffer.alloc(MAX_PAYLOAD_BYTES + 1))],
    ['the reserved bit of a stream id', Buffer.from('000000' + '00' + '00' + '80000001', 'hex')],
    ['1,025 frames', Buffer.concat(Array.from({ length: 1_025 }, () => encodeFrame(6, 0, 0)))],
  ])('refuses a message with %s', (_what, message) => {
    expect(decode(message)).toMatchObject({ code: 'PROTOCOL' })
  })

  test('takes the largest frame and the most frames', () => {
    expect(decode(encodeFrame(0, 0, MAX_STREAM_ID, Buffer.alloc(MAX_PAYLOAD_BYTES)))).toHaveLength(1)
    expect(decode(Buffer.concat(Array.from({ length: MAX_BATCH_FRAMES }, () => encodeFrame(6, 0, 0))))).toHaveLength(1_024)
  })

  test('keeps no state: a message is decoded alike after a good one, a bad one, and inside of another', () => {
    const good = encode([{ type: 0, flags: 1, stream: 3, payload: Uint8Array.from([1, 2, 3]) }])
    const once = decode(good)
    decode(good.subarray(0, 5))
    decode(Buffer.from('garbage'))
    expect(decode(good)).toEqual(once)
    const inner: unknown[] = []
    decodeBatch(Buffer.concat([good, good]), () => inner.push(decode(good)))
    expect(inner).toEqual([once, once])
  })

  test('hands out views into the message, not copies', () => {
    const message = encodeFrame(0, 0, 1, Buffer.from('shared'))
    decodeBatch(message, (_type, _flags, _stream, payload) => expect(payload.buffer).toBe(message.buffer))
  })

  test('the largest message that a session makes fits through every link', () => {
    // Below the target one more control frame is added, or one turn of data with its trailers.
    expect(TARGET_BATCH_BYTES + 2 * (MAX_PAYLOAD_BYTES + FRAME_HEADER_BYTES)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES)
  })
})
