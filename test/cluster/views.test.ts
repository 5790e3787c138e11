/** Three nodes as processes with one service: whoever looks at one node sees what came in at all of them. */
import { createServer } from 'node:http'
import { beforeAll, describe, expect } from '@jest/globals'
import { begin } from '../cli/context.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { testWith } from '../support/needs.ts'
import { listen } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { SERVICE_NODES_PROGRAMS, startServiceNodes, type ServiceNode, type ServiceNodes } from '../support/service-nodes.ts'
import { until } from '../support/wait.ts'

let originPort: number
let cluster: ServiceNodes | undefined

/** The nodes of this file, started once. */
const nodesOf = async (): Promise<readonly [ServiceNode, ServiceNode, ServiceNode]> => {
  cluster ??= await startServiceNodes(['a', 'b', 'c'], { more: 'inspect: true\n' })
  return cluster.nodes as unknown as readonly [ServiceNode, ServiceNode, ServiceNode]
}

/** Resolves when the socket is served at a node. */
const served = (node: ServiceNode, host: string): Promise<unknown> =>
  until(async () => (await exchange(node.appPort, { host })).status === 200, { what: `${host} to be served` })

interface Seen {
  readonly id: string
  readonly path: string
  readonly isOver: boolean
}

const linesIn = <Line>(text: string): readonly Line[] =>
  text
    .split('\n')
    .filter(line => line.startsWith('{') && line.endsWith('}'))
    .map(line => JSON.parse(line) as Line)

beforeAll(async () => {
  const origin = createServer((request, response) => response.end(`hello ${request.url}`))
  originPort = await listen(origin)
  onCleanUp(() => (origin.close(), origin.closeAllConnections()))
})

describe('three nodes with one service', () => {
  testWith(SERVICE_NODES_PROGRAMS, 'connect shows visitors of every node, and logs at another node too', async () => {
    const [a, b, c] = await nodesOf()
    const connect = startProcess(['connect', String(originPort), '--name', 'web'], { env: a.env })
    const [, host = ''] = await connect.waitForLine(/http:\/\/(\S+\.localhost):\d+ → \S+ {3}connected, \d+ ms/)
    for (const node of [a, b, c]) await served(node, host)
    const logs = startProcess(['logs', 'web', '--json'], { env: c.env })
    await logs.waitForLine(/requests to .* from now on/)
    // Asked for until it is seen: who watches is known a moment after the command has begun.
    for (const [name, node] of [
      ['a', a],
      ['b', b],
      ['c', c],
    ] as const) {
      const path = `/at-${name}`
      const isSeen = (text: string): boolean => text.includes(`GET ${path} HTTP/1.1`)
      await until(
        async () => {
          await exchange(node.appPort, { host, path })
          return isSeen(connect.stdout) && isSeen(logs.stdout)
        },
        { what: `a visitor at node ${name} to be shown` },
      )
    }
    expect(logs.stderr).not.toContain('does not answer')
    // Each visitor is one line, whoever else looks on.
    await exchange(b.appPort, { host, path: '/once' })
    await exchange(b.appPort, { host, path: '/last' })
    await Promise.all([connect.waitForLine(/GET \/last HTTP/), logs.waitForLine(/GET \/last HTTP/)])
    for (const text of [connect.stdout, logs.stdout]) expect(text.split('GET /once HTTP/1.1')).toHaveLength(2)
    expect(await connect.stop('SIGINT')).toEqual({ code: 0, signal: null })
  })

  testWith(SERVICE_NODES_PROGRAMS, 'an owner finds, follows, reads, exports and sends again what came in at any node', async () => {
    const [a, b, c] = await nodesOf()
    const made = await a.cli('socket', 'create', '--name', 'kept')
    const [, id = '', , host = ''] = made.stdout.split('\n')[3]!.split(/\s+/)
    expect(await a.cli('socket', 'update', id, '--inspect', 'yes')).toMatchObject({ status: 0 })
    const tunnel = startProcess(['tunnel', 'connect', '--socket_id', id, '--port', String(originPort)], { env: a.env })
    await tunnel.waitForLine(/connected, \d+ ms/)
    for (const node of [a, b, c]) await served(node, host)

    const list = async (node: ServiceNode): Promise<readonly Seen[]> =>
      linesIn<Seen>((await node.cli('requests', '--socket', 'kept', '--json', '--filter', 'path:/find')).stdout)
    // The directory may be at one node a moment later than at another.
    for (const node of [a, b, c])
      await until(
        async () => {
          await exchange(node.appPort, { host, path: `/find/${node.adminPort}` })
          return (await list(c)).some(({ path }) => path === `/find/${node.adminPort}`)
        },
        { what: 'a request of that node in the list' },
      )
    const ids = (of: readonly Seen[]): readonly string[] => of.map(each => each.id)
    const all = await list(c)
    expect(ids(all)).toEqual([...new Set(ids(all))].sort())
    expect(ids(await list(a))).toEqual(ids(all))

    const atB = all.find(({ path }) => path === `/find/${b.adminPort}`)!
    const shown = await c.cli('requests', 'show', atB.id, '--socket', 'kept')
    expect(shown).toMatchObject({ status: 0, stdout: expect.stringContaining(`hello /find/${b.adminPort}`) })
    const follow = begin(['requests', '--socket', 'kept', '--follow', '--json', '--filter', 'path:/find'], a.env)
    onCleanUp(() => follow.stop())
    await until(() => linesIn<Seen>(follow.stdout()).length >= all.length, { what: 'the list before what is followed' })
    // It is sent once, at the node that has it, and its record is found by all.
    const replayed = await c.cli('requests', 'replay', atB.id, '--socket', 'kept', '--path', '/find/again', '--json')
    const [result] = JSON.parse(replayed.stdout) as readonly { readonly id: string; readonly status: number }[]
    expect(result).toMatchObject({ status: 200 })
    await until(() => linesIn<Seen>(follow.stdout()).some(seen => seen.id === result!.id && seen.isOver), { what: 'the replay to be told' })
    expect((await list(a)).filter(({ path }) => path === '/find/again').map(each => each.id)).toEqual([result!.id])
    expect(await follow.stop()).toBe(0)

    const { stdout } = await a.cli('requests', 'har', '--socket', 'kept', '--filter', 'path:/find')
    const { log } = JSON.parse(stdout) as {
      readonly log: {
        readonly comment?: string
        readonly entries: readonly { readonly startedDateTime: string; readonly request: { readonly url: string } }[]
      }
    }
    expect(log.comment).toBeUndefined()
    expect(log.entries.map(({ request }) => new URL(request.url).pathname)).toEqual((await list(b)).map(({ path }) => path))
    expect(await c.cli('requests', 'show', '000000000', '--socket', 'kept')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('this request is not kept, or not any more'),
    })
    expect(await a.cli('socket', 'delete', id)).toMatchObject({ status: 0 })
    expect((await tunnel.exit).code).toBe(1)
  })
})
