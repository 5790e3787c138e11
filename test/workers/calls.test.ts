import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../src/errors.ts'
import { CallBook, type Answerer, type CallMessage } from '../../src/workers/calls/call-book.ts'
import { Lead } from '../../src/workers/calls/lead.ts'
import { mergeHar, mergePages } from '../../src/workers/records/merge-records.ts'
import { ServedBook } from '../../src/workers/service/served-book.ts'

/** Two ends, joined as by a channel of JSON. */
const pairOf = (answerers: Readonly<Record<string, Answerer>>): { readonly asks: CallBook; readonly faults: unknown[] } => {
  const faults: unknown[] = []
  const known = new Map(Object.entries(answerers))
  const copy = (message: CallMessage): CallMessage => JSON.parse(JSON.stringify(message)) as CallMessage
  const ends: CallBook[] = []
  const end = (other: number): CallBook =>
    new CallBook({
      send: message => queueMicrotask(() => ends[other]!.take(copy(message))),
      answererOf: name => known.get(name),
      onFault: thrown => void faults.push(thrown),
    })
  ends.push(end(1), end(0))
  return { asks: ends[0]!, faults }
}

describe('questions between processes', () => {
  test('have their answers, whichever comes first', async () => {
    const release: (() => void)[] = []
    const { asks } = pairOf({
      slow: () => new Promise(resolve => release.push(() => resolve('slow'))),
      quick: value => ({ value }),
      nothing: () => undefined,
    })
    const slow = asks.ask('slow')
    expect(await asks.ask('quick', [1, null])).toEqual({ value: [1, null] })
    expect(await asks.ask('nothing')).toBeUndefined()
    release[0]!()
    expect(await slow).toBe('slow')
  })

  test('are refused with the code of the other process; what it did not expect stays there', async () => {
    const { asks, faults } = pairOf({
      refuses: () => Promise.reject(new GatewayError('INVITATION_INVALID', 'used')),
      throws: () => {
        throw new TypeError('a secret')
      },
    })
    await expect(asks.ask('refuses')).rejects.toMatchObject({ code: 'INVITATION_INVALID', message: 'used' })
    await expect(asks.ask('throws')).rejects.toMatchObject({ code: 'INTERNAL' })
    await expect(asks.ask('constructor')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(faults).toEqual([expect.any(TypeError)])
  })

  test('end with the process that was asked, or with their time', async () => {
    const { asks } = pairOf({ never: () => new Promise(() => undefined) })
    await expect(asks.ask('never', undefined, 10)).rejects.toMatchObject({ code: 'ADMIN_FAILED' })
    const waiting = asks.ask('never')
    asks.gone()
    await expect(waiting).rejects.toMatchObject({ code: 'DRAINING' })
    await expect(asks.ask('never')).rejects.toMatchObject({ code: 'DRAINING' })
  })
})

test('one leads at a time: the next one when it has said that it is over, or has ended', () => {
  const told: string[] = []
  const lead = new Lead<string>(worker => void told.push(worker))
  lead.asks('old')
  lead.asks('new')
  lead.asks('newest')
  expect(told).toEqual(['old'])
  lead.over('new') // it has ended before its turn
  lead.over('old')
  expect(told).toEqual(['old', 'newest'])
  lead.over('old')
  expect(lead.lead).toBe('newest')
})

test('pages of several lists are one list, whatever the limit', () => {
  const lists = [['h', 'e', 'b'], ['g', 'f', 'a'], ['d', 'c'], []]
  for (const limit of [1, 2, 3, 8, 100]) {
    const all: string[] = []
    for (let before: string | null = '~'; before !== null;) {
      const cursor: string = before
      const pages = lists.map(list => {
        const rest = list.filter(id => id < cursor)
        return { items: rest.slice(0, limit).map(id => ({ id })), next: rest.length > limit ? rest[limit - 1]! : null }
      })
      const page = mergePages(pages, limit)
      all.push(...page.items.map(({ id }) => id))
      before = page.next
    }
    expect(all.join('')).toBe('hgfedcba')
  }
  const har = (ids: string) => ({ log: { entries: [...ids].map(id => ({ _socketGateway: { id } })) } })
  expect(mergeHar([har('ac'), har('bd')], 3)).toEqual(har('bcd'))
})

test('a tunnel is up with the first worker that has it, and down with the last', () => {
  const told: string[] = []
  const book = new ServedBook<string>({
    isOfService: kid => kid === 'service',
    isKey: kid => kid === 'enrolled',
    onTunnel: (id, address) => void told.push(`${id} ${address ?? 'down'}`),
    onKey: (id, address) => void told.push(`key ${id} ${address ?? 'down'}`),
  })
  const process = {
    identifier: 't1',
    pool: 'tunnel',
    kid: 'a',
    address: '192.0.2.1',
    agent: '',
    instance: 'i',
    isEnrolled: false,
    atMs: 0,
  } as const
  book.serve('one', { ...process, number: 1 })
  book.serve('two', { ...process, number: 1 })
  book.unserve('one', 1)
  expect(told).toEqual(['t1 192.0.2.1', 't1 192.0.2.1'])
  expect(book.tunnels).toEqual([{ id: 't1', address: '192.0.2.1' }])
  book.serve('two', { ...process, number: 2, kid: 'service' })
  book.serve('two', { ...process, number: 3, pool: 'operator', kid: 'enrolled' })
  book.serve('two', { ...process, number: 4, pool: 'operator', kid: 'of a file' })
  book.gone('two')
  expect(told.slice(2)).toEqual(['key enrolled 192.0.2.1', 't1 down', 'key enrolled down'])
  expect([book.tunnels, book.keys]).toEqual([[], []])
})
