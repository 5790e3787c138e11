import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { StreamTable } from '../../src/mux/stream-table.ts'

interface Stream {
  readonly id: number
}

const stream = (id: number): Stream => ({ id })
const idsOf = (table: StreamTable<Stream>): number[] =>
  table
    .all()
    .map(({ id }) => id)
    .sort((a, b) => a - b)

describe('the table of open streams', () => {
  it('holds what a Map would, whatever ids come and go', () => {
    const step = fc.record({ isAdding: fc.boolean(), id: fc.integer({ min: 1, max: 6_000 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 1_500, size: 'max' }), steps => {
        const table = new StreamTable<Stream>()
        const model = new Map<number, Stream>()
        // Compared by hand: an `expect` for each of 300,000 looks would take longer than all of them.
        let differences = 0
        const same = (a: unknown, b: unknown): void => {
          if (a !== b) differences++
        }
        for (const { isAdding, id } of steps) {
          if (isAdding && !model.has(id)) {
            model.set(id, stream(id))
            table.add(model.get(id)!)
          } else {
            same(table.delete(model.get(id) ?? stream(id)), model.delete(id))
          }
          same(table.size, model.size)
          same(table.get(id), model.get(id))
        }
        expect(idsOf(table)).toEqual([...model.keys()].sort((a, b) => a - b))
        for (const [id, held] of model) same(table.get(id), held)
        expect(differences).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  it('finds a stream that was opened long ago among thousands that came after it', () => {
    const table = new StreamTable<Stream>()
    const old = stream(1)
    const lost: number[] = []
    table.add(old)
    for (let id = 3; id < 40_000; id += 2) {
      const short = stream(id)
      table.add(short)
      if (table.get(id) !== short || !table.delete(short) || table.get(id) !== undefined) lost.push(id)
    }
    expect(lost).toEqual([])
    expect(table.get(1)).toBe(old)
    expect(table.size).toBe(1)
  })
})
