/** `docker`: containers of an engine whose labels ask for it become sockets of the service, served by this process. */
import { createServer } from 'node:http'
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { begin, type Running } from '../cli/context.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { listen } from '../support/ports.ts'
import { startServiceEdge, type ServiceEdge } from '../support/service-edge.ts'
import { until } from '../support/wait.ts'
import { startEngine } from './engine.ts'

let edge: ServiceEdge

beforeAll(async () => {
  edge = await startServiceEdge('edge.example.com')
})

afterEach(async () => {
  for (const { id } of await edge.sockets()) await edge.api.v1('DELETE', `/sockets/${id}`)
})

const startOrigin = async (answer: string): Promise<string> => {
  const server = createServer((_request, response) => response.end(answer))
  const port = await listen(server)
  onCleanUp(() => server.close())
  return String(port)
}

const start = (engine: string): { readonly running: Running; log(): string } => {
  const running = begin(['docker', '--engine', engine], { SG_SERVER: edge.api.url, SG_API_TOKEN: edge.api.tokens.ada })
  onCleanUp(() => void running.stop())
  return { running, log: () => running.stdout() + running.stderr() }
}

const published = (log: () => string, name: string, times = 1): Promise<unknown> =>
  until(
    () =>
      log()
        .split('\n')
        .filter(line => line.includes('"published"') && line.includes(`"docker ${name}"`)).length >= times,
    {
      what: `docker ${name} to be published`,
    },
  )

const ask = async (host: string): Promise<readonly [number, string]> => {
  const { status, body } = await exchange(edge.layers.port, { host, path: '/' })
  return [status, String(body)]
}

describe('docker', () => {
  test('makes a socket for a container, follows it to another port, and keeps the name when it is gone', async () => {
    const engine = await startEngine()
    const [first, second] = [await startOrigin('one'), await startOrigin('two')]
    engine.set({ name: 'web', labels: { 'socket-gateway.expose': 'true', 'socket-gateway.port': first } })
    const { running, log } = start(engine.url)
    await published(log, 'web')
    const [socket] = await edge.sockets()
    expect(socket).toMatchObject({ name: 'docker web', type: 'http', isEphemeral: true })
    const { dnsName } = socket!
    expect(await ask(dnsName)).toEqual([200, 'one'])

    engine.set({ name: 'web', labels: { 'socket-gateway.expose': 'true', 'socket-gateway.port': second } })
    await published(log, 'web', 2)
    expect(await ask(dnsName)).toEqual([200, 'two'])

    engine.set()
    await until(async () => (await ask(dnsName))[0] === 502)
    expect((await edge.sockets()).map(({ id }) => id)).toEqual([socket!.id])

    engine.set({ name: 'web', labels: { 'socket-gateway.expose': 'true', 'socket-gateway.port': first } })
    await published(log, 'web', 3)
    expect(await ask(dnsName)).toEqual([200, 'one'])
    // The tunnel that nobody serves is used again.
    expect((await edge.sockets())[0]!.tunnels).toHaveLength(1)
    expect(await running.stop()).toBe(0)
    expect(await edge.sockets()).toHaveLength(1)
  })

  test('shares the load with the container of the same name on another machine', async () => {
    const engines = [await startEngine(), await startEngine()]
    for (const [i, engine] of engines.entries())
      engine.set({ name: 'app', labels: { 'socket-gateway.expose': 'true', 'socket-gateway.port': await startOrigin(String(i)) } })
    const first = start(engines[0]!.url)
    await published(first.log, 'app')
    const second = start(engines[1]!.url)
    await published(second.log, 'app')
    const [socket, none] = await edge.sockets()
    expect(none).toBeUndefined()
    expect(socket!.tunnels).toHaveLength(2)
    await until(async () => {
      const answers = new Set<string>()
      for (let i = 0; i < 10; i++) answers.add((await ask(socket!.dnsName))[1])
      return answers.size === 2
    })
    expect(first.log() + second.log()).not.toContain('TAKEN_OVER')
  })

  test('is never open by mistake: what a socket cannot have keeps it from being there', async () => {
    const engine = await startEngine()
    const port = await startOrigin('open')
    const labels = (more: Readonly<Record<string, string>>) => ({ 'socket-gateway.expose': 'true', 'socket-gateway.port': port, ...more })
    engine.set(
      { name: 'policy', labels: labels({ 'socket-gateway.policy': "{ '/a': [GET] }" }) },
      { name: 'tokens', labels: labels({ 'socket-gateway.access': '{ tokens: true }' }) },
      { name: 'nobody', labels: labels({ 'socket-gateway.access': '{ login: {} }' }) },
      { name: 'people', labels: labels({ 'socket-gateway.access': '{ login: { emails: [ada@example.com] } }' }) },
    )
    const { log } = start(engine.url)
    await published(log, 'people')
    await until(() => ['policy', 'tokens', 'nobody'].every(name => log().includes(`"docker ${name}"`)))
    const [socket, none] = await edge.sockets()
    expect(none).toBeUndefined()
    expect(socket).toMatchObject({ name: 'docker people', visitors: { emails: ['ada@example.com'], domains: [] } })
    // The people may change: those of the label count.
    engine.set({ name: 'people', labels: labels({ 'socket-gateway.access': '{ login: { domains: [example.org] } }' }) })
    await published(log, 'people', 2)
    expect((await edge.sockets())[0]).toMatchObject({ visitors: { emails: [], domains: ['example.org'] } })
  })
})
