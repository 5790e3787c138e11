/** One group that fails or hangs costs that group alone. */
import { describe, expect, test } from '@jest/globals'
import { groupText, type Group } from '../../bench/report.ts'
import { runGroups, type GroupJob } from '../../bench/run-groups.ts'

const LONG_MS = 600_000

const group = (name: string): Group => ({ name, title: name, columns: [], rows: [], requirements: [] })

const run = async (jobs: Readonly<Record<string, Pick<GroupJob, 'measure'> & { readonly maxMs?: number }>>) => {
  const said: string[] = []
  const begin = (name: string): GroupJob => {
    said.push(`begin ${name}`)
    return { name, maxMs: LONG_MS, end: () => said.push(`end ${name}`), ...jobs[name]! }
  }
  const outcome = await runGroups(Object.keys(jobs), begin, result =>
    said.push('group' in result ? `done ${result.group.name}` : `failed ${result.failed.name}: ${result.failed.reason}`),
  )
  return { said, outcome }
}

const measured = (name: string) => ({ measure: async () => group(name) })

describe('groups', () => {
  test('are told of as each is done, before the next one begins', async () => {
    const { said, outcome } = await run({ a: measured('a'), b: measured('b') })
    expect(said).toEqual(['begin a', 'done a', 'end a', 'begin b', 'done b', 'end b'])
    expect(outcome).toEqual({ groups: [group('a'), group('b')], failed: [] })
  })

  test('one that fails is named, what it has started is ended, and the next one is measured', async () => {
    const { said, outcome } = await run({ a: { measure: () => Promise.reject(new Error('no answer')) }, b: measured('b') })
    expect(said).toEqual(['begin a', 'failed a: no answer', 'end a', 'begin b', 'done b', 'end b'])
    expect(outcome).toEqual({ groups: [group('b')], failed: [{ name: 'a', reason: 'no answer' }] })
  })

  test('one that hangs has its own time, not that of all', async () => {
    const { said, outcome } = await run({ a: { maxMs: 1, measure: () => new Promise(() => undefined) }, b: measured('b') })
    expect(said).toContain('end a')
    expect(outcome.groups).toEqual([group('b')])
    expect(outcome.failed[0]!.reason).toMatch(/^not done after/)
  })

  test('one that cannot begin is a failure like any other', async () => {
    const { groups, failed } = await runGroups(
      ['a'],
      () => {
        throw new Error('no port')
      },
      () => undefined,
    )
    expect([groups, failed]).toEqual([[], [{ name: 'a', reason: 'no port' }]])
  })

  test('each is printed with what was required of it', () => {
    const requirements = [{ what: 'rate', unit: '×', limit: { atLeast: 0.8 }, measured: 0.79 }]
    expect(groupText({ ...group('one'), requirements })).toMatch(/^### one\n\n.*FAIL/s)
    expect(groupText(group('one'))).not.toContain('required')
  })
})
