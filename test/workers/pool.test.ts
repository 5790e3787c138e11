/** Workers that do not come up, with children that are none. */
import { expect, test } from '@jest/globals'
import type { FromWorker } from '../../src/workers/messages.ts'
import type { WorkerChild } from '../../src/workers/worker-child.ts'
import { WorkerPool } from '../../src/workers/worker-pool.ts'
import { captureLog } from '../support/layers.ts'

test('a worker that hangs at its start is killed, and the old one stays', async () => {
  const { log, records } = captureLog()
  const killed: number[] = []
  let forks = 0
  const fork = (): WorkerChild => {
    const pid = ++forks
    const ends: ((how: { readonly status: undefined; readonly text: string }) => void)[] = []
    return {
      pid,
      send: () => undefined,
      // The first one is up; the second says nothing.
      onMessage: (listener: (message: FromWorker) => void) => {
        if (pid === 1) queueMicrotask(() => listener({ type: 'ready', ports: { app: 1, socket: 2, service: 0 } }))
      },
      onEnd: listener => void ends.push(listener),
      onOutput: () => undefined,
      kill: signal => {
        killed.push(pid)
        for (const ended of ends) ended({ status: undefined, text: signal })
      },
    }
  }
  const nothing = (): undefined => undefined
  const pool = new WorkerPool({
    count: 1,
    fork,
    beginning: { directory: '', privateKey: '', secret: '', logFormat: 'json', inherited: {} },
    log,
    clock: () => performance.now(),
    patienceMs: 60_000,
    startMs: 200,
    onMessage: nothing,
    onOutput: nothing,
    onGone: nothing,
  })
  expect(await pool.start()).toBeUndefined()
  await expect(pool.restart()).rejects.toThrow('worker 1 ended before it was ready: SIGKILL')
  expect(killed).toEqual([2])
  expect(pool.serving.map(({ child }) => child.pid)).toEqual([1])
  expect(records.map(({ msg }) => msg)).toContain('worker 1 has not opened its ports within 200 ms; it is ended')
})
