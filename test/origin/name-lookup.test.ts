import { expect, test } from '@jest/globals'
import type { LookupAddress } from 'node:dns'
import { NameLookup, type OnAddresses } from '../../src/origin/name-lookup.ts'
import { until } from '../support/wait.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { startOrigins } from './origins.ts'

const LOOPBACK: LookupAddress[] = [{ address: '127.0.0.1', family: 4 }]

/** A resolver that answers when the test says so. */
const startSlow = (clock: () => number): { names: NameLookup; asked: string[]; answer: (error?: NodeJS.ErrnoException) => void } => {
  const asked: string[] = []
  const pending: (() => void)[] = []
  let error: NodeJS.ErrnoException | undefined
  const names = new NameLookup(clock, (hostname, callback) => {
    asked.push(hostname)
    pending.push(() => callback(error ?? null, error === undefined ? LOOPBACK : []))
  })
  return {
    names,
    asked,
    answer: fault => {
      error = fault
      for (const call of pending.splice(0)) call()
    },
  }
}

const ask = (names: NameLookup, hostname: string): { code: string | undefined; addresses: readonly LookupAddress[] | undefined } => {
  const found: ReturnType<typeof ask> = { code: undefined, addresses: undefined }
  const onAddresses: OnAddresses = (error, addresses) => {
    found.code = error?.code
    found.addresses = addresses
  }
  names.lookup(hostname, onAddresses)
  return found
}

test('a name is looked up once at a time, whoever asks, and kept for its time', async () => {
  let nowMs = 0
  const { names, asked, answer } = startSlow(() => nowMs)
  const all = Array.from({ length: 50 }, () => ask(names, 'a.test'))
  const other = ask(names, 'b.test')
  expect(asked).toEqual(['a.test', 'b.test'])
  answer()
  expect(all.every(({ addresses }) => addresses?.[0]?.address === '127.0.0.1')).toBe(true)
  expect(other.addresses).toHaveLength(1)
  nowMs = 9_999
  const kept = ask(names, 'a.test')
  expect(kept.addresses).toBeUndefined() // never before it returns
  await until(() => kept.addresses)
  expect(asked).toHaveLength(2)
  nowMs = 10_000
  ask(names, 'a.test')
  expect(asked).toHaveLength(3)
})

test('a failure is told to everybody who waits, and is not kept', () => {
  const { names, asked, answer } = startSlow(() => 0)
  const all = [ask(names, 'a.test'), ask(names, 'a.test')]
  answer(Object.assign(new Error('x'), { code: 'ENOTFOUND' }))
  expect(all.map(({ code }) => code)).toEqual(['ENOTFOUND', 'ENOTFOUND'])
  const again = ask(names, 'a.test')
  expect(asked).toHaveLength(2)
  answer()
  expect(again.addresses).toHaveLength(1)
})

test('what was known serves for a while when the resolver has become slow', async () => {
  let nowMs = 0
  const { names, asked, answer } = startSlow(() => nowMs)
  ask(names, 'a.test')
  answer()
  nowMs = 60_000
  const stale = ask(names, 'a.test')
  expect(asked).toHaveLength(2)
  await until(() => stale.addresses)
  answer() // late: nobody is told twice
  nowMs = 200_000
  const none = ask(names, 'a.test')
  await new Promise(resolve => setTimeout(resolve, 300))
  expect(none.addresses).toBeUndefined()
  answer()
  expect(none.addresses).toHaveLength(1)
})

test('a name that does not resolve for long keeps no other origin waiting', async () => {
  const origin = await startRawOrigin()
  const waiting: (() => void)[] = []
  const { ask: request } = startOrigins({
    resolve: (hostname, callback) => {
      if (hostname === 'slow.test') waiting.push(() => callback(null, LOOPBACK))
      else callback(null, LOOPBACK)
    },
  })
  const slow = Array.from({ length: 8 }, () => request({ hostname: 'slow.test', port: origin.port }))
  const quick = Array.from({ length: 8 }, (_, i) => request({ hostname: `quick-${i}.test`, port: origin.port }))
  for (const told of quick) expect((await told.over()).body).toBe('ok')
  expect(waiting).toHaveLength(1)
  expect(slow.every(({ seen }) => seen.length === 0)).toBe(true)
  waiting[0]!()
  for (const told of slow) expect((await told.over()).body).toBe('ok')
})
