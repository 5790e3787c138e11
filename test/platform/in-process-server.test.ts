import { createServer } from 'node:http'
import { AllowList } from '../../src/origin/allow-list.ts'
import { SERVICE_HOST } from '../../src/directory/layered-table.ts'
import { dialerTo } from '../../src/platform/in-process-server.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'

describe('an HTTP server behind a link, without a socket', () => {
  test('answers requests of clients, whole bodies in both directions, and nothing else is reached', async () => {
    const server = createServer((incoming, response) => {
      const pieces: Buffer[] = []
      incoming.on('data', (piece: Buffer) => pieces.push(piece))
      incoming.on('end', () => response.end(Buffer.concat([Buffer.from(`${incoming.method} ${incoming.url} `), ...pieces])))
    })
    const targets = `targets:
  api.example.com: {protocol: http, hostname: ${SERVICE_HOST}, port: 80, identifier: "@service"}
  other.example.com: {protocol: http, hostname: other.invalid, port: 80, identifier: "@service"}
`
    const layers = await startLayers({
      targets,
      inner: { identifier: '@service', dialer: dialerTo(server), allowList: new AllowList([`${SERVICE_HOST}:80`, 'other.invalid:80']) },
    })
    const body = 'x'.repeat(300_000)
    const answer = await exchange(layers.port, { host: 'api.example.com', path: '/a?b', method: 'POST', body })
    expect(answer.body.toString()).toBe(`POST /a?b ${body}`)
    expect((await exchange(layers.port, { host: 'other.example.com' })).status).toBe(502)
  })
})
