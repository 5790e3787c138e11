/** Bytes of a day, as the data plane counts them. */
import { expect, test } from '@jest/globals'
import { dayOf, Quota } from '../../src/directory/quota.ts'
import { parseDirectoryMessage } from '../../src/directory/parse-message.ts'
import { SocketTable } from '../../src/directory/socket-table.ts'
import { changeOf, idOf, socketOf, ZONE } from '../support/directory.ts'

const NOON = Date.parse('2026-11-28T12:00:00Z')
const HOUR_MS = 3_600_000

const refusal = (quota: Pick<Quota, 'check'>): unknown => {
  try {
    quota.check()
    return undefined
  } catch (thrown) {
    return thrown
  }
}

test('a quota is used up by what is counted here and by what the service knows, until midnight', () => {
  let now = NOON
  const quota = new Quota(idOf(1, 2), () => now)
  quota.count(1_000)
  expect(refusal(quota)).toBeUndefined()
  quota.set({ accountId: idOf(1, 2), bytesPerDay: 2_000, day: dayOf(now), used: 600 })
  expect(quota.told).toEqual({ accountId: idOf(1, 2), bytesPerDay: 2_000, day: dayOf(now), used: 1_000 })
  quota.set({ accountId: idOf(1, 2), bytesPerDay: 2_000, day: dayOf(now), used: 1_999 })
  expect(refusal(quota)).toBeUndefined()
  quota.count(1)
  now += 11 * HOUR_MS
  expect(refusal(quota)).toMatchObject({ code: 'QUOTA_REACHED', fields: ['Retry-After', '3600'] })
  // The service still speaks of yesterday.
  now += HOUR_MS
  quota.set({ accountId: idOf(1, 2), bytesPerDay: 2_000, day: dayOf(NOON), used: 5_000 })
  expect([refusal(quota), quota.told.used]).toEqual([undefined, 0])
  quota.count(5_000)
  quota.set({ accountId: idOf(1, 2), bytesPerDay: 0, day: 0, used: 0 })
  expect(refusal(quota)).toBeUndefined()
})

test('what is under way is counted by and by, once, and ended when nothing is left', () => {
  let now = NOON
  const quota = new Quota(idOf(1, 2), () => now)
  quota.set({ accountId: idOf(1, 2), bytesPerDay: 1_000, day: dayOf(now), used: 0 })
  const bytes = { short: 0, long: 0 }
  const ends: string[] = []
  const follow = (name: 'short' | 'long') => quota.follow({ bytes: () => bytes[name], end: code => void ends.push(`${name} ${code}`) })
  const [short, long] = [follow('short'), follow('long')]
  bytes.short = 100
  bytes.long = 200
  quota.look()
  expect(quota.told.used).toBe(300)
  short()
  quota.count(150) // all of it, at its end
  expect([quota.told.used, ends]).toEqual([350, []])
  // What came before midnight is of the day before.
  bytes.long = 5_000
  now += 12 * HOUR_MS
  quota.look()
  expect([quota.told.used, ends]).toEqual([0, []])
  bytes.long = 6_000
  quota.look()
  expect(ends).toEqual(['long QUOTA_REACHED'])
  long()
  expect(quota.told.used).toBe(0)
})

test('all sockets of an account share it, whatever comes first; a snapshot keeps it, and one without it ends it', () => {
  const table = new SocketTable({ zone: ZONE }, () => NOON)
  const quota = { accountId: idOf(1, 2), bytesPerDay: 100, day: dayOf(NOON), used: 10 }
  const mine = [socketOf(1), socketOf(2, { accountId: idOf(1, 2) })]
  table.apply(changeOf({ sockets: [...mine, socketOf(3)] }))
  table.apply(changeOf({ quotas: [quota] }))
  const [one, two, others] = [1, 2, 3].map(number => table.get(idOf(number))!.owner)
  one!.countRequest(50, 40)
  others!.countRequest(1_000, 1_000)
  const isOver = [one, two, others].map(owner => refusal({ check: () => owner!.checkQuota() }) !== undefined)
  expect(isOver).toEqual([true, true, false])
  expect([two!.follow({ bytes: () => 0, end: () => undefined }), others!.follow({ bytes: () => 0, end: () => undefined })]).toEqual([
    expect.any(Function),
    undefined,
  ])
  const snapshot = table.snapshot()
  expect(snapshot.quotas).toEqual([{ ...quota, used: 100 }])
  // As the file of the last run is read.
  const next = new SocketTable({ zone: ZONE }, () => NOON)
  next.apply(parseDirectoryMessage(JSON.parse(JSON.stringify(snapshot))))
  const nextOwner = next.get(idOf(2))!.owner
  expect(() => nextOwner.checkQuota()).toThrow('100 bytes of this day are used up')
  next.apply({ ...snapshot, seq: snapshot.seq + 1, quotas: undefined })
  expect(() => nextOwner.checkQuota()).not.toThrow()
})

test.each([{ bytesPerDay: -1 }, { used: 'all' }, { day: 1.5 }, { accountId: 'ada' }])('a quota that is none is refused: %j', wrong => {
  const quota = { accountId: idOf(1, 2), bytesPerDay: 100, day: 1, used: 10, ...wrong }
  expect(() => parseDirectoryMessage(changeOf({ quotas: [quota as never] }))).toThrow('a message of the service process')
})

test('what ends after midnight counts from there, whether somebody has looked since or not', () => {
  let now = NOON
  for (const hasLooked of [true, false]) {
    now = NOON
    const quota = new Quota(idOf(1, 2), () => now)
    quota.set({ accountId: idOf(1, 2), bytesPerDay: 1_000, day: dayOf(now), used: 0 })
    let bytes = 900
    const end = quota.follow({ bytes: () => bytes, end: () => undefined })
    quota.look()
    now += 12 * HOUR_MS
    if (hasLooked) quota.look()
    quota.count(70)
    bytes += 30
    end()
    quota.count(bytes) // all of it, at its end
    expect(quota.told.used).toBe(100)
    expect(refusal(quota)).toBeUndefined()
  }
  // Nobody has noticed the midnight before the end of it.
  now = NOON
  const quota = new Quota(idOf(1, 2), () => now)
  quota.set({ accountId: idOf(1, 2), bytesPerDay: 1_000, day: dayOf(now), used: 0 })
  const end = quota.follow({ bytes: () => 900, end: () => undefined })
  now += 12 * HOUR_MS
  end()
  quota.count(900)
  expect(quota.told.used).toBe(0)
})
