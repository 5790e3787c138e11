/** A service as its operator and its users run it: processes, files, and nothing in between. */
import { createServer } from 'node:http'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import type { GatewayEvent } from '../../src/events/event.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { freePort, listen } from '../support/ports.ts'
import { runProcess, startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { begin, run, type Outcome } from './context.ts'

let appPort: number
/** Of the user. */
let env: Readonly<Record<string, string>>
let originPort: number
let outer: RunningProcess
let serviceFile: string
let startOuter: () => RunningProcess

const PASSWORD = 'a password of some length'

beforeAll(async () => {
  const [folder, home] = [tempDir(), tempDir()]
  appPort = await freePort()
  const socketPort = await freePort()
  const file = join(folder, 'service.yaml')
  const init = await run(['service', 'init', '--zone', 'localhost', '--service', file, '--json'])
  const { link, admin } = JSON.parse(init.stdout) as { readonly link: string; readonly admin: string }
  writeFileSync(file, `${readFileSync(file, 'utf8').replace('localhost:3001', `localhost:${socketPort}`)}\ninspect: true\n`)
  const ports = [
    '--app-port',
    appPort,
    '--socket-port',
    socketPort,
    '--app-host',
    'localhost',
    '--socket-host',
    'localhost',
    '--admin-port',
    0,
  ]
  serviceFile = file
  startOuter = () => startProcess(['outer-layer', '--service', file, ...ports.map(String), '--log-format', 'json'], { cwd: folder })
  outer = startOuter()
  const server = `http://localhost:${appPort}`
  await until(async () => (await fetch(`${server}/api/v1/version`)).ok, { what: 'the API' })
  env = { XDG_CONFIG_HOME: home }
  const invitation = link.replace('localhost:3000', `localhost:${appPort}`)
  const created = await cli('account', 'create', '--invitation', invitation, '--name', 'Ada', '--password', PASSWORD)
  expect(created).toMatchObject({ status: 0, stdout: expect.stringContaining(`login --email ${admin} --server ${server}`) })
  const login = await runProcess(['login', '--server', server, '--email', admin], { env: { ...env, SG_PASSWORD: PASSWORD } })
  expect(login).toMatchObject({ code: 0, stdout: 'Login successful\n' })
  const origin = createServer((request, response) => response.end(`hello ${request.url}`))
  originPort = await listen(origin)
  onCleanUp(() => (origin.close(), origin.closeAllConnections()))
})

/** A command of the user; in this process, which is cheaper by a second. */
const cli = (...argv: readonly string[]): Promise<Outcome> => run(argv, env)

describe('a service in processes', () => {
  test('gives a public name to a port, shows who comes, and takes it back at Ctrl-C', async () => {
    const connect = startProcess(['connect', String(originPort), '--name', 'web'], { env })
    const [, host = ''] = await connect.waitForLine(/http:\/\/(\S+\.localhost):\d+ → http:\/\/127\.0\.0\.1:\d+ {3}connected, \d+ ms/)
    expect((await cli('socket', 'ls')).stdout).toContain(host)
    expect(String((await exchange(appPort, { host, path: '/a' })).body)).toBe('hello /a')
    await connect.waitForLine(/"GET \/a HTTP\/1\.1" 200/)
    expect(await connect.stop('SIGINT')).toEqual({ code: 0, signal: null })
    expect(connect.stderr).toContain('cleaning up...')
    expect((await exchange(appPort, { host })).status).toBe(404)
    expect(JSON.parse((await cli('socket', 'ls', '--json')).stdout)).toEqual([])
  })

  test('takes it back as well when the terminal is closed', async () => {
    const connect = startProcess(['connect', String(originPort), '--name', 'closed'], { env })
    const [, host = ''] = await connect.waitForLine(/http:\/\/(\S+\.localhost):\d+ → /)
    expect(await connect.stop('SIGHUP')).toEqual({ code: 0, signal: null })
    expect((await exchange(appPort, { host })).status).toBe(404)
    expect((await cli('socket', 'ls')).stdout).not.toContain(host)
  })

  test('keeps a socket whose tunnel comes and goes', async () => {
    const made = await cli('socket', 'create', '--name', 'stays', '--protected', '--username', 'john', '--password', 'secret phrase')
    const [, id = '', , host = ''] = made.stdout.split('\n')[3]!.split(/\s+/)
    expect((await exchange(appPort, { host })).status).toBe(401)
    const headers = { authorization: `Basic ${Buffer.from('john:secret phrase').toString('base64')}` }
    expect(await exchange(appPort, { host, headers })).toMatchObject({ status: 502, code: 'NO_TUNNEL' })
    const tunnel = startProcess(['tunnel', 'connect', '--socket_id', id, '--port', String(originPort)], { env })
    await tunnel.waitForLine(/connected, \d+ ms {3}\(Ctrl-C ends it, the socket stays\)/)
    expect((await exchange(appPort, { host, headers })).status).toBe(200)
    expect((await cli('tunnel', 'ls', '-s', 'stays')).stdout).toContain(id)
    const logs = startProcess(['logs', 'stays', '--json'], { env })
    await logs.waitForLine(/requests to .* from now on/)
    await until(
      async () => {
        await exchange(appPort, { host, headers, path: '/seen' })
        return logs.stdout.includes('/seen')
      },
      { what: 'a line of the log' },
    )
    expect(await cli('socket', 'update', id, '--inspect', 'yes')).toMatchObject({ status: 0 })
    const requests = begin(['requests', '--socket', 'stays', '--follow', '--json', '--filter', 'path:/followed'], env)
    onCleanUp(() => requests.stop())
    // Two of them: what was there when it began to look, and what came then.
    const followed = (): readonly { readonly path: string; readonly isOver: boolean }[] =>
      requests
        .stdout()
        .split('\n')
        .filter(line => line.endsWith('}'))
        .map(line => JSON.parse(line) as { readonly path: string; readonly isOver: boolean })
    for (const path of ['/followed/1', '/followed/2'])
      await until(
        async () => {
          await exchange(appPort, { host, headers, path })
          return followed().some(request => request.path === path && request.isOver)
        },
        { what: `${path} in the list that is followed` },
      )
    expect(await requests.stop()).toBe(0)
    expect(requests.stderr()).toBe('')
    // Deleted by somebody else, the connection ends with 1, and the log, which asks once more, with a sentence.
    expect(await cli('socket', 'delete', id)).toMatchObject({ status: 0, stdout: 'Socket deleted\n' })
    expect((await tunnel.exit).code).toBe(1)
    expect(tunnel.stderr).toContain('the connection has ended: its socket or its tunnel was deleted')
    expect((await logs.exit).code).toBe(0)
    expect(logs.stderr).toContain('there is no socket at ')
  })

  test('lets an inner layer join, and cuts it when its key is revoked', async () => {
    const folder = tempDir()
    const token = JSON.parse((await cli('admin', 'join-token', '--identifier', 'lan-a', '--json')).stdout) as { readonly place: string }
    const joined = await runProcess(['inner-layer', 'join', token.place, '--json'], { cwd: folder })
    const { kid } = JSON.parse(joined.stdout) as { readonly kid: string }
    const inner = startProcess(['inner-layer', '--config', 'inner-layer.yaml', '--log-format', 'pretty'], { cwd: folder })
    await inner.waitForLine(/connected to .* as "lan-a"/)
    expect((await cli('inner', 'ls')).stdout).toContain(kid)
    expect((await cli('join', token.place, '--private-key', join(folder, 'b.key'), '--output', join(folder, 'b.yaml'))).status).toBe(1)
    expect(await cli('inner', 'revoke', kid)).toMatchObject({ status: 0, stdout: 'Key revoked\n' })
    await inner.waitForLine(/KEY_REMOVED|no longer accepted/)
  })

  test('lets an inner layer join that runs at once, with what it has just written before what the environment says', async () => {
    const folder = tempDir()
    const { place } = JSON.parse((await cli('admin', 'join-token', '--identifier', 'lan-c', '--json')).stdout) as { readonly place: string }
    const words = ['inner-layer', 'join', place, '--run', '--private-key', 'c.key', '--output', 'c.yaml']
    const inner = startProcess(words, { cwd: folder, env: { SG_PRIVATE_KEY: 'another.key', SG_LOG_FORMAT: 'pretty' } })
    await inner.waitForLine(/^runs: socket-gateway inner-layer --config c\.yaml$/m)
    await inner.waitForLine(/connected to .* as "lan-c"/)
    expect((await cli('inner', 'ls')).stdout).toMatch(/lan-c .*│ connected/)
    expect(await inner.stop('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(readFileSync(join(folder, 'c.yaml'), 'utf8')).toContain('private-key: "c.key"\n')
  })

  test('tells of its file that was not reloaded, with the place, and that it is well again', async () => {
    const [, adminPort] = await outer.waitForLine(/"adminPort":(\d+)/)
    const told = (name: string): Promise<GatewayEvent> =>
      until(
        async () => {
          const answer = await fetch(`http://127.0.0.1:${adminPort}/events?name=${name}&subject=service`)
          return ((await answer.json()) as { readonly items: readonly GatewayEvent[] }).items[0]
        },
        { what: name },
      )
    const good = readFileSync(serviceFile, 'utf8')
    writeFileSync(serviceFile, `${good}\nnonsense: 1\n`)
    expect(await told('reload.refused')).toMatchObject({
      severity: 'error',
      fields: { what: 'service', reason: expect.stringMatching(/service\.yaml:\d+:.*nonsense/) },
    })
    expect((await cli('socket', 'ls')).status).toBe(0)
    writeFileSync(serviceFile, good)
    await told('reload.well')
  })

  test('says who did what', async () => {
    const { stdout } = await cli('audit', '--action', 'socket.create', '--limit', '5')
    expect(stdout).toMatch(/socket\.create │ socket:[\w-]+ +│ done/)
  })

  test('does not begin with an empty database where the one before is gone, and begins when it is back', async () => {
    const socket = JSON.parse((await cli('socket', 'create', '--name', 'kept', '--json')).stdout) as { dnsName: string }
    const state = join(dirname(serviceFile), 'state')
    const [database, elsewhere] = [join(state, 'service.db'), join(state, 'elsewhere.db')]
    await until(() => readFileSync(join(state, 'directory.json'), 'utf8').includes(socket.dnsName), { what: 'the directory on disk' })
    expect(await outer.stop('SIGTERM')).toEqual({ code: 0, signal: null })
    renameSync(database, elsewhere)
    outer = startOuter()
    await outer.waitForLine(/service\.db: the database of the service is gone, and this service has run before; put it back/)
    // The socket is there, with nobody to serve it.
    await until(async () => (await exchange(appPort, { host: socket.dnsName })).status === 502, { what: 'the socket of the last run' })
    renameSync(elsewhere, database)
    await until(async () => (await cli('socket', 'ls')).stdout.includes(socket.dnsName), { what: 'the service' })
  })
})

test.each([[['service', 'demo']], [['demo', '--service']]])('%j --once shows all of it and ends by itself', async words => {
  const demo = await runProcess([...words, '--once', '--app-port', '0', '--socket-port', '0'])
  expect(demo).toMatchObject({ code: 0, signal: null })
  expect(demo.stdout).toMatch(/connected, \d+ ms[^]*"GET \/hello HTTP\/1\.1" 200[^]*GET http:\/\/\S+\/hello: 200 {"message":"hello/)
})

test('service demo --json says all of it in one object a line', async () => {
  const demo = await runProcess(['service', 'demo', '--once', '--json', '--app-port', '0', '--socket-port', '0'])
  expect(demo).toMatchObject({ code: 0, signal: null })
  const said = demo.stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  // Lines of the log come when they come.
  const rest = said.filter(({ event }) => event !== 'log')
  const events = rest.map(({ event }) => event)
  expect(events.slice(0, 4)).toEqual(['service', 'account', 'sample-api', 'socket'])
  expect(events.slice(4).sort()).toEqual(['connected', 'request', 'request'])
  expect(rest[1]).toMatchObject({ email: 'admin@localhost', role: 'admin', password: expect.stringMatching(/^[\w-]{16}$/) })
  const { url } = rest.find(({ event }) => event === 'connected')!
  expect(rest.find(({ event }) => event === 'request')).toMatchObject({
    method: 'GET',
    url: `${String(url)}/hello`,
    answer: expect.stringMatching(/^200 {"message":"hello/),
  })
})

test('service demo shows the letters of its outbox, whole, until it is asked to end', async () => {
  const demo = startProcess(['service', 'demo', '--app-port', '0', '--socket-port', '0'])
  const [, server = '', credentials = ''] = await demo.waitForLine(/socket ls --server (\S+) --credentials (\S+)/)
  await demo.waitForLine(/Ctrl-C ends the demo/)
  const invited = await run(['admin', 'invite', 'bob@localhost', '--server', server, '--credentials', credentials])
  expect(invited).toMatchObject({ status: 0 })
  const [, link] = await demo.waitForLine(/^To: bob@localhost\nSubject: .*\n[^]*\n(http:\/\/localhost:\d+\/invitation#sgo_[\w-]+)\n/m)
  expect(invited.stdout).toContain(link)
  expect(demo.stdout).not.toMatch(/ INFO |"level"/)
  expect(await demo.stop('SIGINT')).toEqual({ code: 0, signal: null })
})
