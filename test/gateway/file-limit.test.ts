/** Processes that may not open as many sockets as are asked of them. */
import { expect, test } from '@jest/globals'
import type { Socket } from 'node:net'
import { openFilesOf } from '../../src/cli/command/file-limit.ts'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses } from '../support/layer-processes.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const timeoutMs = 120_000

test(
  'a request for which one inner layer has no socket moves to another, whatever its method; none fails',
  async () => {
    const waiting: Socket[] = []
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      waiting.push(socket)
    })
    const processes = await createLayerProcesses(origin.port)
    const outer = await processes.startOuter()
    expect(outer.process.output).not.toContain('may open')
    const small = await processes.startInner('small', [outer], { openFiles: 96 })
    await small.waitForLine(/this process may open 96 files and sockets, fewer than it may need/)
    await processes.startInner('large', [outer])
    const COUNT = 300
    const statuses = Promise.all(
      Array.from({ length: COUNT }, async (_, i) => {
        const { status } = await exchange(outer.port, i % 2 === 0 ? {} : { method: 'POST', body: 'x' })
        return status
      }),
    )
    await until(() => waiting.length === COUNT)
    for (const socket of waiting) socket.write(rawResponse(200, 'ok'))
    expect((await statuses).filter(status => status !== 200)).toEqual([])
    expect(origin.hits).toBe(COUNT)
    await small.waitForLine(/may open no more files and sockets; raise its limit \(ulimit -n/)
    expect(small.exited).toBeUndefined()
  },
  timeoutMs,
)

test(
  'alone, it answers 503 with its code, and serves again when there is room',
  async () => {
    const waiting: Socket[] = []
    const origin = await startRawOrigin((_request, socket) => void waiting.push(socket))
    const processes = await createLayerProcesses(origin.port)
    const outer = await processes.startOuter()
    await processes.startInner('small', [outer], { openFiles: 96 })
    const COUNT = 150
    let refused = 0
    const all = Promise.all(
      Array.from({ length: COUNT }, async () => {
        const { status } = await exchange(outer.port, {})
        if (status === 503) refused++
        return status
      }),
    )
    await until(() => refused + waiting.length === COUNT)
    expect(refused).toBeGreaterThan(0)
    for (const socket of waiting) socket.write(rawResponse(200, 'ok'))
    expect([...new Set(await all)].sort()).toEqual([200, 503])
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    expect((await exchange(outer.port, {})).status).toBe(200)
  },
  timeoutMs,
)

test('the outer layer says at the start that it may not take as many connections as it is told to', async () => {
  const origin = await startRawOrigin()
  const processes = await createLayerProcesses(origin.port)
  const outer = await processes.startOuter({ openFiles: 200, args: ['--max-connections', '500'] })
  await outer.process.waitForLine(/this process may open 200 files and sockets, fewer than it may need: --max-connections is 500/)
})

test('limits are read as the kernel writes them', () => {
  const text =
    'Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 1048576              files     \n'
  expect(openFilesOf(text)).toBe(1_024)
  expect(openFilesOf(text.replace('1024', 'unlimited'))).toBeUndefined()
  expect(openFilesOf('')).toBeUndefined()
})
