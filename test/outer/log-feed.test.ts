import { expect, test } from '@jest/globals'
import { LogFeed } from '../../src/outer/log-feed.ts'
import { parseLogNote, type LogLine } from '../../src/payload/log-note.ts'
import { decodeNote } from '../../src/payload/origin-profile.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { until } from '../support/wait.ts'

/** A feed, and what has come out of it. */
const start = () => {
  const told: LogLine[] = []
  const faults: unknown[] = []
  const session = {
    isOpen: true,
    isHeldUp: false,
    note: (payload: Uint8Array): void => void told.push(...parseLogNote(decodeNote(Buffer.from(payload)))),
  }
  const feed = new LogFeed({ session, isUnderstood: () => true, clock: () => 0, onFault: thrown => faults.push(thrown) })
  onCleanUp(() => feed.close())
  return { told, faults, session, feed }
}

const lineOf = (number: number): LogLine => ({
  kind: 'connection',
  at: number,
  client: 'a',
  status: 200,
  bytesOut: 0,
  bytesIn: 0,
  durationMs: 0,
})
const omitted = (told: readonly LogLine[]): number => told.reduce((sum, line) => sum + (line.kind === 'omitted' ? line.count : 0), 0)

test('lines of one turn are one note, in their order', async () => {
  const { told, feed } = start()
  for (let i = 0; i < 3; i++) feed.add(lineOf(i))
  expect(told).toEqual([])
  await until(() => told.length === 3)
  expect(told.map(({ at }) => at)).toEqual([0, 1, 2])
})

test('nothing is added to a link that takes nothing: twenty lines wait, the others are counted, and told when there is room again', async () => {
  const { told, session, feed } = start()
  session.isHeldUp = true
  for (let i = 0; i < 25; i++) feed.add(lineOf(i))
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  feed.add(lineOf(25))
  expect(told).toEqual([])
  session.isHeldUp = false
  await until(() => omitted(told) === 6)
  expect(told.filter(({ kind }) => kind === 'connection').map(({ at }) => at)).toEqual(Array.from({ length: 20 }, (_, i) => i))
})

test('fifty lines come at once, the others as a number, and a line that cannot be told ends nothing', async () => {
  const { told, faults, session, feed } = start()
  for (let i = 0; i < 200; i += 10) {
    for (let j = 0; j < 10; j++) feed.add(lineOf(i + j))
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  }
  await until(() => omitted(told) === 150)
  expect(told.filter(({ kind }) => kind === 'connection')).toHaveLength(50)
  session.note = () => {
    throw new Error('forced')
  }
  feed.add(lineOf(1))
  await until(() => faults.length > 0)
  feed.close()
  feed.add(lineOf(2))
})
