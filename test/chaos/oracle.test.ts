/** An oracle that finds nothing proves nothing: each way to be wrong is shown to it. And the table of faults has all that docs/reliability.md names. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { FAULTS } from './faults.ts'
import { Ledger, type Seen } from './ledger.ts'
import { isIdempotent, KINDS, planOf, pathOf, readPath, type Plan } from './plan.ts'
import { scheduleOf } from './schedule.ts'

const plain: Plan = {
  ...planOf(1, 1, KINDS),
  ...({ id: 'a', kind: 'http1', method: 'GET', mood: 'length', manner: 'reads', isForbidden: false } as const),
}
const good: Seen = { status: 200, isComplete: true, id: 'a', isRight: true, bytes: 1 }
const line = { id: 'a', status: 200, identifier: 'inner-a', error: undefined }

/** What the ledger says of one request. */
const judge = (
  plan: Plan,
  seen: Seen | undefined,
  { executions = 1, lines = 1, killed = false, more = (_ledger: Ledger): void => undefined } = {},
) => {
  const ledger = new Ledger()
  ledger.started(plan)
  for (let i = 0; i < executions; i++) ledger.executed(plan.id)
  if (killed) ledger.killed(true)
  if (seen !== undefined) ledger.ended(plan, seen)
  for (let i = 0; i < lines; i++) ledger.logged(line)
  more(ledger)
  ledger.close()
  return ledger.faults.map(fault => fault.replace(/: [{].*/, ''))
}

describe('the oracle', () => {
  test('has nothing to say of what is right, nor of what is visibly cut or refused', () => {
    expect(judge(plain, good)).toEqual([])
    expect(judge(plain, { ...good, isComplete: false, isRight: false })).toEqual([])
    expect(judge(plain, { ...good, status: 502, isRight: false, id: undefined }, { executions: 0, lines: 0 })).toEqual([])
    expect(judge(plain, { ...good, status: 0, isComplete: false })).toEqual([])
    expect(judge({ ...plain, method: 'PUT' }, good, { executions: 2 })).toEqual([])
  })

  test.each<readonly [string, readonly string[]]>([
    ['the answer of another request', judge(plain, { ...good, id: 'b' })],
    ['a clean end of a part, or of wrong bytes', judge(plain, { ...good, isRight: false })],
    ['a whole answer of an origin that died', judge({ ...plain, mood: 'die-in-body' }, good)],
    ['an answer without an execution', judge(plain, good, { executions: 0, lines: 1 })],
    ['a status that nobody expects', judge(plain, { ...good, status: 500 })],
    ['a POST that was executed twice', judge({ ...plain, method: 'POST' }, good, { executions: 2 })],
    ['a GET that was executed seven times', judge(plain, good, { executions: 7 })],
    ['an execution of what is forbidden', judge({ ...plain, isForbidden: true }, { ...good, status: 403 })],
    ['an answer to what is forbidden', judge({ ...plain, isForbidden: true }, good, { executions: 0 })],
    ['an execution without an access line', judge(plain, good, { lines: 0 })],
    ['two access lines', judge(plain, good, { lines: 2 })],
    ['an access line without an execution', judge(plain, { ...good, isComplete: false }, { executions: 0 })],
    ['a request that is never over', judge(plain, undefined)],
    ['a complete upload of wrong bytes', judge(plain, good, { more: ledger => ledger.uploadedWrong('a', '') })],
    ['an execution that nobody asked for', judge(plain, good, { more: ledger => ledger.executed('z') })],
  ])('finds %s', (_name, faults) => {
    expect(faults.length).toBeGreaterThan(0)
  })

  test('excuses the last words of a killed process, and a TCP connection that the kernel has ended for it, but no HTTP', () => {
    const cut = { ...good, isRight: false }
    expect(judge(plain, good, { lines: 0, killed: true })).toEqual([])
    expect(judge({ ...plain, kind: 'tcp' }, cut, { lines: 0 })).not.toEqual([])
    expect(judge({ ...plain, kind: 'tcp' }, cut, { lines: 0, killed: true })).toEqual([])
    expect(judge(plain, cut, { killed: true })).not.toEqual([])
  })

  test('excuses no line when the process that was killed writes none', () => {
    expect(judge(plain, good, { lines: 0, more: ledger => ledger.killed(false) })).not.toEqual([])
    expect(judge(plain, good, { lines: 0, more: ledger => ledger.killed(true) })).toEqual([])
  })

  test('takes for last words what is as late as lines are on this machine', () => {
    const lostBefore = (killMs: number, latestMs: number): readonly string[] => {
      let nowMs = 0
      const ledger = new Ledger(() => nowMs)
      for (const id of ['a', 'b']) {
        ledger.started({ ...plain, id })
        ledger.executed(id)
        ledger.ended({ ...plain, id }, { ...good, id })
      }
      nowMs = latestMs
      ledger.logged(line)
      nowMs = killMs
      ledger.killed(true)
      ledger.close()
      return ledger.faults
    }
    expect(lostBefore(9_000, 5_000)).toEqual([])
    expect(lostBefore(9_000, 100)).toHaveLength(2)
    expect(lostBefore(11_000, 5_000)).toHaveLength(2)
  })
})

describe('a seed', () => {
  test('makes the same requests and the same steps each time, and another one others', () => {
    const plans = (seed: number): Plan[] => Array.from({ length: 500 }, (_, number) => planOf(seed, number, KINDS))
    expect(plans(3)).toEqual(plans(3))
    expect(plans(3)).not.toEqual(plans(4))
    expect(new Set(plans(3).map(({ kind }) => kind)).size).toBe(KINDS.length)
    expect(scheduleOf(3, 60_000)).toEqual(scheduleOf(3, 60_000))
    expect(scheduleOf(3, 60_000)).not.toEqual(scheduleOf(4, 60_000))
  })

  test('makes paths that are read back as they were', () => {
    for (let number = 0; number < 200; number++) {
      const { id, mood, upload, download, seed, isForbidden, ...rest } = planOf(9, number, KINDS)
      expect(readPath(pathOf({ id, mood, upload, download, seed, isForbidden, ...rest }))).toMatchObject({
        id,
        mood,
        upload,
        download,
        seed,
      })
      expect(isIdempotent(rest)).toBe(!/tcp|tunnel/.test(rest.kind) && ['GET', 'PUT', 'DELETE'].includes(rest.method))
    }
  })
})

test('the table of docs/reliability.md names every fault, in its words', () => {
  const page = readFileSync(new URL('../../docs/reliability.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| (F\d\d(?: moved)?|[a-z ]+) \| (.*) \|$/gm)].map(([, id, what]) => `${id}: ${what}`)
  expect(FAULTS.map(({ id, what }) => `${id}: ${what}`).filter(fault => !rows.includes(fault))).toEqual([])
  expect(new Set(FAULTS.map(({ id }) => id)).size).toBe(FAULTS.length)
  const numbers = FAULTS.map(({ id }) => id).filter(id => /^F\d\d$/.test(id))
  expect(numbers).toEqual(Array.from({ length: 39 }, (_, i) => `F${String(i + 1).padStart(2, '0')}`))
})
