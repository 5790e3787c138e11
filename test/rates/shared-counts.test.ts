import { describe, expect, test } from '@jest/globals'
import { CountsBook, type CountsChange } from '../../src/rates/shared-counts.ts'

/** Counts of several processes, which hear of each other when `deliver` says so, by a clock that is set by hand. */
function processes(count: number) {
  let now = 0
  const due: (() => void)[] = []
  const sent: { readonly from: number; readonly change: CountsChange }[] = []
  const books = Array.from(
    { length: count },
    (_, from) =>
      new CountsBook({
        clock: () => now,
        // As it comes over a channel.
        tell: change => void sent.push({ from, change: JSON.parse(JSON.stringify(change)) as CountsChange }),
        soon: flush => void due.push(flush),
      }),
  )
  return {
    books,
    deliver: () => {
      for (const flush of due.splice(0)) flush()
      for (const { from, change } of sent.splice(0))
        for (const [to, book] of books.entries()) if (to !== from) book.hear(String(from), change)
    },
    pass: (ms: number) => (now += ms),
  }
}

describe('counts of several processes', () => {
  test('what one of them takes of a rate is gone for all', () => {
    const { books, deliver, pass } = processes(2)
    const [a, b] = books.map(book => book.meter('rate', { perSecond: 1, burst: 3 }))
    for (let i = 0; i < 3; i++) expect(a!.take('client')).toBe(0)
    expect(a!.take('client')).toBeGreaterThan(0)
    deliver()
    expect(b!.take('client')).toBeGreaterThan(0)
    expect(b!.take('another')).toBe(0)
    pass(1_000)
    expect(b!.take('client')).toBe(0)
    deliver()
    expect(a!.take('client')).toBeGreaterThan(0)
  })

  test('what both took before they heard of each other is waited for, so that the rate holds in the long run', () => {
    const { books, deliver, pass } = processes(3)
    const meters = books.map(book => book.meter('rate', { perSecond: 10, burst: 5 }))
    let taken = 0
    for (let round = 0; round < 100; round++) {
      for (const meter of meters) while (meter.take('client') === 0) taken++
      deliver()
      pass(100)
    }
    // 10 s: 100, a burst of 5, and what the two others let in before they had heard, once.
    expect(taken).toBeGreaterThanOrEqual(100)
    expect(taken).toBeLessThanOrEqual(100 + 3 * 5)
  })

  test('what they are owed is not forgotten while a client keeps away as long as one burst takes', () => {
    const { books, deliver, pass } = processes(4)
    const meters = books.map(book => book.meter('rate', { perSecond: 1, burst: 10 }))
    let taken = 0
    for (let round = 0; round < 20; round++) {
      for (const meter of meters) while (meter.take('client') === 0) taken++
      deliver()
      pass(10_000)
    }
    expect(taken).toBeGreaterThan(100)
    expect(taken).toBeLessThanOrEqual(200 + 4 * 10)
  })

  test('what is given back is there for all', () => {
    const { books, deliver } = processes(2)
    const [a, b] = books.map(book => book.meter('rate', { perSecond: 0.001, burst: 1 }))
    expect(a!.take('client')).toBe(0)
    deliver()
    expect(b!.take('client')).toBeGreaterThan(0)
    a!.giveBack('client')
    deliver()
    expect(b!.take('client')).toBe(0)
  })

  test('a number at a time is that of all others, until they end', () => {
    const { books, deliver } = processes(3)
    const [a, b, c] = books.map(book => book.tally('requests'))
    a!.add('x', 1)
    a!.add('x', 1)
    b!.add('x', 1)
    deliver()
    expect([a, b, c].map(tally => tally!.others('x'))).toEqual([1, 2, 3])
    a!.add('x', -1)
    deliver()
    expect(c!.others('x')).toBe(2)
    books[2]!.gone('0')
    expect(c!.others('x')).toBe(1)
    books[2]!.gone('1')
    expect(c!.others('x')).toBe(0)
  })

  test('who comes later is told what there is', () => {
    const { books, deliver } = processes(2)
    const tally = books[0]!.tally('requests')
    tally.add('x', 1)
    tally.add('y', 1)
    tally.add('y', -1)
    deliver()
    books[1]!.gone('0')
    books[0]!.repeat()
    deliver()
    expect(books[1]!.tally('requests').others('x')).toBe(1)
    expect(books[1]!.tally('requests').others('y')).toBe(0)
  })

  test('a name that nobody here has asked for yet is counted for later', () => {
    const { books, deliver } = processes(2)
    books[0]!.meter('rate', { perSecond: 1, burst: 1 }).take('client')
    books[0]!.tally('constructor').add('__proto__', 1)
    deliver()
    expect(books[1]!.meter('rate', { perSecond: 1, burst: 1 }).take('client')).toBeGreaterThan(0)
    expect(books[1]!.meter('rate', { perSecond: 2, burst: 1 }).take('client')).toBe(0)
    expect(books[1]!.tally('constructor').others('__proto__')).toBe(1)
  })
})
