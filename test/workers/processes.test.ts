/** An outer layer of two processes, as an operator runs it, and an inner layer with a connection to each. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { OuterStatus, WorkerStatus } from '../../src/admin/status.ts'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses, type LayerProcesses, type OuterProcess } from '../support/layer-processes.ts'
import { runProcess } from '../support/process.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

describe('an outer layer of two processes', () => {
  const folder = tempDir()
  let layers: LayerProcesses
  let outer: OuterProcess
  let adminPort: number

  const admin = async (path: string): Promise<string> => (await exchange(adminPort, { path })).body.toString()
  const status = async (): Promise<OuterStatus> => JSON.parse(await admin('/status')) as OuterStatus
  const up = async (): Promise<readonly WorkerStatus[]> => ((await status()).workers ?? []).filter(({ state }) => state === 'up')
  const counted = async (): Promise<number> =>
    Number(/^socket_gateway_requests_total\{.*status="2xx"\} (\d+)$/m.exec(await admin('/metrics'))?.[1] ?? 0)
  /** Resolves when whoever is up has all that an inner layer or another worker brings. */
  const whole = async (): Promise<void> => {
    await until(async () => (await up()).length === 2 && (await status()).innerLayers.length === 2, {
      what: 'two workers and two connections',
    })
  }

  beforeAll(async () => {
    const origin = await startRawOrigin(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, request.target))
    })
    layers = await createLayerProcesses(origin.port)
    const args = ['--workers', '2', '--admin-port', '0', '--admin-host', 'localhost']
    outer = await layers.startOuter({ args, env: { TMPDIR: folder } })
    const [, port] = await outer.process.waitForLine(/"adminPort":(\d+),"msg":"2 workers are up/)
    adminPort = Number(port)
    await layers.startInner('lan', [outer])
  })

  test('is one for its clients and for its operators', async () => {
    await whole()
    for (let i = 0; i < 6; i++) expect((await exchange(outer.port, { host: 'any.test', path: `/${i}` })).body.toString()).toBe(`/${i}`)
    await until(async () => (await counted()) >= 6, { what: 'both to have told of what they have counted' })
    expect(await counted()).toBe(6)
    // A loop that stood still while it started, on a busy machine, is told for some seconds.
    const { workers, targets } = await until(async () => {
      const all = await status()
      return all.ready && all.targets.some(({ requests }) => requests >= 6) ? all : undefined
    })
    expect(workers!.map(({ number, state }) => ({ number, state }))).toEqual([
      { number: 1, state: 'up' },
      { number: 2, state: 'up' },
    ])
    expect(targets.map(({ requests }) => requests)).toEqual([6])
    const lines = outer.process.stdout.split('\n').filter(line => line !== '')
    expect(lines.map(line => (JSON.parse(line) as { readonly level: string }).level)).not.toContain('error')
    expect((await exchange(adminPort, { path: '/readyz' })).status).toBe(200)
    expect((await exchange(adminPort, { path: '/api/explain?url=http%3A%2F%2Fany.test%2F' })).status).toBe(200)
  })

  test('goes on when one of them is killed, and has another one in its place', async () => {
    await whole()
    const [first] = await up()
    const before = await counted()
    process.kill(first!.pid, 'SIGKILL')
    const ask = (path: string): Promise<number> => exchange(outer.port, { host: 'any.test', path }).then(answer => answer.status)
    for (let i = 0; i < 10; i++) {
      // What the dead one had been handed already is lost, once.
      const statuses = [await ask('/first'), await ask('/again')]
      expect(statuses).toContain(200)
    }
    await whole()
    const pids = (await up()).map(({ pid }) => pid)
    expect(pids).not.toContain(first!.pid)
    expect(await counted()).toBeGreaterThanOrEqual(before)
  })

  test('gets new processes without a request that fails', async () => {
    await whole()
    const old = (await up()).map(({ pid }) => pid)
    const before = await counted()
    let isDone = false
    const failed: number[] = []
    let asked = 0
    const asking = (async () => {
      while (!isDone) {
        const { status: answer } = await exchange(outer.port, { host: 'any.test' })
        asked++
        if (answer !== 200) failed.push(answer)
        // A load, not a wait: what is asked is how each of them goes.
        await delay(20)
      }
    })()
    const { code, stdout, stderr } = await runProcess(['upgrade', '--admin', String(adminPort)])
    isDone = true
    await asking
    expect({ code, stderr, failed }).toEqual({ code: 0, stderr: '', failed: [] })
    expect(stdout).toContain('2 of 2 workers are new')
    expect((await up()).filter(({ pid }) => old.includes(pid))).toEqual([])
    expect(asked).toBeGreaterThan(0)
    expect(await counted()).toBeGreaterThanOrEqual(before)
  })

  test('ends as one, and leaves nothing behind', async () => {
    await whole()
    expect(readdirSync(folder)).toHaveLength(1)
    expect(await outer.process.stop()).toEqual({ code: 0, signal: null })
    expect(readdirSync(folder)).toEqual([])
    expect(outer.process.stderr).toBe('')
  })
})

test('what is wrong with a file is said once, with the exit status of one process', async () => {
  const targets = tempFile('targets.yaml', 'targets: nothing\n')
  const args = ['--public-key', targets, '--targets', targets, '--app-port', '0', '--socket-port', '0', '--workers', '2']
  const [one, two] = await Promise.all([runProcess(['outer-layer', ...args.slice(0, -2)]), runProcess(['outer-layer', ...args])])
  expect({ code: two.code, stderr: two.stderr }).toEqual({ code: one.code, stderr: one.stderr })
  expect(two.stderr).not.toBe('')
})
