import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ByteQueue, PieceMemory } from '../../src/mux/byte-queue.ts'

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

  test('are copied where they have to be, into memory that goes round, and nothing is written to before it was copied', () => {
    const step = fc.record({
      length: fc.integer({ min: 1, max: 65_536 }),
      queue: fc.integer({ min: 0, max: 1 }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const memory = new PieceMemory()
        const queues = [new ByteQueue(memory), new ByteQueue(memory)]
        const [pushed, taken]: [Buffer[][], Buffer[][]] = [
          [[], []],
          [[], []],
        ]
        const scratch = Buffer.alloc(65_536)
        const take = (at: number, length: number): void => {
          const queue = queues[at]!
          const parts = queue.take(length)
          // As a sender does it: the message is made of all of them, and then the queue is told.
          taken[at]!.push(Buffer.concat(parts))
          queue.copied()
          queue.ownFirst()
        }
        steps.forEach(({ length, queue: at, part }, i) => {
          const chunk = scratch.subarray(0, length).fill(i + 1)
          pushed[at]!.push(Buffer.from(chunk))
          queues[at]!.pushCopy(chunk)
          scratch.fill(0)
          const wanted = Math.floor(queues[1 - at]!.bytes * part)
          if (wanted > 0) take(1 - at, wanted)
        })
        for (const at of [0, 1]) {
          if (queues[at]!.bytes > 0) take(at, queues[at]!.bytes)
          expect(Buffer.concat(taken[at]!).equals(Buffer.concat(pushed[at]!))).toBe(true)
        }
      }),
    )
  })

  test('of bulk are in the same memory again and again', () => {
    const queue = new ByteQueue(new PieceMemory())
    const seen = new Set<ArrayBufferLike>()
    for (let i = 0; i < 1_000; i++) {
      queue.pushCopy(Buffer.alloc(65_536, i))
      queue.pushCopy(Buffer.alloc(60_000, i))
      for (const { buffer } of queue.take(queue.bytes)) seen.add(buffer)
      queue.copied()
    }
    expect(seen.size).toBe(2)
  })

  test('that were taken and not copied are not written to when the rest is dropped', () => {
    const memory = new PieceMemory()
    const queue = new ByteQueue(memory)
    queue.pushCopy(Buffer.alloc(65_536, 1))
    queue.pushCopy(Buffer.alloc(65_536, 1))
    const taken = queue.take(70_000)
    queue.clear()
    const other = new ByteQueue(memory)
    for (let i = 0; i < 4; i++) other.pushCopy(Buffer.alloc(65_536, 2))
    expect(Buffer.concat(taken).equals(Buffer.alloc(70_000, 1))).toBe(true)
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
