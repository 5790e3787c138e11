/** Who serves a tunnel when several hold it. */
import { describe, expect, test } from '@jest/globals'
import { TunnelBook, type Served } from '../../src/ssh/tunnel-book.ts'

/** A forward whose link is up at once, or when it is told. */
class Forward implements Served {
  readonly tunnelId = 'a'
  isServing = false
  isEvicted = false
  #up: () => void = () => undefined

  constructor(
    private readonly isSlow = false,
    readonly login = 0,
  ) {}

  serve(): Promise<void> {
    this.isServing = true
    return this.isSlow ? new Promise(resolve => (this.#up = resolve)) : Promise.resolve()
  }

  up(): void {
    this.#up()
  }

  rest(): void {
    this.isServing = false
  }

  evicted(): void {
    this.isEvicted = true
  }
}

const serving = (forwards: readonly Forward[]): number[] => forwards.flatMap((forward, index) => (forward.isServing ? [index] : []))

describe('the book of tunnels', () => {
  test('lets the newest serve, and the one before it when that leaves', async () => {
    const book = new TunnelBook()
    const forwards = [new Forward(), new Forward(), new Forward()]
    for (const forward of forwards) await book.take(forward)
    expect(serving(forwards)).toEqual([2])
    book.leave(forwards[1]!)
    expect(serving(forwards)).toEqual([2])
    forwards[2]!.rest()
    book.leave(forwards[2]!)
    expect(serving(forwards)).toEqual([0])
    book.leave(forwards[0]!)
    expect([book.count, book.holdersOf('a')]).toEqual([0, []])
  })

  test('keeps the old one until the new one serves, also when a third comes in between', async () => {
    const book = new TunnelBook()
    const [old, slow, newest] = [new Forward(), new Forward(true), new Forward()]
    await book.take(old)
    const taken = book.take(slow)
    expect(serving([old, slow])).toEqual([0, 1])
    await book.take(newest)
    slow.up()
    await taken
    expect(serving([old, slow, newest])).toEqual([2])
  })

  test('goes by the number of the login, whoever is put in first', async () => {
    const book = new TunnelBook()
    const [first, second, late] = [new Forward(false, 1), new Forward(false, 3), new Forward(false, 2)]
    for (const forward of [first, second, late]) await book.take(forward)
    expect(serving([first, second, late])).toEqual([1])
    second.rest()
    book.leave(second)
    expect(serving([first, second, late])).toEqual([2])
  })

  test('has so many holders of one tunnel: the oldest one goes', async () => {
    const book = new TunnelBook()
    const forwards = Array.from({ length: 18 }, () => new Forward())
    for (const forward of forwards) await book.take(forward)
    expect(forwards.flatMap((forward, index) => (forward.isEvicted ? [index] : []))).toEqual([0, 1])
    expect(book.holdersOf('a')).toHaveLength(16)
  })
})
