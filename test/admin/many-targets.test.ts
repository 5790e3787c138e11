/** What operators see of very many targets is bounded, and says so. */
import { expect, test } from '@jest/globals'
import type { OuterStatus } from '../../src/admin/status.ts'
import { ask, parseMetrics } from '../support/admin.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'

test('the status and the metrics of 3,000 targets have 1,000 rows each, and those that are asked for are among them', async () => {
  const hosts = Array.from({ length: 3_000 }, (_, i) => `  host-${i}.test: {respond: {body: ok}}\n`)
  const layers = await startLayers({ inners: 0, targets: `targets:\n${hosts.join('')}`, outer: { admin: { port: 0 } } })
  const port = layers.outer.adminPort
  for (let i = 2_999; i > 2_994; i--) expect((await exchange(layers.port, { host: `host-${i}.test` })).status).toBe(200)
  const status = JSON.parse((await ask(port, '/status', { accept: 'application/json' })).text) as OuterStatus
  expect([status.targets.length, status.targetsOmitted]).toEqual([1_000, 2_000])
  expect(status.targets.filter(({ requests }) => requests > 0)).toHaveLength(5)
  const metrics = parseMetrics((await ask(port, '/metrics')).text)
  expect([...metrics.keys()].filter(key => key.startsWith('socket_gateway_inner_layers_avoided'))).toHaveLength(1_000)
  expect(metrics.get('socket_gateway_targets')).toBe(3_000)
})
