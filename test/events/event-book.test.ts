/** The list of events: cursors, listeners, floods, an earlier run. */
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { EventBook, KEPT_EVENTS } from '../../src/events/event-book.ts'
import { matcherOf } from '../../src/events/event-filter.ts'
import { onCleanUp } from '../support/cleanup.ts'

const note = (subject: string) => ({ subject, fields: { limit: 'a limit', code: 'RATE_LIMITED' } })
const once = (atMs: number) => ({ atMs, count: 1 })

/** A book whose clock is a second further with each event, so that nothing is a flood. */
function bookOf(names: readonly string[]): EventBook {
  let nowMs = 1_700_000_000_000
  const clock = (): number => (nowMs += 1_000)
  const book = new EventBook(clock, () => undefined, clock)
  onCleanUp(() => book.close())
  for (const name of names) book.add('limit.reached', note(name), once(nowMs))
  return book
}

test('pages forwards and backwards give each event once, whatever the limit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 25 }), (count, limit) => {
      const names = Array.from({ length: count }, (_, index) => `s${index}`)
      const book = bookOf(names)
      const forwards: string[] = []
      for (let after = '0'; ;) {
        const { items, next } = book.list({ after, limit })
        forwards.push(...items.map(({ subject }) => subject))
        after = next!
        if (items.length < limit) break
      }
      expect(forwards).toEqual(names)
      const backwards: string[] = []
      for (let before: string | undefined; ;) {
        const { items, next } = book.list({ limit, ...(before !== undefined && { before }) })
        backwards.push(...items.map(({ subject }) => subject))
        if (next === null) break
        before = next
      }
      expect(backwards).toEqual([...names].reverse())
    }),
  )
})

test('the cursor of an empty page stays good for what comes later', () => {
  const book = bookOf(['a'])
  const { next } = book.list({ after: book.last, limit: 10 })
  book.add('limit.reached', note('b'), once(0))
  expect(book.list({ after: next!, limit: 10 }).items.map(({ subject }) => subject)).toEqual(['b'])
})

test('ids rise when the clock goes back, and over a restart', () => {
  let nowMs = 2_000_000
  const book = new EventBook(
    () => nowMs,
    () => undefined,
  )
  book.add('limit.reached', note('a'), once(nowMs))
  nowMs = 1_000_000
  book.add('limit.reached', note('b'), once(nowMs))
  const { items } = book.list({ after: '0', limit: 10 })
  expect(Number(items[1]!.id)).toBeGreaterThan(Number(items[0]!.id))
  const later = new EventBook(
    () => nowMs,
    () => undefined,
  )
  later.restore(items)
  later.add('limit.reached', note('c'), once(nowMs))
  expect(later.list({ after: items[1]!.id, limit: 10 }).items.map(({ subject }) => subject)).toEqual(['c'])
})

test('a listener that throws keeps nobody else from hearing', () => {
  const faults: unknown[] = []
  const heard: string[] = []
  const book = new EventBook(Date.now, thrown => faults.push(thrown))
  onCleanUp(() => book.close())
  book.listen(() => {
    throw new Error('no')
  })
  const leave = book.listen(({ subject }) => heard.push(subject))
  book.add('limit.reached', note('a'), once(0))
  leave()
  book.add('limit.reached', note('b'), once(0))
  expect(heard).toEqual(['a'])
  expect(faults).toHaveLength(2)
})

test('a flood of one name is told one by one for a while, then as one', () => {
  const book = new EventBook(
    () => 5_000,
    () => undefined,
  )
  for (let index = 0; index < 1_000; index++) book.add('tunnel.connected', note(`t${index}`), once(5_000))
  book.add('limit.reached', note('a'), once(5_000))
  book.close()
  const { items } = book.list({ limit: 1_000 })
  expect(items[1]!.subject).toBe('a')
  expect(items[0]).toMatchObject({ name: 'tunnel.connected', count: 1_002 - items.length })
  expect(items.length).toBeLessThan(210)
})

test('the list is bounded, and says so to whoever has missed something', () => {
  const book = bookOf(Array.from({ length: KEPT_EVENTS + 2_000 }, () => 'x'))
  expect(book.list({ limit: Infinity }).items.length).toBeLessThanOrEqual(KEPT_EVENTS + 1_000)
  expect(book.hasLost('1')).toBe(true)
  expect(book.hasLost(book.last)).toBe(false)
})

test('a filter names events, how severe they are, and what they are about', () => {
  const book = bookOf([])
  book.add('inner-layer.lost', { subject: 'lan-a', fields: {} }, once(0))
  book.add('target.unserved', { subject: 'a.test', targets: ['a.test'], fields: {} }, once(0))
  book.add('target.served', { subject: 'a.test', targets: ['a.test'], fields: {} }, once(0))
  book.add('tunnel.lost', { subject: 't', account: 'me', fields: {} }, once(0))
  const namesFor = (filter: Parameters<typeof matcherOf>[0]) =>
    book.list({ after: '0', limit: 10, fits: matcherOf(filter) }).items.map(({ name }) => name)
  expect(namesFor({ names: ['target.*'] })).toEqual(['target.unserved', 'target.served'])
  expect(namesFor({ severity: 'warning' })).toEqual(['inner-layer.lost', 'target.unserved', 'tunnel.lost'])
  expect(namesFor({ targets: ['b.test'] })).toEqual(['inner-layer.lost', 'tunnel.lost'])
  expect(namesFor({ subject: 'lan-a' })).toEqual(['inner-layer.lost'])
  expect(namesFor({ account: 'me' })).toEqual(['tunnel.lost'])
})
