import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { InspectorApi } from '../../src/inspector/api/inspector-api.ts'
import { Inspector } from '../../src/inspector/inspector.ts'
import type { RequestDetail } from '../../src/inspector/record.ts'
import { cleanUp, onCleanUp } from '../support/cleanup.ts'

afterEach(cleanUp)

let inspector: Inspector
let url: string

beforeEach(async () => {
  const faults: unknown[] = []
  let ms = 0
  inspector = new Inspector({
    layer: 'inner',
    budgetBytes: 1_000_000,
    bodyLimitBytes: 10_000,
    clock: () => (ms += 1),
    nowMs: () => 1_700_000_000_000 + ms,
    onFault: thrown => void faults.push(thrown),
  })
  const api = new InspectorApi({ inspector, onFault: thrown => void faults.push(thrown) })
  const server = createServer((request, response) => {
    if (!api.handle(request, response)) response.writeHead(418).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/inspector`
  onCleanUp(() => {
    api.close()
    server.closeAllConnections()
    server.close()
    expect(faults).toEqual([])
  })
})

/** Records one exchange. @returns its id */
function exchange(path: string, body = 'hello'): string {
  const fields = ['Host', 'a.test', 'Content-Type', 'text/plain']
  const tap = inspector.open({ kind: 'http', scheme: 'http', authority: 'a.test', method: 'POST', path, version: '1.1', fields })!
  tap.sent(Buffer.from(body))
  tap.sentEnd([])
  tap.head(200, 'OK', ['content-type', 'text/html', 'X-A', '1'])
  tap.received(Buffer.from('<h1>hi</h1>'))
  tap.receivedEnd([])
  tap.end({})
  return tap.id
}

const get = async <T>(path: string): Promise<T> => (await fetch(url + path)).json() as Promise<T>

describe('the API of the inspector', () => {
  test('lists in pages, newest first', async () => {
    const ids = ['/1', '/2', '/3'].map(path => exchange(path))
    const first = await get<{ items: { id: string }[]; next: string }>('/requests?limit=2')
    expect(first.items.map(({ id }) => id)).toEqual([ids[2], ids[1]])
    const second = await get<{ items: { id: string }[]; next: null }>(`/requests?limit=2&cursor=${first.next}`)
    expect(second).toMatchObject({ items: [{ id: ids[0] }], next: null })
  })

  test('shows one request with order and case of its fields', async () => {
    const id = exchange('/x?q=1')
    const detail = await get<RequestDetail>(`/requests/${id}`)
    expect(detail).toMatchObject({
      id,
      method: 'POST',
      path: '/x?q=1',
      status: 200,
      isOver: true,
      requestBytes: 5,
      responseBytes: 11,
      type: 'text/html',
    })
    expect(detail.request.fields).toEqual([
      ['Host', 'a.test'],
      ['Content-Type', 'text/plain'],
    ])
    expect(detail.response!.fields[1]).toEqual(['X-A', '1'])
  })

  test('never gives a recorded page as a page', async () => {
    const answer = await fetch(`${url}/requests/${exchange('/x')}/response-body`)
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(answer.headers.get('x-recorded-type')).toBe('text/html')
    expect(answer.headers.get('content-security-policy')).toContain('sandbox')
    expect(await answer.text()).toBe('<h1>hi</h1>')
  })

  test('forgets one, and all', async () => {
    const id = exchange('/1')
    exchange('/2')
    expect((await fetch(`${url}/requests/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await fetch(`${url}/requests/${id}`)).status).toBe(404)
    await fetch(`${url}/requests`, { method: 'DELETE' })
    expect(inspector.state).toMatchObject({ requests: 0, heldBytes: 0, seen: 2 })
  })

  test('tells of changes as they happen', async () => {
    const answer = await fetch(`${url}/requests/stream`)
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = (await reader.read()).value ?? ''
    const id = exchange('/now')
    while (!text.includes('/now')) text += (await reader.read()).value ?? ''
    inspector.clear()
    while (!text.includes('"gone"')) text += (await reader.read()).value ?? ''
    const lines = text
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as { type: string; request?: { id: string }; ids?: string[] })
    expect(lines.map(({ type }) => type)).toEqual(expect.arrayContaining(['state', 'request', 'gone']))
    expect(lines.find(({ type }) => type === 'request')!.request!.id).toBe(id)
    expect(lines.find(({ type }) => type === 'gone')!.ids).toEqual([id])
    await reader.cancel()
  })
})
