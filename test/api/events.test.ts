/** Events of accounts over HTTP: the list, the stream, and the client of both. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { ServiceClient } from '../../src/client/service-client.ts'
import { startApi, type RunningApi } from '../support/api.ts'
import { until } from '../support/wait.ts'

describe('/api/v1/events', () => {
  let api: RunningApi
  let client: ServiceClient
  beforeAll(async () => {
    api = await startApi()
    client = new ServiceClient({ server: new URL(api.url), env: {}, token: () => api.tokens.ada })
  })
  const newTunnel = async (): Promise<string> => {
    const socket = await client.createSocket({ name: 'shop' })
    const tunnel = await client.createTunnel(socket.id)
    await api.given.service.tunnels.connected(tunnel.id, '203.0.113.7')
    return tunnel.id
  }

  test('gives what happened, by the client as well', async () => {
    const tunnel = await newTunnel()
    await until(async () => (await client.events()).items.some(({ subject }) => subject === tunnel))
    const { status, json } = await api.v1('GET', '/events?limit=1&name=tunnel.*')
    expect(status).toBe(200)
    expect(json).toMatchObject({
      items: [{ name: 'tunnel.connected', severity: 'info', subject: tunnel, account: api.ids.ada, count: 1, since: null }],
    })
    expect((await api.v1('GET', '/events', { token: 'bob' })).json).toEqual({ items: [], next: null })
    expect((await api.v1('GET', '/events?all=true', { token: 'bob' })).status).toBe(404)
    expect((await api.v1('GET', '/events?all=true', { token: 'root' })).status).toBe(200)
    for (const bad of ['after=x', 'limit=0', 'name=no', 'severity=bad', 'odd=1'])
      expect((await api.v1('GET', `/events?${bad}`)).status).toBe(400)
  })

  test('gives them as they happen, from a place on, until the reader leaves', async () => {
    const { items } = await client.events({ limit: 1 })
    const leave = new AbortController()
    const seen: string[] = []
    const reading = (async () => {
      for await (const { subject } of client.liveEvents({ after: items[0]?.id ?? '0' }, leave.signal)) seen.push(subject)
    })()
    const [first, second] = [await newTunnel(), await newTunnel()]
    await until(() => seen.length === 2)
    expect(seen).toEqual([first, second])
    leave.abort()
    await reading
  })
})
