/** What nodes ask each other, by the links between them. */
import { describe, expect } from '@jest/globals'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AnswerBounds } from '../../src/peers/peer-calls.ts'
import { testWith } from '../support/needs.ts'
import { linked, startSharedNode, type SharedNode } from '../support/nodes.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { until } from '../support/wait.ts'

const json = (response: ServerResponse, status: number, value: unknown): void =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))

const startNodes = async (count: number): Promise<readonly SharedNode[]> => {
  const port = await startRedis()
  const nodes: SharedNode[] = []
  for (let i = 0; i < count; i++) nodes.push(await startSharedNode(port))
  await linked(
    nodes.map(({ layers }) => layers),
    nodes.map(() => 0),
  )
  return nodes
}

const callsOf = ({ state }: SharedNode) => state.peers.calls
const idOf = ({ layers }: SharedNode): string => layers.outer.cluster!.id

describe('calls between nodes', () => {
  testWith(REDIS_PROGRAMS, 'all are asked at once, and whoever does not answer as it should is missing, with the reason', async () => {
    const [a, b, c] = (await startNodes(3)) as [SharedNode, SharedNode, SharedNode]
    const silent: ServerResponse[] = []
    const answerer = (name: string) => (request: IncomingMessage, response: ServerResponse) => {
      const url = request.url ?? ''
      if (url === '/name') json(response, 200, { name })
      else if (url === '/refuse') json(response, 409, { error: 'CONFLICT', error_message: `not at ${name}` })
      else if (url === '/large') response.end(JSON.stringify('x'.repeat(3_000_000)))
      else if (url === '/broken') response.end('{')
      else if (url === '/silent' && name === 'c') silent.push(response)
      else if (url === '/silent') json(response, 200, { name })
      else if (url === '/throws') throw new Error('a fault of ours')
      else return false
      return true
    }
    callsOf(b).serve(answerer('b'))
    callsOf(c).serve(answerer('c'))
    const askAll = (path: string, bounds: AnswerBounds = {}) => callsOf(a).askAll({ path }, { withinMs: 60_000, ...bounds })
    const names = async (path: string): Promise<unknown> =>
      (await askAll(path)).answers.map(({ value }) => (value as { readonly name: string }).name).sort()

    expect(await names('/name')).toEqual(['b', 'c'])
    expect((await askAll('/large')).answers.map(({ value }) => String(value).length)).toEqual([3_000_000, 3_000_000])
    const why = async (path: string, bounds?: AnswerBounds): Promise<unknown> => {
      const { answers, missing } = await askAll(path, bounds)
      expect(answers).toEqual([])
      return missing.map(({ code, why: text }) => `${code} ${text}`).sort()
    }
    expect(await why('/refuse')).toEqual(['CONFLICT not at b', 'CONFLICT not at c'])
    expect(await why('/large', { maxBytes: 100_000 })).toEqual(Array(2).fill('BODY_TOO_LARGE its answer has more than 100000 bytes'))
    expect(await why('/broken')).toEqual(Array(2).fill('INTERNAL its answer could not be read'))
    expect(await why('/throws')).toEqual(Array(2).fill('REFUSED_STREAM the link to it was lost, or there is none'))
    expect(await why('/other')).toEqual(Array(2).fill('NOT_FOUND this node does not know the call, or has nothing of the kind'))
    // One that stands still costs the others nothing, and the page a moment.
    const { answers, missing } = await until(async () => {
      const asked = await callsOf(a).askAll({ path: '/silent' })
      return asked.answers.length > 0 ? asked : undefined // on a busy machine one may be late that is not silent
    })
    expect(answers.map(({ value }) => value)).toEqual([{ name: 'b' }])
    expect(missing.map(({ peer, why: text }) => [peer.id, text])).toEqual([[idOf(c), 'it has not answered within 1.5 s']])
    await until(() => silent[0]!.destroyed, { what: 'the call that was given up to be over where it was asked' })
    await expect(callsOf(a).ask('nobody', { path: '/name' })).rejects.toThrow('there is no such node any more')
  })

  testWith(REDIS_PROGRAMS, 'lines of all are followed, of those that come later too, and one that is lost is told of', async () => {
    const [a, b, c] = (await startNodes(3)) as [SharedNode, SharedNode, SharedNode]
    const readers = new Map<string, ServerResponse>()
    for (const [name, node] of [
      ['b', b],
      ['c', c],
    ] as const)
      callsOf(node).serve((request, response) => {
        if (request.url !== '/lines') return false
        response.writeHead(200).write('\n')
        readers.set(name, response)
        return true
      })
    const lines: unknown[] = []
    const turns: string[] = []
    const end = callsOf(a).follow(
      { method: 'POST', path: '/lines', body: { of: 'all' } },
      {
        line: ({ id }, value) => void lines.push([id === idOf(b) ? 'b' : 'c', value]),
        turn: ({ id }, isThere) => void turns.push(`${id === idOf(b) ? 'b' : 'c'} ${isThere}`),
      },
    )
    await until(() => readers.size === 2, { what: 'both to be asked' })
    readers.get('b')!.write('{"n":1}\n{"n"')
    readers.get('b')!.write(':2}\n')
    await until(() => lines.length === 2, { what: 'the lines' })
    expect(lines).toEqual([
      ['b', { n: 1 }],
      ['b', { n: 2 }],
    ])
    expect(turns).toEqual([])

    const first = readers.get('c')!
    readers.delete('c')
    first.destroy()
    await until(() => turns.length === 2, { what: 'the one that was cut to be asked again' })
    expect(turns).toEqual(['c false', 'c true'])
    readers.get('c')!.write('"again"\n')
    await until(() => lines.length === 3, { what: 'its line' })
    expect(lines[2]).toEqual(['c', 'again'])

    // What is no line of JSON ends that reading alone.
    readers.delete('c')
    readers.get('b')!.write('"still there"\n')
    await until(() => lines.length === 4, { what: 'the line of the other one' })
    end()
    await until(() => readers.get('b')!.destroyed, { what: 'the reading to be over at the other end' })
  })
})
