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

  test('of which some wait for credit: one memory for all copies, written to again only when what was taken is copied', () => {
    const queue = new ByteQueue()
    const read = (fill: number): Buffer => Buffer.alloc(65_536, fill)
    queue.push(read(1))
    queue.take(50_000)
    queue.ownFirst()
    const { buffer: memory } = queue.pieces[0]!
    expect(memory.byteLength).toBeLessThan(65_536 / 2)
    // Taken and not copied yet, when the next read leaves something as well.
    const early = queue.take(queue.bytes)
    queue.push(read(2))
    queue.take(50_000)
    queue.ownFirst()
    expect(queue.pieces[0]!.buffer).not.toBe(memory)
    expect(Buffer.concat(early).equals(Buffer.alloc(15_536, 1))).toBe(true)
    const { buffer: other } = queue.pieces[0]!
    queue.take(queue.bytes)
    queue.copied()
    queue.push(read(3))
    queue.take(50_000)
    queue.ownFirst()
    expect(queue.pieces[0]!.buffer).toBe(other)
    expect(queue.take(queue.bytes)[0]!.equals(Buffer.alloc(15_536, 3))).toBe(true)
  })

  test('come out as they went in when rests are copied again and again', () => {
    const step = fc.record({ read: fc.integer({ min: 30_000, max: 65_536 }), taken: fc.double({ min: 0.5, max: 1, noNaN: true }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), steps => {
        const queue = new ByteQueue()
        const out: Buffer[] = []
        const pushed = steps.map(({ read }, i) => Buffer.alloc(read, i + 1))
        steps.forEach(({ taken }, i) => {
          queue.push(pushed[i]!)
          // As a message is made: two turns of a stream, then all of it is copied.
          const parts = [...queue.take(Math.floor((queue.bytes * taken) / 2)), ...queue.take(Math.floor((queue.bytes * taken) / 2))]
          queue.ownFirst()
          out.push(Buffer.concat(parts))
          queue.copied()
        })
        out.push(...queue.take(queue.bytes))
        expect(Buffer.concat(out).equals(Buffer.concat(pushed))).toBe(true)
      }),
      { numRuns: 30 },
    )
  })
})
