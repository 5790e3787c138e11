/** `http` on this machine: both layers in this process, real requests, a real application behind them. */
import { createServer as createHttpServer, type Server } from 'node:http'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { runCli } from '../../src/cli/run-cli.ts'
import { lanAddresses, lanNames } from '../../src/net/machine-addresses.ts'
import { parseDestination } from '../../src/cli/local/destination.ts'
import { exchange } from '../support/exchange.ts'
import { listen } from '../support/ports.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { openWebSocket, startWebSocketOrigin } from '../support/websocket.ts'
import { onCleanUp } from '../support/cleanup.ts'

interface Running {
  stdout: string
  stderr: string
  readonly exit: Promise<number>
  readonly home: string
  stop(): void
}

const running: Running[] = []

afterEach(async () => {
  for (const each of running.splice(0)) {
    each.stop()
    await each.exit
  }
})

function start(...argv: readonly string[]): Running {
  let stop = (): void => undefined
  const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
  const home = tempDir()
  const state: Running = {
    stdout: '',
    stderr: '',
    home,
    stop: () => stop(),
    exit: runCli({
      argv: ['http', ...argv],
      env: { XDG_CONFIG_HOME: home },
      stdout: { write: text => (state.stdout += text) },
      stderr: { write: text => (state.stderr += text) },
      logDestination: { write: () => true },
      untilStopped: () => stopped,
    }),
  }
  running.push(state)
  return state
}

/** The port for clients, once it is open. */
const portOf = (each: Running): Promise<number> =>
  until(() => Number(/http:\/\/localhost:(\d+)/.exec(each.stdout)?.[1] ?? 0), { what: `a port in ${JSON.stringify(each)}` })

const startOrigin = async (port = 0): Promise<{ readonly server: Server; readonly port: number }> => {
  const server = createHttpServer((request, response) => response.end(`${request.method} ${request.url} ${request.headers.host}`))
  const listening =
    port === 0 ? await listen(server) : await new Promise<number>(resolve => server.listen(port, '127.0.0.1', () => resolve(port)))
  onCleanUp(() => (server.closeAllConnections(), void server.close()))
  return { server, port: listening }
}

describe('http PORT', () => {
  test('says where to go, answers there at once, and prints a line for each request', async () => {
    const origin = await startOrigin()
    const gateway = start(String(origin.port), '--app-port', '0')
    const port = await portOf(gateway)
    expect(gateway.stdout).toBe(`http://localhost:${port} → http://127.0.0.1:${origin.port}   (Ctrl-C ends it)\n`)
    // The application sees the name that its links have to have.
    const { status, body } = await exchange(port, { path: '/a?token=x', host: `localhost:${port}` })
    expect([status, body.toString()]).toEqual([200, `GET /a?token=x localhost:${port}`])
    await until(() => gateway.stdout.includes('"GET /a HTTP/1.1" 200'), { what: 'a line for the request' })
    gateway.stop()
    expect(await gateway.exit).toBe(0)
    expect(gateway.stderr).toBe('')
    // Nothing is left behind, and nothing was written.
    expect(readdirSync(gateway.home)).toEqual([])
    expect((await exchange(port, { host: 'localhost' })).status).toBe(0)
  })

  test('goes by every name of this machine, and by no other', async () => {
    const origin = await startOrigin()
    const gateway = start(String(origin.port), '--app-port', '0', '--allow-host', 'app.test')
    const port = await portOf(gateway)
    for (const host of ['localhost', 'a.localhost', `127.0.0.1:${port}`, '[::1]', 'app.test'])
      expect([host, (await exchange(port, { host })).status]).toEqual([host, 200])
    // A page of another site whose name leads here.
    const { status, body } = await exchange(port, { host: 'rebound.example.com' })
    expect([status, body.toString()]).toEqual([421, expect.stringContaining('--allow-host')])
    await until(() => gateway.stderr.includes('--allow-host'), { what: 'a hint' })
    await exchange(port, { host: 'rebound.example.com' })
    await until(() => gateway.stdout.match(/ 421 /g)?.length === 2, { what: 'both lines' })
    expect(gateway.stderr.match(/--allow-host/g)).toHaveLength(1)
  })

  test('says when nothing answers, and again when something does', async () => {
    const { server, port } = await startOrigin()
    await new Promise(resolve => server.close(resolve))
    const gateway = start(String(port), '--app-port', '0')
    const at = await portOf(gateway)
    await until(() => gateway.stderr.includes(`nothing answers on 127.0.0.1:${port} yet`), { what: 'the word that nothing answers' })
    expect((await exchange(at, { host: 'localhost' })).status).toBe(502)
    await startOrigin(port)
    await until(() => gateway.stderr.includes(`127.0.0.1:${port} answers now`), { what: 'the word that it does again' })
    expect((await exchange(at, { host: 'localhost' })).status).toBe(200)
  })

  test('finds a service that listens at ::1 alone, as some do that were asked for localhost', async () => {
    const hasIpv6 = Object.values(networkInterfaces()).some(addresses => addresses?.some(({ address }) => address === '::1') === true)
    if (!hasIpv6) return
    const server = createHttpServer((_, response) => response.end('six'))
    const port = await new Promise<number>(resolve => server.listen(0, '::1', () => resolve((server.address() as { port: number }).port)))
    onCleanUp(() => (server.closeAllConnections(), void server.close()))
    const gateway = start(String(port), '--app-port', '0')
    expect((await exchange(await portOf(gateway), { host: 'localhost' })).body.toString()).toBe('six')
  })

  test('carries WebSockets', async () => {
    const origin = await startWebSocketOrigin()
    const gateway = start(`http://127.0.0.1:${origin.port}`, '--app-port', '0')
    const { socket } = await openWebSocket(await portOf(gateway))
    const echoed = new Promise(resolve => socket.once('message', (data: Buffer) => resolve(data.toString())))
    socket.send('good morning')
    expect(await echoed).toBe('good morning')
    socket.terminate()
  })

  test('asks for a password, when there is one', async () => {
    const origin = await startOrigin()
    const gateway = start(String(origin.port), '--app-port', '0', '--protected', '--username', 'a', '--password', 'b')
    const port = await portOf(gateway)
    expect((await exchange(port, { host: 'localhost' })).status).toBe(401)
    const authorization = `Basic ${Buffer.from('a:b').toString('base64')}`
    expect((await exchange(port, { host: 'localhost', headers: { authorization } })).status).toBe(200)
  })

  test('is for programs with --json', async () => {
    const origin = await startOrigin()
    const gateway = start(String(origin.port), '--app-port', '0', '--json')
    const port = await portOf(gateway)
    await exchange(port, { host: 'localhost' })
    await until(() => gateway.stdout.split('\n').length === 3, { what: 'two events' })
    const [listening, line] = gateway.stdout
      .trim()
      .split('\n')
      .map(text => JSON.parse(text) as Record<string, unknown>)
    expect(listening).toEqual({
      event: 'listening',
      url: `http://localhost:${port}`,
      origin: `http://127.0.0.1:${origin.port}`,
      others: [],
    })
    expect(line).toMatchObject({ event: 'log', kind: 'request', method: 'GET', path: '/', status: 200 })
  })

  test('says so where the port that it was given is taken', async () => {
    const origin = await startOrigin()
    const gateway = start(String(origin.port), '--app-port', String(origin.port))
    expect(await gateway.exit).toBe(1)
    expect(gateway.stderr).toContain(`127.0.0.1:${origin.port}`)
  })

  test('lets the network in with --lan, by its addresses, with a QR code when asked', async () => {
    const origin = await startOrigin()
    const gateway = start(String(origin.port), '--app-port', '0', '--qr')
    const port = await portOf(gateway)
    const [address] = lanAddresses()
    if (address === undefined)
      return await until(() => gateway.stderr.includes('no address'), { what: 'that there is no network' }).then(() => undefined)
    await until(() => gateway.stdout.includes('██'), { what: 'a QR code' })
    expect(gateway.stdout).toContain(`http://${address}:${port}   for others in your network`)
    expect((await exchange(port, { host: `${address}:${port}` })).status).toBe(200)
  })
})

describe('http FOLDER', () => {
  test('serves its files, and nothing else', async () => {
    const folder = tempDir()
    mkdirSync(join(folder, 'site'))
    writeFileSync(join(folder, 'site', 'index.html'), '<h1>home</h1>')
    writeFileSync(join(folder, 'site', '.env'), 'secret')
    writeFileSync(join(folder, 'secret'), 'secret')
    const gateway = start(join(folder, 'site'), '--app-port', '0')
    const port = await portOf(gateway)
    expect(gateway.stdout).toContain(`→ ${join(folder, 'site')} `)
    const get = (path: string, headers = {}) => exchange(port, { path, host: 'localhost', headers })
    expect((await get('/')).body.toString()).toBe('<h1>home</h1>')
    expect((await get('/', { range: 'bytes=0-3' })).body.toString()).toBe('<h1>')
    for (const path of ['/.env', '/%2e%2e/secret', '/../secret']) expect((await get(path)).body.toString()).not.toContain('secret\n')
  })

  test('says what is wrong with one that is not there', async () => {
    const gateway = start('no-such-folder', '--app-port', '0')
    expect(await gateway.exit).toBe(1)
    expect(gateway.stderr).toContain('give the folder that is to be served')
  })
})

describe('what http is for', () => {
  const here = { port: undefined, host: '127.0.0.1' }
  const port = (host: string, number: number, protocol = 'http') => ({ kind: 'port', protocol, host, port: number })

  test.each([
    ['8080', port('127.0.0.1', 8080)],
    ['localhost:3000', port('localhost', 3000)],
    ['http://localhost:3000', port('localhost', 3000)],
    ['https://nas.lan/', port('nas.lan', 443, 'https')],
    ['http://[::1]:80', port('::1', 80)],
    ['/srv/www', { kind: 'folder', path: '/srv/www' }],
  ])('%s', (text, destination) => expect(parseDestination(text, here)).toEqual(destination))

  test.each(['0', '70000', 'http://a:b@c', 'http://a/path', 'http://a?b', 'http://', ''])('%j is refused', text => {
    expect(() => parseDestination(text, here)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })

  test('a port is given once', () => {
    expect(parseDestination(undefined, { port: 80, host: 'nas' })).toEqual(port('nas', 80))
    expect(() => parseDestination('80', { port: 80, host: 'nas' })).toThrow(
      'twice: the argument and --port 80 both mean your service; the port for clients is --app-port',
    )
  })
})

describe('addresses for others', () => {
  const of = (address: string, internal = false, family = 'IPv4') =>
    ({ address, internal, family, netmask: '', mac: '', cidr: null }) as never

  test('are those of a network, virtual ones last', () => {
    const interfaces = {
      lo: [of('127.0.0.1', true)],
      docker0: [of('172.17.0.1')],
      wlan0: [of('192.168.1.5'), of('fe80::1', false, 'IPv6')],
      eth1: [of('169.254.1.1')],
    }
    expect(lanAddresses(interfaces)).toEqual(['192.168.1.5', '172.17.0.1'])
  })

  test('names are those that can be asked for', () => {
    expect([lanNames('box'), lanNames('box.lan'), lanNames('localhost'), lanNames('odd name')]).toEqual([
      ['box', 'box.local'],
      ['box.lan'],
      [],
      [],
    ])
  })
})
