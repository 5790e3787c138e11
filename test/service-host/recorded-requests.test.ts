/** What a service process hears of recorded requests: a real process, which stands still for a while. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import type { RequestsChange } from '../../src/directory/socket-requests.ts'
import { forkService } from '../../src/service-host/fork-service.ts'
import type { FromService, ToService } from '../../src/service-host/ipc.ts'
import { RecordedRequests } from '../../src/service-host/recorded-requests.ts'
import { cleanUp, onCleanUp } from '../support/cleanup.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

afterEach(cleanUp)

/** Repeats what it hears of a reader: how many changes, and which kinds. */
const CHILD = `
process.send({ type: 'ready' })
process.on('message', ({ id, changes }) => process.send({ type: 'log', level: 'info', message: 'heard', fields: { id, count: changes.length, first: changes[0]?.type, last: changes.at(-1)?.type } }))
process.on('disconnect', () => process.exit(0))
`

test('a process that stands still is told no more than it takes, then to ask again, and the end in any case', async () => {
  const program = join(tempDir(), 'child.cjs')
  writeFileSync(program, CHILD)
  const child = forkService(program, [])
  onCleanUp(() => child.kill())
  const heard: FromService[] = []
  child.onMessage(message => void heard.push(message))
  await until(() => heard.length === 1, { what: 'the process' })
  const sent: ToService[] = []
  let taken = 0
  const counting: Pick<typeof child, 'send'> = {
    send: (message, done) => {
      sent.push(message)
      child.send(message, () => {
        taken++
        done?.()
      })
    },
  }
  const tells = new Map<string, (changes: readonly RequestsChange[]) => void>()
  const requests = new RecordedRequests({
    answer: () => Promise.reject(new Error('not asked')),
    follow: ({ socketId }, tell) => {
      tells.set(socketId, tell)
      return () => undefined
    },
  })
  for (let id = 0; id < 100; id++)
    requests.follow(counting, { type: 'follow', id, following: { accountId: 'a', socketId: `s${id}`, filter: '' } })

  process.kill(child.pid!, 'SIGSTOP')
  // More than the pipe between the two takes.
  const changes: readonly RequestsChange[] = Array.from({ length: 200 }, () => ({ type: 'gone', ids: ['x'.repeat(200)] }))
  for (let round = 0; round < 20; round++) {
    for (const tell of tells.values()) tell(changes)
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(sent.length - taken).toBeLessThanOrEqual(64)
  expect(sent.length).toBeLessThan(200)
  tells.get('s7')!([{ type: 'end' }])
  requests.unfollow(8)
  process.kill(child.pid!, 'SIGCONT')

  const linesOf = (id: number) =>
    heard.flatMap(message => (message.type === 'log' && (message.fields as { id: number }).id === id ? [message.fields] : []))
  // Each hears that it has missed something, though nothing happens any more; whoever has left does not.
  for (let id = 0; id < 100; id++)
    if (id !== 7 && id !== 8) await until(() => linesOf(id).some(({ first }) => first === 'reset'), { what: `reader ${id}` })
  await until(() => linesOf(7).at(-1)?.['last'] === 'end', { what: 'the end' })
  expect(linesOf(8).some(({ first }) => first === 'reset')).toBe(false)
  tells.get('s3')!(changes)
  await until(() => linesOf(3).at(-1)?.['count'] === changes.length, { what: 'what comes then' })
})
