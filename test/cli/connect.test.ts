/** `connect` and `tunnel connect` over a real outer layer, with the API over a service in memory that tells the data plane of sockets and keys. */
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer, connect as connectTcp } from 'node:net'
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { runCli } from '../../src/cli/run-cli.ts'
import type { DirectorySocket } from '../../src/directory/directory.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import { thumbprintOf } from '../../src/identity/key.ts'
import type { Socket } from '../../src/service/model.ts'
import { createPublicKey } from 'node:crypto'
import { startApi, type RunningApi } from '../support/api.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { changeOf } from '../support/directory.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { freePort, listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

const ZONE = 'edge.example.com'
const PORTS = { from: 1_024, to: 65_535 }

let api: RunningApi
let layers: Layers
let directory: LiveDirectory
const kids = new Map<string, string>()

const directorySocket = (socket: Socket): DirectorySocket => ({
  id: socket.id,
  accountId: socket.accountId,
  type: socket.type,
  dnsName: socket.dnsName,
  customDomains: [],
  port: socket.type === 'tcp' || socket.type === 'tls' ? socket.ports[0]! : null,
  tunnelIds: socket.tunnels.map(({ id }) => id),
  password: null,
  visitors: null,
  balance: 'least',
  limits: { requestsPerSecond: 1_000, concurrency: 1_000, maxConnections: 1_000 },
})

beforeAll(async () => {
  directory = new LiveDirectory({ zone: ZONE, ports: PORTS })
  layers = await startLayers({ targets: 'targets: {}', inners: 0, outer: { directory } })
  api = await startApi()
  const { sockets, tunnels } = api.service
  const remove = sockets.remove.bind(sockets)
  Object.assign(tunnels, {
    credentials: async (_actor: unknown, socketId: string, tunnelId: string, jwk: Record<string, string>) => {
      const socket = api.sockets.get(socketId)
      if (socket === undefined) throw new Error('no such socket')
      const kid = thumbprintOf(createPublicKey({ key: jwk, format: 'jwk' }))
      kids.set(tunnelId, kid)
      const key = { kid, jwk, tunnelId, identifiers: null, expiresAt: Date.now() + 3_600_000 }
      await directory.apply(changeOf({ sockets: [directorySocket(socket)], keys: [key] }))
      return { tunnelId, identifier: tunnelId, kid, linkUrls: [`ws://127.0.0.1:${layers.socketPort}`], expiresAt: key.expiresAt }
    },
  })
  const make = sockets.connect.bind(sockets)
  Object.assign(sockets, {
    connect: async (actor: never, { jwk, ...request }: Parameters<typeof make>[1]) => {
      const { socket: made, tunnel } = await make(actor, request)
      // A port that this machine has to give.
      const socket = made.type === 'tcp' ? { ...made, ports: [await freePort()] } : made
      api.sockets.set(socket.id, socket)
      return { socket, tunnel, credentials: await tunnels.credentials(actor, socket.id, tunnel.id, jwk ?? {}) }
    },
    remove: async (actor: never, id: string) => {
      const tunnelIds = api.sockets.get(id)?.tunnels.map(tunnel => tunnel.id) ?? []
      await remove(actor, id)
      await directory.apply(
        changeOf({ removedSockets: [id], endedTunnels: tunnelIds, removedKeys: tunnelIds.flatMap(tunnel => kids.get(tunnel) ?? []) }),
      )
    },
  })
})

interface Running {
  stdout: string
  stderr: string
  readonly exit: Promise<number>
  stop(): void
}

const running: Running[] = []

afterEach(async () => {
  for (const each of running.splice(0)) {
    each.stop()
    await each.exit
  }
  api.sockets.clear()
})

function start(...argv: readonly string[]): Running {
  let stop = (): void => undefined
  const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
  const state: Running = {
    stdout: '',
    stderr: '',
    stop: () => stop(),
    exit: runCli({
      argv,
      env: { SG_SERVER: api.url, SG_API_TOKEN: 'ada' },
      stdout: { write: text => (state.stdout += text) },
      stderr: { write: text => (state.stderr += text) },
      logDestination: { write: () => true },
      untilStopped: () => stopped,
    }),
  }
  running.push(state)
  return state
}

const connected = (each: Running, what = /connected, \d+ ms/): Promise<unknown> =>
  until(() => what.test(each.stdout), { what: `${String(what)} in ${JSON.stringify(each)}` })

const startOrigin = async (answer = 'hello'): Promise<{ readonly server: Server; readonly port: number }> => {
  const server = createHttpServer((request, response) => response.end(`${answer} ${request.headers.host}`))
  const port = await listen(server)
  onCleanUp(() => server.close())
  return { server, port }
}

const soleSocket = (): Socket => [...api.sockets.values()][0]!

describe('connect', () => {
  test('makes a socket that is served at once, shows who comes, and takes it away at the first Ctrl-C', async () => {
    const { port } = await startOrigin()
    const run = start('connect', String(port), '--name', 'my test service')
    await connected(run)
    const { dnsName } = soleSocket()
    expect(run.stdout).toMatch(
      new RegExp(
        `\\nhttps://${dnsName} → http://127\\.0\\.0\\.1:${port}   connected, \\d+ ms   \\(Ctrl-C ends it and removes the socket\\)\\n$`,
      ),
    )
    const answer = await exchange(layers.port, { host: dnsName, path: '/a?token=secret' })
    expect([answer.status, String(answer.body)]).toEqual([200, `hello ${dnsName}`])
    await until(() => run.stdout.includes('"GET /a HTTP/1.1" 200'), { what: 'the line of the request' })
    expect(run.stdout).toMatch(
      /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET \/a HTTP\/1\.1" 200 \d+ "-" "-" response_time="\d+\.\d{3} sec"$/m,
    )
    expect(run.stdout).not.toContain('secret')
    run.stop()
    expect(await run.exit).toBe(0)
    expect(run.stderr).toContain('cleaning up...')
    expect(api.sockets.size).toBe(0)
    expect((await exchange(layers.port, { host: dnsName })).status).toBe(404)
  })

  test('says that nothing answers at the port, and when something does', async () => {
    const { server, port } = await startOrigin()
    await new Promise(resolve => server.close(resolve))
    const run = start('connect', '-p', String(port))
    await until(() => run.stderr.includes(`nothing answers on 127.0.0.1:${port} yet`), { what: 'the warning' })
    await connected(run)
    expect(soleSocket().name).toBe(`Local port ${port}`)
    expect((await exchange(layers.port, { host: soleSocket().dnsName })).status).toBe(502)
    const again = createHttpServer((_request, response) => response.end('back'))
    await new Promise<void>(resolve => again.listen(port, '127.0.0.1', resolve))
    onCleanUp(() => again.close())
    await until(() => run.stderr.includes(`127.0.0.1:${port} answers now`), { what: 'the good news' })
    expect((await exchange(layers.port, { host: soleSocket().dnsName })).status).toBe(200)
  })

  test('carries TCP with both halves', async () => {
    const echo = createServer({ allowHalfOpen: true }, socket => socket.on('error', () => undefined).pipe(socket))
    const port = await listen(echo)
    onCleanUp(() => echo.close())
    const run = start('connect', String(port), '--type', 'tcp')
    await connected(run, /tcp:\/\/.*:\d+ → 127\.0\.0\.1:\d+ +connected/)
    const client = connectTcp(soleSocket().ports[0]!, '127.0.0.1')
    client.end('good morning')
    let text = ''
    for await (const chunk of client) text += String(chunk)
    expect(text).toBe('good morning')
    await until(() => /TCP 200 bytes_sent:12 bytes_received:12 session_time: \d/.test(run.stdout), { what: 'the line of the connection' })
  })

  test('gives JSON, one object a line', async () => {
    const { port } = await startOrigin()
    const run = start('connect', String(port), '--json')
    await connected(run, /"event":"connected"/)
    await exchange(layers.port, { host: soleSocket().dnsName })
    await until(() => run.stdout.includes('"event":"log"'), { what: 'the line' })
    const events = run.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    expect(events.map(({ event }) => event)).toEqual(['socket', 'connected', 'log'])
    expect(events[1]).toMatchObject({ url: `https://${soleSocket().dnsName}`, origin: `http://127.0.0.1:${port}` })
    expect(events[2]).toMatchObject({ kind: 'request', status: 200, text: expect.stringContaining('"GET / HTTP/1.1" 200') })
  })

  test('that loses its socket ends with 1, and says why', async () => {
    const { port } = await startOrigin()
    const run = start('connect', String(port))
    await connected(run)
    await api.v1('DELETE', `/sockets/${soleSocket().id}`)
    expect(await run.exit).toBe(1)
    expect(run.stderr).toMatch(/the connection has ended: its socket or its tunnel was deleted.*\((?:KEY_REMOVED|NOT_FOUND)\)/)
  })

  test.each([
    [['connect'], 'required flag(s) "port" not set', 2],
    [['connect', '0'], 'error: invalid port: "0"', 2],
    [['connect', '8000', '--port', '1'], 'the port is given twice', 2],
    [['connect', '8000', '--name', ''], 'error: empty name not allowed', 1],
    [['connect', '8000', '--protected'], 'error: --username required when using --protected', 1],
    [['tunnel', 'connect', '-p', '80'], 'required flag(s) "socket_id" not set', 2],
    [['tunnel', 'connect', '-s', 'x'], 'required flag(s) "port" not set', 2],
  ])('%j is refused', async (argv, message, status) => {
    const run = start(...argv)
    expect(await run.exit).toBe(status)
    expect(run.stderr).toContain(message)
  })
})

describe('tunnel connect', () => {
  test('serves a socket that stays; a newer login takes it over, and the earlier one ends with a sentence', async () => {
    const { port } = await startOrigin('first')
    const other = await startOrigin('second')
    const made = await api.v1('POST', '/sockets', { body: { name: 'web' } })
    const { id, dnsName } = made.json as Socket
    const first = start('tunnel', 'connect', '--socket-id', 'web', '--port', String(port))
    await connected(first, /connected, \d+ ms {3}\(Ctrl-C ends it, the socket stays\)/)
    expect(String((await exchange(layers.port, { host: dnsName })).body)).toContain('first')
    const second = start('tunnel', 'connect', '-s', id, '-t', soleSocket().tunnels[0]!.id, '-p', String(other.port), '-i', 'id_rsa')
    await connected(second)
    expect(second.stderr).toContain('Warning: --identity_file has no effect')
    expect(await first.exit).toBe(1)
    expect(first.stderr).toMatch(/a newer login has taken this tunnel over.*\(TAKEN_OVER\)/)
    expect(String((await exchange(layers.port, { host: dnsName })).body)).toContain('second')
    second.stop()
    expect(await second.exit).toBe(0)
    expect(second.stderr).toContain('User disconnected...')
    expect(api.sockets.has(id)).toBe(true)
    await api.v1('DELETE', `/sockets/${id}`)
  })
})
