/** The inspector of an outer layer of several processes: one view of what all of them have recorded. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WorkerStatus } from '../../src/admin/status.ts'
import type { InspectorState, RequestSummary } from '../../src/inspector/record.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses, type OuterProcess } from '../support/layer-processes.ts'
import { listen } from '../support/ports.ts'
import { runProcess, startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

interface Page {
  readonly items: readonly RequestSummary[]
  readonly next: string | null
}

/** The worker that has recorded a request: its mark stands behind the id. */
const tagOf = ({ id }: { readonly id: string }): string => id.slice(-2)

describe('an inspector of two processes', () => {
  const store = join(tempDir(), 'kept')
  let outer: OuterProcess
  let admin: string
  let adminPort: string

  const get = async <Value>(path: string): Promise<Value> => (await (await fetch(`${admin}/inspector/${path}`)).json()) as Value
  const list = (query = ''): Promise<Page> => get<Page>(`requests?${query}`)
  const ask = async (path: string): Promise<void> => {
    expect((await exchange(outer.port, { host: 'any.test', path, method: 'POST', body: `body of ${path}` })).status).toBe(200)
  }
  /** Asks until either worker has recorded `count` of them. */
  const both = async (path: string, count = 1): Promise<readonly RequestSummary[]> => {
    const shown = async (): Promise<readonly RequestSummary[]> => (await list(`limit=1000&filter=path:${path}`)).items
    const done = (items: readonly RequestSummary[]): boolean => {
      const counts = new Map<string, number>()
      for (const item of items) counts.set(tagOf(item), (counts.get(tagOf(item)) ?? 0) + 1)
      return items.every(({ isOver }) => isOver) && counts.size === 2 && [...counts.values()].every(each => each >= count)
    }
    return until(
      async () => {
        await ask(path)
        const items = await shown()
        return done(items) ? items : undefined
      },
      { what: 'requests recorded by both workers' },
    )
  }

  beforeAll(async () => {
    const origin = createServer((request, response) => {
      let text = ''
      request.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      request.on('end', () => response.writeHead(200, { 'content-type': 'text/plain' }).end(`answer to ${text}`))
    })
    const originPort = await listen(origin)
    onCleanUp(() => (origin.closeAllConnections(), void origin.close()))
    const layers = await createLayerProcesses(originPort)
    writeFileSync(
      join(layers.directory, 'targets.yaml'),
      `targets:\n  "*": {protocol: http, hostname: 127.0.0.1, port: ${originPort}, inspect: true}\n`,
    )
    outer = await layers.startOuter({ args: ['--workers', '2', '--admin-port', '0', '--inspect', '--inspect-store', store] })
    ;[, adminPort = ''] = await outer.process.waitForLine(/"adminPort":(\d+),"msg":"2 workers are up/)
    admin = `http://127.0.0.1:${adminPort}`
    await layers.startInner('lan', [outer])
  })

  test('lists, shows and compares what any of them has recorded, with pages that fit together', async () => {
    const items = await both('/listed', 3)
    expect(items.map(({ id }) => id)).toEqual([...items.map(({ id }) => id)].sort().reverse())
    const paged: string[] = []
    for (let next: string | null = ''; next !== null;) {
      const page: Page = await list(`limit=2&filter=path:/listed${next === '' ? '' : `&cursor=${next}`}`)
      expect(page.items.length).toBeLessThanOrEqual(2)
      paged.push(...page.items.map(({ id }) => id))
      next = page.next
    }
    expect(paged).toEqual(items.map(({ id }) => id))

    for (const { id } of items) {
      expect(await get(`requests/${id}`)).toMatchObject({ id, path: '/listed', status: 200 })
      expect(await (await fetch(`${admin}/inspector/requests/${id}/response-body`)).text()).toBe('answer to body of /listed')
    }
    const [one, other] = [items[0]!, items.find(item => tagOf(item) !== tagOf(items[0]!))!]
    const compared = await get<{ readonly lines: readonly { readonly kind: string; readonly part: string }[] }>(
      `requests/${one.id}/compare/${other.id}`,
    )
    expect(compared).toMatchObject({ a: { id: one.id }, b: { id: other.id }, isCut: false })
    expect(compared.lines.filter(({ part }) => part === 'request-body')).toEqual([expect.objectContaining({ kind: 'same' })])

    const state = await get<InspectorState>('state')
    expect(state.seen).toBeGreaterThanOrEqual(items.length)
    expect(state.budgetBytes).toBe(67_108_864)
    for (const [path, status] of [
      ['requests/unknown', 404],
      ['requests?filter=%22', 400],
      ['requests?limit=0', 400],
      ['har?limit=x', 400],
      ['nothing', 404],
    ] as const)
      expect((await fetch(`${admin}/inspector/${path}`)).status).toBe(status)
    expect((await fetch(`${admin}/inspector/requests`, { method: 'DELETE', headers: { origin: 'http://evil.test' } })).status).toBe(403)
  })

  test('sends again at whoever has it, gives one HAR file and takes one', async () => {
    const items = await both('/again')
    for (const item of [items[0]!, items.find(each => tagOf(each) !== tagOf(items[0]!))!]) {
      const replayed = await fetch(`${admin}/inspector/requests/${item.id}/replay`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ body: 'another' }),
      })
      const { results } = (await replayed.json()) as { readonly results: readonly { readonly id: string; readonly status: number }[] }
      expect(results).toEqual([expect.objectContaining({ status: 200, error: null })])
      expect(await get(`requests/${results[0]!.id}`)).toMatchObject({ replayOf: item.id })
      expect(await (await fetch(`${admin}/inspector/requests/${results[0]!.id}/response-body`)).text()).toBe('answer to another')
    }
    interface Har {
      readonly log: { readonly version: string; readonly entries: readonly { readonly _socketGateway: { readonly id: string } }[] }
    }
    const idsOf = (har: Har): readonly string[] => har.log.entries.map(({ _socketGateway: { id } }) => id)
    const all = (await list('limit=1000&filter=path:/again')).items.map(({ id }) => id)
    const har = await get<Har>('har?filter=path:/again')
    expect(idsOf(har)).toEqual([...all].reverse())
    expect(idsOf(await get<Har>('har?filter=path:/again&limit=2'))).toEqual(all.slice(0, 2).reverse())
    const imported = await fetch(`${admin}/inspector/har`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(har),
    })
    const { ids } = (await imported.json()) as { readonly ids: readonly string[] }
    expect(ids).toHaveLength(all.length)
    expect(await get(`requests/${ids[0]!}`)).toMatchObject({ path: '/again' })
  })

  test('is followed by its command, whichever has recorded what comes', async () => {
    const following = startProcess(['requests', '--inspector', adminPort, '--follow', '--json', '--filter', 'path:/followed'])
    const followed = (): readonly RequestSummary[] =>
      following.stdout
        .split('\n')
        .filter(line => line.endsWith('}'))
        .map(line => JSON.parse(line) as RequestSummary)
    await until(
      async () => {
        await ask('/followed')
        return (
          new Set(
            followed()
              .filter(({ isOver }) => isOver)
              .map(tagOf),
          ).size === 2
        )
      },
      { what: 'requests of both workers in what is followed' },
    )
    expect(await following.stop('SIGINT')).toEqual({ code: 0, signal: null })
  })

  test('keeps what there is over new processes, each its own part, and forgets all of it when asked', async () => {
    const before = await both('/kept')
    // On disk before its process goes: a worker that ends writes what waits.
    const upgraded = await runProcess(['upgrade', '--admin', adminPort])
    expect(upgraded).toMatchObject({ code: 0, stderr: '' })
    const ids = before.map(({ id }) => id)
    await until(async () => (await list('limit=1000&filter=path:/kept')).items.length >= ids.length, { what: 'what the old ones had' })
    expect((await list('limit=1000&filter=path:/kept')).items.map(({ id }) => id)).toEqual(ids)
    for (const id of ids) expect(await (await fetch(`${admin}/inspector/requests/${id}/request-body`)).text()).toBe('body of /kept')
    expect(readdirSync(store)).toContain('worker-2')
    const { workers } = (await (await fetch(`${admin}/api/workers`)).json()) as { readonly workers: readonly WorkerStatus[] }
    expect(workers.map(({ state }) => state)).toEqual(['up', 'up'])
    expect((await fetch(`${admin}/inspector/requests`, { method: 'DELETE' })).status).toBe(204)
    expect((await list()).items).toEqual([])
  })
})
