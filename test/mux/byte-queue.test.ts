import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ByteQueue } from '../../src/mux/byte-queue.ts'

describe('bytes that wait', () => {
  test('come out as they went in, however they were cut', () => {
    const piece = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.uint8Array({ minLength: 4_000, maxLength: 5_000 }))
    const steps = fc.array(fc.oneof(piece, fc.double({ min: 0.01, max: 1, noNaN: true })), { maxLength: 60 })
    fc.assert(
      fc.property(steps, all => {
        const queue = new ByteQueue()
        const [pushed, taken]: [Buffer[], Buffer[]] = [[], []]
        for (const one of all) {
          if (typeof one === 'number') {
            const length = Math.ceil(queue.bytes * one)
            if (length === 0) continue
            const parts = queue.take(length)
            expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(length)
            taken.push(...parts)
          } else {
            pushed.push(Buffer.from(one))
            queue.push(Buffer.from(one))
          }
        }
        taken.push(...queue.take(queue.bytes))
        // What was taken earlier must not have changed by what was pushed later.
        expect(Buffer.concat(taken).equals(Buffer.concat(pushed))).toBe(true)
        expect([queue.bytes, queue.pieces.length]).toEqual([0, 0])
      }),
    )
  })

  test('are held in few pieces when they come one by one', () => {
    const queue = new ByteQueue()
    for (let i = 0; i < 65_536; i++) queue.push(Buffer.from([i & 0xff]))
    expect(queue.bytes).toBe(65_536)
    expect(queue.pieces.length).toBeLessThan(20)
    expect(queue.take(65_536).length).toBeLessThan(20)
  })

  test('are not copied when they come alone or in large chunks', () => {
    const queue = new ByteQueue()
    const chunks = [Buffer.alloc(100), Buffer.alloc(65_536), Buffer.alloc(4_096)]
    for (const chunk of chunks) queue.push(chunk)
    const taken = queue.take(queue.bytes)
    taken.forEach((piece, i) => expect(piece).toBe(chunks[i]))
  })
})
