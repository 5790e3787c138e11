/** `connect` and `tunnel connect` over a real outer layer, with the API over the rules, which tell the data plane of sockets and keys. */
import { createServer as createHttpServer, get, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { writeFileSync } from 'node:fs'
import { createServer, connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { portService } from '../../src/cli/connect/local-service.ts'
import { runCli } from '../../src/cli/run-cli.ts'
import type { LiveDirectory } from '../../src/directory/live-directory.ts'
import type { Socket } from '../../src/service/model.ts'
import type { RunningApi } from '../support/api.ts'
import { mintServer } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import type { Layers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { startServiceEdge, type ServiceEdge } from '../support/service-edge.ts'
import { newJwk } from '../support/service.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const ZONE = 'edge.example.com'

let api: RunningApi
let layers: Layers
let directory: LiveDirectory

let sockets: ServiceEdge['sockets']

beforeAll(async () => {
  ;({ api, layers, directory, sockets } = await startServiceEdge(ZONE))
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
  for (const { id } of await sockets()) await api.v1('DELETE', `/sockets/${id}`)
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
      env: { SG_SERVER: api.url, SG_API_TOKEN: api.tokens.ada },
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

const soleSocket = async (): Promise<Socket> => (await sockets())[0]!

describe('connect', () => {
  test('makes a socket that is served at once, shows who comes, and takes it away at the first Ctrl-C', async () => {
    const { port } = await startOrigin()
    const before = api.seen.length
    const run = start('connect', String(port), '--name', 'my test service')
    await connected(run)
    // One call of the API for socket, tunnel and key.
    expect(api.seen.slice(before).map(([call]) => call)).toEqual(['sessions.authenticate', 'sockets.connect'])
    const { dnsName, id } = await soleSocket()
    const [, , , row = '', , blank] = run.stdout.split('\n')
    expect(row.split(/[│ ]+/)).toEqual(['', id, dnsName, '80,', '443', 'http', 'false', 'my', 'test', 'service', ''])
    expect(blank).toBe('')
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
    expect(await sockets()).toEqual([])
    expect((await exchange(layers.port, { host: dnsName })).status).toBe(404)
  })

  test('is what http does where a service is known: for a port, for a folder, with a QR code', async () => {
    const { port } = await startOrigin()
    const run = start('http', String(port), '--qr')
    await connected(run)
    expect((await exchange(layers.port, { host: (await soleSocket()).dnsName })).status).toBe(200)
    expect(run.stdout).toContain('██')
    run.stop()
    await run.exit
    const folder = tempDir()
    writeFileSync(join(folder, 'a.txt'), 'of a folder')
    const files = start('http', folder)
    await connected(files)
    expect(files.stdout).toContain(` → ${folder}   connected`)
    const { dnsName, name } = await soleSocket()
    expect(name).toBe(`Folder ${folder}`)
    expect(String((await exchange(layers.port, { host: dnsName, path: '/a.txt' })).body)).toBe('of a folder')
    const mixed = start('http', folder, '--lan')
    expect(await mixed.exit).toBe(2)
    expect(mixed.stderr).toContain('--lan: for a gateway on this machine')
  })

  test('says that nothing answers at the port, and when something does', async () => {
    const { server, port } = await startOrigin()
    await new Promise(resolve => server.close(resolve))
    const run = start('connect', '-p', String(port))
    await until(() => run.stderr.includes(`nothing answers on 127.0.0.1:${port} yet`), { what: 'the warning' })
    await connected(run)
    expect((await soleSocket()).name).toBe(`Local port ${port}`)
    expect((await exchange(layers.port, { host: (await soleSocket()).dnsName })).status).toBe(502)
    const again = createHttpServer((_request, response) => response.end('back'))
    await new Promise<void>(resolve => again.listen(port, '127.0.0.1', resolve))
    onCleanUp(() => again.close())
    await until(() => run.stderr.includes(`127.0.0.1:${port} answers now`), { what: 'the good news' })
    expect((await exchange(layers.port, { host: (await soleSocket()).dnsName })).status).toBe(200)
  })

  test.each([
    ['HTTPS', 'HTTP', 'http', 'https'],
    ['plain HTTP', 'HTTPS', 'https', 'http'],
  ])('says of a service that it speaks %s and is asked by %s', async (spoken, asked, type, upstream) => {
    const { privateKeyPem: key, certificatePem: cert } = await mintServer(['origin'])
    const answer: RequestListener = (_request, response) => void response.end('hello')
    const origin = type === 'http' ? createHttpsServer({ key, cert }, answer) : createHttpServer(answer)
    const port = await listen(origin)
    onCleanUp(() => origin.close())
    const run = start('connect', String(port), '--type', type)
    await connected(run)
    expect((await exchange(layers.port, { host: (await soleSocket()).dnsName })).status).toBe(502)
    const said = `127.0.0.1:${port} speaks ${spoken}, and this socket asks it by ${asked}: visitors get 502; give --upstream-type ${upstream},`
    await until(() => run.stderr.includes(said), { what: `the reason in ${run.stderr}` })
    run.stop()
    await run.exit
    const right = start('connect', String(port), '--type', type, '--upstream-type', upstream)
    await connected(right)
    expect((await exchange(layers.port, { host: (await soleSocket()).dnsName })).status).toBe(200)
  })

  test('says of a port of TCP that visitors are disconnected, since there are no statuses', async () => {
    const { server, port } = await startOrigin()
    await new Promise(resolve => server.close(resolve))
    const run = start('connect', '-p', String(port), '--type', 'tcp')
    const expected = `nothing answers on 127.0.0.1:${port} yet: visitors are disconnected until your service runs there`
    await until(() => run.stderr.includes(expected), { what: 'the warning' })
  })

  test('takes IPv6 with brackets and without', () => {
    const urls = ['[::1]', '::1'].map(host => portService({ host, port: 8_000 }).urlOf('http'))
    expect(urls).toEqual(['http://[::1]:8000', 'http://[::1]:8000'])
  })

  test('follows no name to an address that hands out credentials; the address itself may be meant', async () => {
    const dial = (host: string): Promise<unknown> =>
      portService({ host, port: 1 })
        .dialer.dial('any', 1, AbortSignal.timeout(60_000))
        .catch((error: unknown) => error)
    // Resolvers take a number for the address that it is: 169.254.169.254, 169.254.0.1.
    for (const host of ['2852039166', '0xa9fe0001'])
      expect(await dial(host)).toMatchObject({ code: 'ORIGIN_FORBIDDEN', message: expect.stringContaining('link-local or cloud-metadata') })
    expect(await dial('localhost')).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('carries TCP with both halves', async () => {
    const echo = createServer({ allowHalfOpen: true }, socket => socket.on('error', () => undefined).pipe(socket))
    const port = await listen(echo)
    onCleanUp(() => echo.close())
    const run = start('connect', String(port), '--type', 'tcp')
    await connected(run, /tcp:\/\/.*:\d+ → 127\.0\.0\.1:\d+ +connected/)
    const client = connectTcp((await soleSocket()).ports[0]!, '127.0.0.1')
    client.end('good morning')
    let text = ''
    for await (const chunk of client) text += String(chunk)
    expect(text).toBe('good morning')
    await until(() => /TCP 200 bytes_sent:12 bytes_received:12 session_time: \d/.test(run.stdout), { what: 'the line of the connection' })
  })

  test('that loses its connection says so, dials again, and serves the same name', async () => {
    const { port } = await startOrigin()
    const run = start('connect', String(port))
    await connected(run)
    const { dnsName } = await soleSocket()
    layers.relay.cut()
    await until(() => /connection lost: .*; connecting again\nconnected again after \d+\.\d s/.test(run.stderr), {
      what: 'another connection',
    })
    expect((await exchange(layers.port, { host: dnsName })).status).toBe(200)
    expect(run.stdout.match(/connected, \d+ ms/g)).toHaveLength(1)
  })

  test('gives JSON, one object a line', async () => {
    const { port } = await startOrigin()
    const run = start('connect', String(port), '--json')
    await connected(run, /"event":"connected"/)
    await exchange(layers.port, { host: (await soleSocket()).dnsName })
    await until(() => run.stdout.includes('"event":"log"'), { what: 'the line' })
    const events = run.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    expect(events.map(({ event }) => event)).toEqual(['socket', 'connected', 'log'])
    expect(events[1]).toMatchObject({ url: `https://${(await soleSocket()).dnsName}`, origin: `http://127.0.0.1:${port}` })
    expect(events[2]).toMatchObject({ kind: 'request', status: 200, text: expect.stringContaining('"GET / HTTP/1.1" 200') })
  })

  test('that loses its socket ends with 1, and says why', async () => {
    const { port } = await startOrigin()
    const run = start('connect', String(port))
    await connected(run)
    await api.v1('DELETE', `/sockets/${(await soleSocket()).id}`)
    expect(await run.exit).toBe(1)
    expect(run.stderr).toMatch(/the connection has ended: its socket or its tunnel was deleted.*\((?:KEY_REMOVED|NOT_FOUND)\)/)
  })

  test.each([
    [['connect'], 'required flag(s) "port" not set', 2],
    [['connect', '0'], 'error: invalid port: "0"', 2],
    [['connect', '8000', '--port', '1'], 'the port is given twice: the argument and --port 1 both mean the port of your service', 2],
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
  test('that is taken over finishes what it has begun: a download under way arrives whole', async () => {
    const body = Buffer.alloc(3_000_000, 'visitor ')
    let go = (): void => undefined
    const slow = createHttpServer((_request, response) => {
      response.writeHead(200, { 'content-length': body.length })
      response.write(body.subarray(0, 1_000_000))
      go = () => response.end(body.subarray(1_000_000))
    })
    const port = await listen(slow)
    const other = await startOrigin('second')
    const { id, dnsName } = (await api.v1('POST', '/sockets', { body: { name: 'slow' } })).json as Socket
    const first = start('tunnel', 'connect', '--socket-id', id, '--port', String(port))
    await connected(first)
    let received = 0
    const download = new Promise<Buffer>((resolve, reject) => {
      const request = get({ port: layers.port, host: '127.0.0.1', headers: { host: dnsName } }, response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          received += chunk.length
        })
        response.on('end', () => resolve(Buffer.concat(chunks))).on('error', reject)
      })
      request.on('error', reject)
    })
    await until(() => received > 0, { what: 'the first bytes of the download' })
    const second = start('tunnel', 'connect', '-s', id, '-t', (await soleSocket()).tunnels[0]!.id, '-p', String(other.port))
    await connected(second)
    await until(() => first.stderr.includes('(TAKEN_OVER)'), { what: 'the sentence of the one before' })
    // Who comes now is the newest one's.
    expect(String((await exchange(layers.port, { host: dnsName })).body)).toContain('second')
    go()
    expect((await download).equals(body)).toBe(true)
    expect(await first.exit).toBe(1)
  })

  test('whose link is lost after a newer login does not take the tunnel back', async () => {
    const { port } = await startOrigin('first')
    const { id } = (await api.v1('POST', '/sockets', { body: { name: 'lost' } })).json as Socket
    const first = start('tunnel', 'connect', '--socket-id', id, '--port', String(port))
    await connected(first)
    // A login somewhere else has registered its key, and has not dialled yet.
    const tunnel = (await soleSocket()).tunnels[0]!.id
    const newer = await api.v1('POST', `/sockets/${id}/tunnels/${tunnel}/credentials`, { body: { jwk: newJwk() } })
    const { kid } = newer.json as { readonly kid: string }
    layers.relay.cut()
    expect(await first.exit).toBe(1)
    expect(first.stderr).toMatch(/the connection has ended: a newer login has taken this tunnel over.*\(CONFLICT\)/)
    expect(directory.snapshot().keys.map(key => key.kid)).toContain(kid)
  })

  test('serves a socket that stays; a newer login takes it over, and the earlier one ends with a sentence', async () => {
    const { port } = await startOrigin('first')
    const other = await startOrigin('second')
    const made = await api.v1('POST', '/sockets', { body: { name: 'web' } })
    const { id, dnsName } = made.json as Socket
    const first = start('tunnel', 'connect', '--socket-id', 'web', '--port', String(port))
    await connected(first, /connected, \d+ ms {3}\(Ctrl-C ends it, the socket stays\)/)
    expect(String((await exchange(layers.port, { host: dnsName })).body)).toContain('first')
    const second = start('tunnel', 'connect', '-s', id, '-t', (await soleSocket()).tunnels[0]!.id, '-p', String(other.port), '-i', 'id_rsa')
    await connected(second)
    expect(second.stderr).toContain('Warning: --identity_file has no effect')
    expect(await first.exit).toBe(1)
    expect(first.stderr).toMatch(/the connection has ended: a newer login has taken this tunnel over.*\(TAKEN_OVER\)/)
    expect(String((await exchange(layers.port, { host: dnsName })).body)).toContain('second')
    second.stop()
    expect(await second.exit).toBe(0)
    expect(second.stderr).toContain('User disconnected...')
    expect((await api.v1('GET', `/sockets/${id}`)).status).toBe(200)
    await api.v1('DELETE', `/sockets/${id}`)
  })
})
