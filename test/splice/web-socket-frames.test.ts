import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { closeFrame, WebSocketFrames } from '../../src/splice/web-socket-frames.ts'

/** A frame by the letter of RFC 6455 §5.2. */
const frameOf = (length: number, isMasked: boolean): Buffer => {
  const mask = isMasked ? 0x80 : 0
  const head =
    length < 126
      ? Buffer.from([0x82, mask | length])
      : length < 65_536
        ? Buffer.from([0x82, mask | 126, length >> 8, length & 0xff])
        : Buffer.from([0x82, mask | 127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff])
  return Buffer.concat([head, Buffer.alloc((isMasked ? 4 : 0) + length, 0x88)])
}

const frames = fc.array(fc.tuple(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(125, 126, 65_535, 65_536)), fc.boolean()), {
  minLength: 1,
  maxLength: 5,
})

test('finds the ends of frames, however they are cut', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 50 }), (lengths, cuts) => {
      const all = lengths.map(([length, isMasked]) => frameOf(length, isMasked))
      const ends = new Set(all.map((_, i) => all.slice(0, i + 1).reduce((sum, frame) => sum + frame.length, 0)))
      const bytes = Buffer.concat(all)
      const followed = new WebSocketFrames()
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const next = Math.min(bytes.length, at + cuts[i % cuts.length]!)
        followed.add(bytes.subarray(at, next))
        at = next
        expect([at, followed.isBetween]).toEqual([at, ends.has(at)])
      }
    }),
    { numRuns: 100 },
  )
})

test('writes a last frame that is one', () => {
  const frame = closeFrame(1_008, 'X'.repeat(200))
  expect([...frame.subarray(0, 4)]).toEqual([0x88, 125, 0x03, 0xf0])
  expect(frame).toHaveLength(127)
})
