/** Three nodes as processes, asked at the admin port of one: it shows what all of them have, and says who does not answer. */
import { describe, expect } from '@jest/globals'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeStatus, OuterStatus } from '../../src/admin/status.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { run } from '../cli/context.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { createLayerProcesses, type OuterProcess } from '../support/layer-processes.ts'
import { testWith } from '../support/needs.ts'
import { rawResponse, startRawOrigin } from '../support/raw-origin.ts'
import { REDIS_PROGRAMS, startRedisServer } from '../support/redis.ts'
import { until } from '../support/wait.ts'

interface Node extends OuterProcess {
  readonly admin: string
}

interface Listed {
  readonly items: readonly { readonly id: string; readonly node: string; readonly path: string; readonly isOver: boolean }[]
  readonly next: string | null
  readonly missing: readonly string[]
}

const get = async <Answer>(node: Node, path: string): Promise<Answer> => {
  const answer = await fetch(`${node.admin}/${path}`)
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as Answer
}

const post = (node: Node, path: string, body: object, method = 'POST'): Promise<Response> =>
  fetch(`${node.admin}/${path}`, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

/** The lines of a stream of the inspector, as they come. */
const follow = async (node: Node): Promise<readonly Readonly<Record<string, unknown>>[]> => {
  const controller = new AbortController()
  onCleanUp(() => controller.abort())
  const answer = await fetch(`${node.admin}/inspector/requests/stream`, { signal: controller.signal })
  const lines: Readonly<Record<string, unknown>>[] = []
  const read = async (): Promise<void> => {
    let rest = ''
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      const all = (rest + chunk).split('\n')
      rest = all.pop()!
      for (const line of all) if (line !== '') lines.push(JSON.parse(line) as Readonly<Record<string, unknown>>)
    }
  }
  read().catch(() => undefined) // aborted at the end
  return lines
}

describe('the admin port of one of three nodes', () => {
  testWith(
    REDIS_PROGRAMS,
    'shows status, events, inner layers and requests of all, acts on all, and names who does not answer',
    async () => {
      const origin = await startRawOrigin(async (request, socket) => {
        await request.complete
        socket.write(rawResponse(200, `at ${request.target}`))
      })
      const layers = await createLayerProcesses(origin.port)
      const target = `{protocol: http, hostname: 127.0.0.1, port: ${origin.port}, inspect: true}`
      writeFileSync(join(layers.directory, 'targets.yaml'), `targets:\n  any.test: ${target}\n`)
      const { privateKeyPem } = await mintKeyPair({ type: 'ec', commonName: 'cluster', validityYears: 1 })
      const key = join(layers.directory, 'node.key')
      writeFileSync(key, privateKeyPem, { mode: 0o600 })
      const redis = await startRedisServer()
      const start = async (name: string): Promise<Node> => {
        const cluster = ['--cluster', `redis://127.0.0.1:${redis.port}`, '--node-key', key, '--node-name', name]
        const node = await layers.startOuter({ args: [...cluster, '--admin-port', '0', '--inspect'] })
        const [, port] = await node.process.waitForLine(/"adminPort":(\d+)/)
        return { ...node, admin: `http://127.0.0.1:${port}` }
      }
      const nodes = await Promise.all(['a', 'b', 'c'].map(start))
      const [a, b, c] = nodes as [Node, Node, Node]
      for (const { process } of nodes)
        await until(() => (process.output.match(/linked to the node/g) ?? []).length >= 2, { what: 'the links' })
      await layers.startInner('lan', [a])
      for (const [i, node] of nodes.entries())
        await until(async () => (await exchange(node.port, { host: 'any.test', path: `/first/${i}` })).status === 200, {
          what: `node ${i} to serve`,
        })
      await exchange(b.port, { host: 'unknown.test' })
      await exchange(c.port, { host: 'unknown.test' })

      // --- status
      const status = await until(
        async () => {
          const found = await get<OuterStatus>(c, 'api/cluster/status')
          const isWhole = found.nodes!.every(({ answers }) => answers)
          return isWhole && found.unknownHosts.length > 0 && found.unknownHosts[0]!.count >= 2 ? found : undefined
        },
        { what: 'the hosts that were asked for, at nodes that all answer' },
      )
      expect(status.nodes!.map(({ name, answers, ready }) => [name, answers, ready])).toEqual(
        ['a', 'b', 'c'].map(name => [name, true, true]),
      )
      expect(status.innerLayers.map(({ identifier, node }) => [identifier, node])).toEqual(Array(2).fill(['lan', 'a']))
      expect(status.unknownHosts[0]).toMatchObject({ host: 'unknown.test', nodes: ['b', 'c'] })
      expect(status.targets[0]).toMatchObject({ host: 'any.test', nodes: ['a', 'b', 'c'] })
      const own = await Promise.all(nodes.map(node => get<OuterStatus>(node, 'status')))
      expect(status.targets[0]!.requests).toBe(own.reduce((sum, { targets }) => sum + targets[0]!.requests, 0))
      expect(own.every(({ nodes: all }) => all === undefined)).toBe(true)

      // --- events
      await until(
        async () => {
          const path = 'api/cluster/events?limit=100&name=inner-layer.*'
          const { items } = await get<{ readonly items: readonly { readonly node: string; readonly name: string }[] }>(b, path)
          return items.some(({ node, name }) => node === 'a' && name === 'inner-layer.connected')
        },
        { what: 'the event of another node' },
      )
      expect(await post(b, 'api/cluster/events', {})).toMatchObject({ status: 404 })
      expect((await fetch(`${b.admin}/api/cluster/events?live=true`)).status).toBe(400)

      // --- inspector
      /** An answer to which all nodes have added theirs: on a busy machine one may be late. */
      const ofAll = <Answer extends { readonly missing: readonly string[] }>(node: Node, path: string): Promise<Answer> =>
        until(
          async () => {
            const found = await get<Answer>(node, path)
            return found.missing.length === 0 ? found : undefined
          },
          { what: `${path} without a node that is missing` },
        )
      const list = (node: Node, query = ''): Promise<Listed> => ofAll(node, `inspector/requests?${query}`)
      const all = await until(
        async () => {
          const found = await list(c, 'filter=path:/first')
          return new Set(found.items.map(({ node }) => node)).size === 3 ? found : undefined
        },
        { what: 'requests of all nodes' },
      )
      expect(all.missing).toEqual([])
      expect(all.items.map(({ id }) => id)).toEqual([...new Set(all.items.map(({ id }) => id))].sort().reverse())
      expect((await list(a, 'filter=path:/first')).items).toEqual(all.items)
      const page = await list(a, 'filter=path:/first&limit=2')
      expect([page.items, page.next]).toEqual([all.items.slice(0, 2), all.items[1]!.id])
      expect((await list(a, `filter=path:/first&limit=1000&cursor=${page.next}`)).items).toEqual(all.items.slice(2))
      expect((await fetch(`${c.admin}/inspector/requests?filter=duration:x`)).status).toBe(400)
      expect(await ofAll(c, 'inspector/state')).toMatchObject({ layer: 'outer' })
      type Har = { readonly log: { readonly entries: readonly unknown[]; readonly comment?: string } }
      const har = await until(
        async () => {
          const found = await get<Har>(c, 'inspector/har?filter=path:/first')
          return found.log.comment === undefined ? found : undefined
        },
        { what: 'a HAR of all nodes' },
      )
      expect(har.log.entries).toHaveLength(all.items.length)
      expect(har.log.comment).toBeUndefined()

      const atB = all.items.find(({ node }) => node === 'b')!
      const lines = await follow(c)
      await until(() => lines.some(({ type }) => type === 'state'), { what: 'the state at the begin' })
      // The one that has it is found by asking all, who may be late.
      const found = await until(() => get<object>(c, `inspector/requests/${atB.id}`), { what: 'a request of another node' })
      expect(found).toMatchObject({ id: atB.id, path: atB.path })
      const body = await fetch(`${c.admin}/inspector/requests/${atB.id}/response-body`)
      expect(await body.text()).toBe(`at ${atB.path}`)
      const replayed = await post(c, `inspector/requests/${atB.id}/replay`, { path: '/again' })
      const { results } = (await replayed.json()) as { readonly results: readonly { readonly id: string; readonly status: number }[] }
      expect(results).toMatchObject([{ status: 200 }])
      await until(
        () =>
          lines.some(({ type, request }) => {
            const { id, node, isOver } = (request ?? {}) as Listed['items'][number]
            return type === 'request' && id === results[0]!.id && node === 'b' && isOver
          }),
        { what: 'the replay in the list that is followed' },
      )
      expect((await list(a, 'filter=path:/again')).items.map(({ id, node }) => [id, node])).toEqual([[results[0]!.id, 'b']])
      expect((await fetch(`${c.admin}/inspector/requests/000000000`)).status).toBe(404)
      const foreign = await fetch(`${c.admin}/inspector/requests/${atB.id}`, { method: 'DELETE', headers: { origin: 'https://evil.test' } })
      expect(foreign.status).toBe(403)
      expect((await post(c, `inspector/requests/${atB.id}`, {}, 'DELETE')).status).toBe(204)
      expect((await list(b)).items.some(({ id }) => id === atB.id)).toBe(false)

      // --- what an operator does reaches the node that it concerns
      const drained = await post(c, 'api/cluster/inner-layers/lan/drain', {})
      expect(await drained.json()).toEqual({ links: 2 })
      expect((await post(c, 'api/cluster/inner-layers/nobody/drain', {})).status).toBe(404)
      const shown = await run(['cluster', 'status', '--admin', c.admin])
      expect(shown).toMatchObject({ status: 0, stdout: expect.stringMatching(/^a .*linked/m) })

      // --- a node that stands still: with Redis away it stays one of those that the others know
      redis.process.child.kill('SIGKILL')
      await redis.process.exit
      await c.process.waitForLine(/does not answer/)
      b.process.child.kill('SIGSTOP')
      onCleanUp(() => b.process.child.kill('SIGCONT'))
      const silent = await until(
        async () => {
          const { nodes: found } = await get<{ readonly nodes: readonly NodeStatus[] }>(c, 'api/cluster/status')
          return found.find(({ answers }) => !answers)
        },
        { what: 'the node that stands still to be missing' },
      )
      expect(silent).toMatchObject({ name: 'b', ready: null, innerLayers: null })
      const { items, missing } = await until(
        async () => {
          const found = await get<Listed>(c, 'inspector/requests?')
          return String(found.missing) === 'b' ? found : undefined
        },
        { what: 'a list without the node that stands still, and no other' },
      )
      expect(missing).toEqual(['b'])
      expect(items.some(({ node }) => node === 'a')).toBe(true)
      const still = await run(['cluster', 'status', '--admin', c.admin])
      expect(still).toMatchObject({
        status: 1,
        stdout: expect.stringMatching(/^b: (?:it has not answered within 1\.5 s|the link to it was lost)/m),
      })
      await until(() => lines.some(({ type, missing: names }) => type === 'nodes' && String(names) === 'b'), {
        what: 'whoever follows to be told',
      })
    },
  )
})
