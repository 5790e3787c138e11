import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import { InspectorApi } from '../../src/inspector/api/inspector-api.ts'
import { InspectorPort } from '../../src/inspector/port/inspector-port.ts'
import { EdgeReplayer } from '../../src/inspector/replay/edge-replayer.ts'
import { OriginReplayer } from '../../src/inspector/replay/origin-replayer.ts'
import type { ReplayResult } from '../../src/inspector/replay/replay.ts'
import { newest, testInspector } from '../inspector/support.ts'
import { cleanUp, onCleanUp } from '../support/cleanup.ts'
import { startLayers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { once, until } from '../support/wait.ts'

afterEach(cleanUp)

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

async function originOf(
  seen: Seen[],
  answer: (response: ServerResponse, body: string) => void = response => response.end('ok'),
): Promise<number> {
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (piece: Buffer) => (body += piece.toString()))
    request.on('end', () => {
      seen.push({ method: request.method!, url: request.url!, headers: request.headers, body })
      answer(response, body)
    })
  })
  onCleanUp(() => {
    server.closeAllConnections()
    server.close()
  })
  return listen(server)
}

/** Both layers, and the inspector of one of them at a port of its own. */
async function look(layer: 'inner' | 'outer', seen: Seen[], more = '', answer?: Parameters<typeof originOf>[1]) {
  const { inspector, faults } = testInspector({ clock: () => performance.now(), nowMs: Date.now, layer })
  const targets = `targets:\n  "localhost": {protocol: http, hostname: 127.0.0.1, port: {port}, inspect: true${more}}\n`
  const taps = { taps: inspector }
  const layers = await startLayers({
    origin: await originOf(seen, answer),
    targets,
    ...(layer === 'inner' ? { inner: taps } : { outer: taps }),
  })
  const replayer =
    layer === 'inner'
      ? new OriginReplayer(layers.inner.drivers, inspector, () => performance.now())
      : new EdgeReplayer(layers.outer.replay, inspector)
  const onFault = (thrown: unknown): void => void faults.push(thrown)
  const port = new InspectorPort({ host: '127.0.0.1', port: 0 }, new InspectorApi({ inspector, replayer, onFault }), onFault)
  const number = await port.start()
  onCleanUp(async () => {
    await port.close()
    expect(faults).toEqual([])
  })
  const base = `http://127.0.0.1:${number}/inspector`
  const replay = async (id: string, edits: object): Promise<{ results: ReplayResult[] }> => {
    const answer = await fetch(`${base}/requests/${id}/replay`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(edits),
    })
    return (await answer.json()) as { results: ReplayResult[] }
  }
  return { layers, inspector, number, base, replay, url: `http://localhost:${layers.port}` }
}

const WEBHOOK = {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'stripe-signature': 't=1,v1=abc' },
  body: '{"type":"charge","amount": 7}',
}

describe.each(['inner', 'outer'] as const)('the inspector of the %s layer', layer => {
  test('sends a webhook again, byte for byte', async () => {
    const seen: Seen[] = []
    const { inspector, replay, url } = await look(layer, seen)
    await fetch(`${url}/hook?x=1`, WEBHOOK)
    const { id } = await newest(inspector)
    const { results } = await replay(id, { times: 3, concurrency: 2 })
    expect(results.map(({ status, error }) => [status, error])).toEqual([1, 2, 3].map(() => [200, null]))
    expect(seen).toHaveLength(4)
    for (const { method, url: path, headers, body } of seen) {
      expect([method, path, body]).toEqual(['POST', '/hook?x=1', WEBHOOK.body])
      expect(headers['stripe-signature']).toBe('t=1,v1=abc')
      expect(headers['content-length']).toBe(String(WEBHOOK.body.length))
    }
    const again = inspector.get(results[0]!.id!)!
    expect(again.summary).toMatchObject({ replayOf: id, status: 200, path: '/hook?x=1' })
  })

  test('sends it edited', async () => {
    const seen: Seen[] = []
    const { inspector, replay, url } = await look(layer, seen)
    await fetch(`${url}/hook`, WEBHOOK)
    const { id } = await newest(inspector)
    await replay(id, { method: 'PUT', path: '/other?y=2', setFields: { 'Stripe-Signature': null, 'X-New': 'yes' }, body: 'changed' })
    expect(seen[1]).toMatchObject({ method: 'PUT', url: '/other?y=2', body: 'changed' })
    expect(seen[1]!.headers['x-new']).toBe('yes')
    expect(seen[1]!.headers['stripe-signature']).toBeUndefined()
  })

  test('gives up what is under way when whoever wanted it has left, and refuses more than four', async () => {
    const seen: Seen[] = []
    const held: ServerResponse[] = []
    let closed = 0
    const { inspector, replay, url, base } = await look(layer, seen, '', response => {
      if (seen.length === 1) response.end('ok')
      else held.push(response.on('close', () => closed++))
    })
    await fetch(`${url}/hook`, WEBHOOK)
    const { id } = await newest(inspector)
    const leaving = new AbortController()
    const asked = [1, 2, 3, 4].map(() =>
      fetch(`${base}/requests/${id}/replay`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"times":5}',
        signal: leaving.signal,
      }).catch((error: unknown) => (error as Error).name),
    )
    await until(() => held.length === 4, { what: 'four of them' })
    expect(await replay(id, {})).toMatchObject({ error: { code: 'OVERLOADED' } })
    leaving.abort()
    expect(await Promise.all(asked)).toEqual(asked.map(() => 'AbortError'))
    await until(() => closed === 4 && [...inspector.newestFirst()].every(({ isSettled }) => isSettled), { what: 'the origin to be left' })
    expect([...inspector.newestFirst()].map(({ summary }) => summary.error)).toEqual([...held.map(() => 'CANCELLED'), null])
    const after = replay(id, {})
    await until(() => held.length === 5, { what: 'the next one' })
    held[4]!.end('ok')
    expect((await after).results).toMatchObject([{ status: 200, error: null }])
  })

  test('wants to be given what was redacted', async () => {
    const seen: Seen[] = []
    const { inspector, replay, url } = await look(layer, seen)
    await fetch(`${url}/x?token=hidden`, { headers: { authorization: 'Bearer hidden' } })
    const { id } = await newest(inspector)
    expect(await replay(id, {})).toMatchObject({ error: { code: 'CONFLICT' }, missing: ['request query', 'request field authorization'] })
    expect(seen).toHaveLength(1)
    await replay(id, { path: '/x?token=mine', setFields: { authorization: 'Bearer mine' } })
    expect(seen[1]).toMatchObject({ url: '/x?token=mine', headers: { authorization: 'Bearer mine' } })
    await replay(id, { allowRedacted: true })
    expect(seen[2]).toMatchObject({ url: '/x?token=***', headers: { authorization: 'Bearer ***' } })
  })

  test('refuses what it cannot read, and changes nothing for pages of others', async () => {
    const seen: Seen[] = []
    const { inspector, base, number, replay, url } = await look(layer, seen)
    await fetch(url)
    const { id } = await newest(inspector)
    for (const edits of [
      { times: 101 },
      { method: 'A B' },
      { path: 'x' },
      { path: '/a b' },
      { setFields: { 'a:b': '1' } },
      { setFields: { a: '1\r\nb: 2' } },
      { other: 1 },
      { body: 7 },
    ])
      expect(await replay(id, edits)).toMatchObject({ error: { code: 'INVALID' } })
    const post = (headers: Record<string, string>): Promise<number> =>
      fetch(`${base}/requests/${id}/replay`, { method: 'POST', headers, body: '{}' }).then(({ status }) => status)
    expect(await post({ 'content-type': 'text/plain' })).toBe(400)
    expect(await post({ 'content-type': 'application/json', origin: 'http://evil.test' })).toBe(403)
    expect(await post({ 'content-type': 'application/json', 'sec-fetch-site': 'cross-site' })).toBe(403)
    const rebound = httpRequest({
      port: number,
      host: '127.0.0.1',
      path: '/inspector/requests',
      headers: { host: `evil.test:${number}` },
    }).end()
    const [answer] = (await once(rebound, 'response')) as [IncomingMessage]
    expect(answer.resume().statusCode).toBe(421)
    expect(seen).toHaveLength(1)
  })
})

test('at the outer layer the rules of the target hold for a replay', async () => {
  const seen: Seen[] = []
  const { inspector, replay, url } = await look('outer', seen, ', policy: {"/ok": [GET]}')
  await fetch(`${url}/ok`)
  const { id } = await newest(inspector)
  expect(await replay(id, { path: '/secret' })).toMatchObject({ results: [{ status: 403, error: 'POLICY_REFUSED' }] })
  expect(seen).toHaveLength(1)
})

test('an inspector that others could reach is refused', () => {
  const { inspector } = testInspector()
  const api = new InspectorApi({ inspector, onFault: () => undefined })
  expect(() => new InspectorPort({ host: '0.0.0.0', port: 0 }, api, () => undefined)).toThrow(/others can reach/)
})
