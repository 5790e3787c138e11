/** The memory by minute, and the calls that change something. */
import { request } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { explainCall } from '../../src/cli/run/outer-layer.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { MAX_MINUTES, MinuteLog, percentile, type Minutes, type Reading } from '../../src/admin/minutes.ts'
import { ask, basic, type AdminAnswer } from '../support/admin.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const post = (port: number, path: string, headers: Readonly<Record<string, string>>, body = '{}'): Promise<AdminAnswer> =>
  new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text })).on('error', reject)
    })
      .on('error', reject)
      .end(body)
  })
const JSON_TYPE = { 'content-type': 'application/json' }

describe('a log of minutes', () => {
  const logOf = (readings: readonly Reading[]): { log: MinuteLog; later: () => number } => {
    let at = 0
    const log = new MinuteLog(
      () => readings[Math.min(at, readings.length - 1)]!,
      () => at * 60_000,
      silentLog,
    )
    return { log, later: () => (at += 1) }
  }

  test('has what was counted in each minute, and how much it was at its end', () => {
    const { log, later } = logOf([
      { counters: { requests: 5 }, gauges: { links: 1 } },
      { counters: { requests: 65 }, gauges: { links: 2 } },
      { counters: { requests: 70 }, gauges: { links: 3 } },
    ])
    later()
    log.close()
    later()
    expect(log.latest(10)).toEqual({ at: [0, 60], seconds: [60, 60], series: { requests: [60, 5], links: [2, 3] } })
    expect(log.latest(1).at).toEqual([60])
  })

  test('counts from nothing when a target takes its sums with it, and holds a day', () => {
    const { log, later } = logOf([
      { counters: { requests: 9 }, gauges: {} },
      { counters: { requests: 2 }, gauges: {} },
    ])
    later()
    for (let i = 0; i < MAX_MINUTES + 5; i++) log.close()
    const { at, series } = log.latest(MAX_MINUTES + 5)
    expect([at.length, Math.min(...series['requests']!.map(Number))]).toEqual([MAX_MINUTES + 1, 0])
  })

  test('tells of times what a histogram can tell', () => {
    const bounds = [10, 100]
    expect(percentile(bounds, new Float64Array([0, 0, 0]), 0.5)).toBeNull()
    expect(percentile(bounds, new Float64Array([10, 0, 0]), 0.5)).toBe(5)
    expect(percentile(bounds, new Float64Array([90, 10, 0]), 0.95)).toBe(55)
    expect(percentile(bounds, new Float64Array([0, 0, 3]), 0.99)).toBe(100)
  })
})

describe('the calls of the admin port', () => {
  test('give the minutes of the requests that there were', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, outer: { admin: { port: 0 } }, inner: { admin: { port: 0 } } })
    await exchange(layers.port)
    const sumOf = async (port: number, name: string): Promise<number> => {
      const { series } = JSON.parse((await ask(port, '/api/minutes?last=5')).text) as Minutes
      return series[name]!.reduce<number>((sum, value) => sum + (value ?? 0), 0)
    }
    await until(async () => (await sumOf(layers.outer.adminPort, 'requests')) === 1)
    await until(async () => (await sumOf(layers.inner.adminPort, 'streams')) === 1)
    for (const last of ['0', '1441', 'x', '1.5'])
      expect(await ask(layers.outer.adminPort, `/api/minutes?last=${last}`)).toMatchObject({
        status: 400,
        text: expect.stringContaining('"INVALID"'),
      })
    expect(await ask(layers.outer.adminPort, '/api/nothing')).toMatchObject({ status: 404, text: expect.stringContaining('"NOT_FOUND"') })
  })

  test('explain a request without sending it, whatever is asked', async () => {
    const targets = 'targets:\n  a.test:\n    protocol: http\n    hostname: 127.0.0.1\n    port: 9\n    policy:\n      /pub: [GET]\n'
    const calls = [explainCall({ table: parseTargets(targets, 'targets.yaml') })]
    const layers = await startLayers({ targets, outer: { admin: { port: 0, calls } } })
    const explain = async (query: string): Promise<Record<string, unknown>> => {
      const { status, text } = await ask(layers.outer.adminPort, `/api/explain?${query}`)
      return { status, ...(JSON.parse(text) as object) }
    }
    expect(await explain(`url=${encodeURIComponent('http://a.test/x/../pub?q=1')}`)).toMatchObject({
      status: 200,
      verdict: 'allowed',
      method: 'GET',
      path: '/pub',
      target: { name: 'a.test', line: 2 },
      rule: { pattern: '/pub', line: 7 },
      originUrl: 'http://127.0.0.1:9/pub?q=1',
    })
    for (const [query, code] of [
      ['method=POST&url=a.test/pub', 'POLICY_REFUSED'],
      ['url=b.test/', 'UNKNOWN_HOST'],
      ['url=ftp://a.test/', 'BAD_TARGET'],
      ['method=TRACE&url=a.test/pub', 'METHOD_REFUSED'],
    ] as const)
      expect([query, await explain(query)]).toMatchObject([query, { status: 200, verdict: 'refused', code }])
    for (const query of ['', 'url=', 'url=%zz&method=%ff', `url=a.test/${'x'.repeat(10_000)}`])
      expect([query, await explain(query)]).toMatchObject([query, { status: 200, verdict: 'refused' }])
    expect(layers.accessLog).toEqual([])
  })

  test('change nothing for pages of other origins, whatever the browser sends along', async () => {
    const password = 'correct horse battery staple'
    const layers = await startLayers({ outer: { admin: { port: 0, password } } })
    const port = layers.outer.adminPort
    const path = '/api/inner-layers/inner-layer/disconnect'
    const host = `127.0.0.1:${port}`
    const [before] = layers.outer.registry.connections
    for (const [status, headers] of [
      [401, JSON_TYPE],
      [415, basic(password)],
      [415, { ...basic(password), 'content-type': 'text/plain' }],
      [415, { ...basic(password), 'content-type': 'application/x-www-form-urlencoded' }],
      [403, { ...basic(password), ...JSON_TYPE, origin: 'http://evil.example' }],
      [403, { ...basic(password), ...JSON_TYPE, origin: 'null' }],
      [403, { ...basic(password), ...JSON_TYPE, origin: `http://127.0.0.1:${port + 1}` }],
      [403, { ...basic(password), ...JSON_TYPE, 'sec-fetch-site': 'same-site' }],
      [403, { ...basic(password), ...JSON_TYPE, 'sec-fetch-site': 'cross-site' }],
    ] as const)
      expect([headers, (await post(port, path, { host, ...headers })).status]).toEqual([headers, status])
    expect(layers.outer.registry.connections).toEqual([before])
    const good = { host, ...basic(password), ...JSON_TYPE, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }
    expect(await post(port, path, good)).toMatchObject({ status: 200, text: '{"links":1}' })
    expect(await post(port, '/api/inner-layers/nobody/drain', good)).toMatchObject({ status: 404 })
    expect((await post(port, path, good, '{')).status).toBe(400)
  })
})
