import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { deflateRawSync } from 'node:zlib'
import { FrameReader, type TunnelEvent } from '../../src/tunnel/frame-reader.ts'
import { applyMask, encodeClose, encodeHeader, MAX_MESSAGE_BYTES, Opcode, TunnelClosed } from '../../src/tunnel/wire.ts'

const options = { masked: false, halfClose: true, deflate: true, maxMessageBytes: MAX_MESSAGE_BYTES }

const frame = (opcode: number, payload: Buffer, mask?: Buffer): Buffer => {
  const bytes = Buffer.from(payload)
  if (mask !== undefined) applyMask(bytes, mask)
  return Buffer.concat([encodeHeader(opcode, bytes.length, { mask }), bytes])
}

const all = (reader: FrameReader): TunnelEvent[] => {
  const events: TunnelEvent[] = []
  for (let event = reader.read(); event !== undefined; event = reader.read()) events.push(event)
  return events
}

const dataOf = (events: readonly TunnelEvent[]): Buffer =>
  Buffer.concat(events.flatMap(event => (event.type === 'data' ? [event.bytes] : [])))

const closeOf = (bytes: Buffer, more: Partial<typeof options> = {}): { code: number; reason: string } => {
  const reader = new FrameReader({ ...options, ...more })
  reader.push(bytes)
  try {
    all(reader)
  } catch (error) {
    if (error instanceof TunnelClosed) return { code: error.closeCode, reason: error.reason }
    throw error
  }
  return { code: 0, reason: '' }
}

describe('a reader of frames', () => {
  test('gives the same bytes however they are cut, masked or not', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 })
    fc.assert(
      fc.property(
        messages,
        fc.boolean(),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 30 }),
        (payloads, masked, cuts) => {
          const mask = masked ? Buffer.from([1, 2, 250, 4]) : undefined
          const wire = Buffer.concat(payloads.map(payload => frame(Opcode.BINARY, Buffer.from(payload), mask)))
          const reader = new FrameReader({ ...options, masked })
          const events: TunnelEvent[] = []
          for (let at = 0, i = 0; at < wire.length; i++) {
            const size = cuts[i % cuts.length]!
            reader.push(Buffer.from(wire.subarray(at, at + size)))
            events.push(...all(reader))
            at += size
          }
          expect(dataOf(events).equals(Buffer.concat(payloads))).toBe(true)
          expect(reader.bufferedBytes).toBe(0)
        },
      ),
    )
  })

  test('never throws anything but a close, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), fc.boolean(), (bytes, masked, deflate) => {
        closeOf(Buffer.from(bytes), { masked, deflate })
      }),
      { numRuns: 2_000 },
    )
  })

  test('gives fragments, controls between them, the end of a direction and a close in their order', () => {
    const reader = new FrameReader(options)
    const first = frame(Opcode.BINARY, Buffer.from('ab'))
    first[0]! &= 0x7f
    reader.push(
      Buffer.concat([
        first,
        frame(Opcode.PING, Buffer.from('p')),
        frame(Opcode.PONG, Buffer.alloc(0)),
        frame(Opcode.CONTINUATION, Buffer.from('cd')),
      ]),
    )
    reader.push(Buffer.concat([frame(Opcode.TEXT, Buffer.from('fin')), frame(Opcode.CLOSE, encodeClose(1000, 'bye'))]))
    expect(all(reader).map(event => (event.type === 'data' ? event.bytes.toString() : event.type))).toEqual([
      'ab',
      'ping',
      'pong',
      'cd',
      'fin',
      'close',
    ])
  })

  test.each([
    ['a reserved bit', Buffer.from([0xa2, 0]), 1002],
    ['an unknown opcode', Buffer.from([0x83, 0]), 1002],
    ['a fragmented control frame', Buffer.from([0x09, 0]), 1002],
    ['a long control frame', Buffer.from([0x89, 126, 0, 126]), 1002],
    ['a mask of a server', Buffer.from([0x82, 0x80, 0, 0, 0, 0]), 1002],
    ['a continuation of nothing', Buffer.from([0x80, 0]), 1002],
    ['a message within a message', Buffer.concat([Buffer.from([0x02, 0]), Buffer.from([0x82, 0])]), 1002],
    ['a close code that is never sent', frame(Opcode.CLOSE, Buffer.from([0x03, 0xee])), 1002],
    ['half a close code', frame(Opcode.CLOSE, Buffer.from([3])), 1002],
    ['a reason that is no UTF-8', frame(Opcode.CLOSE, Buffer.from([3, 0xe8, 0xff])), 1007],
    ['a text that is not fin', frame(Opcode.TEXT, Buffer.from('FIN')), 1003],
    ['a text that is long', frame(Opcode.TEXT, Buffer.alloc(126)), 1003],
    ['what cannot be decompressed', Buffer.concat([Buffer.from([0xc2, 3]), Buffer.from([0xff, 0xff, 0xff])]), 1007],
    ['a length of 2^60', Buffer.from([0x82, 127, 0x10, 0, 0, 0, 0, 0, 0, 0]), 1009],
  ])('refuses %s', (_, bytes, code) => {
    expect(closeOf(bytes).code).toBe(code)
  })

  test('takes 32,768 bytes of a message, however it is cut and compressed, and not one more', () => {
    const text = 'read limited at 32769 bytes'
    expect(closeOf(frame(Opcode.BINARY, Buffer.alloc(32_768))).code).toBe(0)
    expect(closeOf(frame(Opcode.BINARY, Buffer.alloc(32_769)))).toEqual({ code: 1009, reason: text })
    const first = frame(Opcode.BINARY, Buffer.alloc(30_000))
    first[0]! &= 0x7f
    expect(closeOf(Buffer.concat([first, frame(Opcode.CONTINUATION, Buffer.alloc(2_769))]))).toEqual({ code: 1009, reason: text })
    const deflated = (size: number): Buffer => {
      const payload = deflateRawSync(Buffer.alloc(size), { finishFlush: 2 }).subarray(0, -4)
      return Buffer.concat([encodeHeader(Opcode.BINARY, payload.length, { compressed: true }), payload])
    }
    expect(closeOf(deflated(32_768)).code).toBe(0)
    expect(closeOf(deflated(32_769))).toEqual({ code: 1009, reason: text })
    expect(closeOf(deflated(10_000_000))).toEqual({ code: 1009, reason: text })
  })

  test('makes nothing of what nobody asks for: a little input that means much output waits', () => {
    const payload = deflateRawSync(Buffer.alloc(32_768), { finishFlush: 2 }).subarray(0, -4)
    const one = Buffer.concat([encodeHeader(Opcode.BINARY, payload.length, { compressed: true }), payload])
    const reader = new FrameReader(options)
    reader.push(Buffer.concat(Array<Buffer>(1_000).fill(one)))
    expect(reader.read()).toMatchObject({ type: 'data' })
    expect(reader.bufferedBytes).toBe(999 * one.length)
  })
})

test('masking four bytes at a time is masking each', () => {
  const bytes = fc.uint8Array({ minLength: 0, maxLength: 300 })
  fc.assert(
    fc.property(bytes, fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 1_000 }), (payload, shift, offset) => {
      const mask = Buffer.from([17, 34, 68, 255])
      const whole = Buffer.alloc(payload.length + shift)
      const actual = whole.subarray(shift)
      actual.set(payload)
      applyMask(actual, mask, offset)
      expect(actual.equals(Buffer.from(payload.map((byte, i) => byte ^ mask[(offset + i) % 4]!)))).toBe(true)
      expect(whole.subarray(0, shift).every(byte => byte === 0)).toBe(true)
    }),
  )
})

test('a reason is cut at the border of a character', () => {
  const payload = encodeClose(1011, 'ä'.repeat(100))
  expect(payload.length).toBeLessThanOrEqual(125)
  expect(payload.subarray(2).toString()).toBe('ä'.repeat(61))
})
