import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { runProcess } from './process.ts'
import { giveUpWaits, once, until, within } from './wait.ts'

const messageOf = (outcome: PromiseSettledResult<unknown> | undefined): string =>
  outcome?.status === 'rejected' ? (outcome.reason as Error).message : 'it came'

/** What comes of three waits for what never happens. */
const waits = (): Promise<unknown>[] => [
  within(new Promise(() => undefined), 'nothing', 1),
  until(() => false, { deadlineMs: 1, what: 'nothing' }),
  once(new EventEmitter(), 'nothing', 1),
]

test('a wait gives up at its deadline, and says for what', async () => {
  const outcomes = await Promise.allSettled(waits())
  expect(outcomes.map(messageOf)).toEqual(['waited 1 ms for nothing', 'waited 1 ms for nothing', "waited 1 ms for the event 'nothing'"])
})

test('waits of a file that is over fail no more, and those that come still do', async () => {
  let failed = 0
  for (const wait of waits()) wait.catch(() => failed++)
  giveUpWaits()
  const [outcome] = await Promise.allSettled([within(new Promise(() => undefined), 'what comes later', 20)])
  expect(messageOf(outcome)).toBe('waited 20 ms for what comes later')
  await delay(1)
  expect(failed).toBe(0)
})

test('a wait that was given up keeps no process alive', async () => {
  const program = `import { giveUpWaits, until } from './test/support/wait.ts'
    void until(() => false)
    setTimeout(giveUpWaits)`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program]
  // Its end is what is claimed: a minute later it would be one with an error.
  expect(await runProcess(args, { program: process.execPath })).toEqual({ code: 0, signal: null, stdout: '', stderr: '' })
})

test('what is waited for still arrives after that', async () => {
  const wait = within(delay(1, 'here'), 'it')
  giveUpWaits()
  expect(await wait).toBe('here')
})
