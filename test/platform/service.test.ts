/** The service as it is run: an outer layer with its service process, the command line of a user, real databases, and what happens when parts die. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createSecretsKey } from '../../src/config/service/secrets-key.ts'
import { Browser } from '../support/browser.ts'
import { exchange } from '../support/exchange.ts'
import { freePort, listen } from '../support/ports.ts'
import { startProcess, type RunningProcess } from '../support/process.ts'
import { startRelay, type Relay } from '../support/relay.ts'
import { PostgresServer } from '../support/stores.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const PASSWORD = 'correct horse battery'
const EMAIL = 'ann@example.com'
const EVE = 'eve@example.com'

interface Running {
  readonly directory: string
  readonly port: number
  readonly outer: RunningProcess
  /** Between tunnels and the outer layer. */
  readonly links: Relay
  /** Process id of the service process at the moment. */
  readonly servicePid: () => number
  /** Runs a command of a user who has logged in. */
  readonly run: (...args: string[]) => RunningProcess
  /** One call of the API. */
  readonly call: (method: string, path: string, body?: unknown, token?: string) => ReturnType<typeof exchange>
}

/** Starts an outer layer with a service in zone `localhost`. @param store  a line of service.yaml */
async function startWhole(store = ''): Promise<Running> {
  const directory = tempDir()
  const [port, socketPort] = [await freePort(), await freePort()]
  const links = await startRelay({ target: { host: '127.0.0.1', port: socketPort } })
  mkdirSync(join(directory, 'state'), { mode: 0o700 })
  writeFileSync(join(directory, 'state', 'service.key'), createSecretsKey(), { mode: 0o600 })
  const file = join(directory, 'service.yaml')
  const lines = [
    'zone: localhost',
    `hosts: { api: localhost, link: "ws://localhost:${links.port}" }`,
    'signUp: open',
    'mail: outbox',
    'identityProviders: { own: { kind: accounts } }',
    'limits: { requestsPerSecond: 1000000 }',
    store,
  ]
  writeFileSync(file, lines.join('\n'))
  const outer = startProcess(
    ['outer-layer', '--service', file, '--app-port', String(port), '--socket-port', String(socketPort), '--log-format', 'json'],
    { env: { SG_DRAIN_DELAY: '0' } },
  )
  await outer.waitForLine(/the service process is ready/)
  const credentials = join(directory, 'credentials.json')
  return {
    directory,
    port,
    outer,
    links,
    servicePid: () => Number([...outer.stdout.matchAll(/"pid":(\d+)[^\n]*the service process is ready/g)].at(-1)![1]),
    run: (...args) => startProcess([...args, '--credentials', credentials], { env: { SG_SERVER: `http://localhost:${port}` } }),
    call: (method, path, body, token) =>
      exchange(port, {
        method,
        path,
        host: 'localhost',
        headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
  }
}

/** Makes an account, confirms it by the link of the outbox, and logs in at the API. @returns its token */
async function signUp({ directory, call }: Running, email: string): Promise<string> {
  expect((await call('POST', '/user', { name: 'Ann', email, password: PASSWORD, sshkey: '' })).status).toBe(200)
  const outbox = join(directory, 'state', 'outbox')
  const letter = await until(() =>
    readdirSync(outbox)
      .map(name => readFileSync(join(outbox, name), 'utf8'))
      .find(text => text.includes(email)),
  )
  expect((await call('GET', /\/user\/confirm\/\S+/.exec(letter)![0])).body.toString()).toContain('You have confirmed your account')
  const session = await call('POST', '/login', { email, password: PASSWORD })
  return (JSON.parse(session.body.toString()) as { token: string }).token
}

/** The same, and logs in for commands. */
async function enter(whole: Running): Promise<string> {
  const token = await signUp(whole, EMAIL)
  expect(await whole.run('login', '--email', EMAIL, '--password', PASSWORD).exit).toEqual({ code: 0, signal: null })
  return token
}

/** Serves an origin by `connect`. @returns the host of its socket */
async function connectTo(origin: number, { run }: Running): Promise<{ readonly host: string; readonly process: RunningProcess }> {
  const process = run('connect', String(origin), '--name', 'my test service')
  const [, host = ''] = await process.waitForLine(/http:\/\/([a-z]+-[a-z]+-\d+\.localhost):\d+ → .* connected/)
  return { host, process }
}

const startOrigin = (): Promise<number> => listen(createServer((_, response) => response.end('hello')))

/** The pace of a visitor: as fast as the machine can would take its processor from the processes that are to start. */
const PACE_MS = 10

/** Asks for `host` again and again until told to stop. @returns how often, and what was wrong */
function askOften({ port }: Running, host: string): () => Promise<{ readonly count: number; readonly failures: readonly string[] }> {
  let isOver = false
  let count = 0
  const failures: string[] = []
  const ask = async (): Promise<void> => {
    while (!isOver) {
      const { status, body, isComplete } = await exchange(port, { host })
      count++
      if (status !== 200 || !isComplete || body.toString() !== 'hello') failures.push(`${status} ${body.toString()}`)
      await delay(PACE_MS)
    }
  }
  const asking = Promise.all([ask(), ask()])
  return async () => {
    isOver = true
    await asking
    return { count, failures }
  }
}

/** Somebody logs in at a socket by their account; its owner reads who it was, and a new password is the end of it. */
async function visitWithLogin(
  whole: Running,
  { host, token, socketId }: { readonly host: string; readonly token: string; readonly socketId: string },
): Promise<void> {
  const { port, call } = whole
  const eve = await signUp(whole, EVE)
  const visitors = { emails: [EVE], domains: [] }
  expect((await call('PATCH', `/api/v1/sockets/${socketId}`, { visitors }, token)).status).toBe(200)
  const browser = new Browser(port)
  const url = `http://${host}:${port}/`
  const page = await browser.go(url)
  const [, action] = /<form method="post" action="([^"]*)"/.exec(page.body) ?? []
  const [, state] = /name="RelayState" value="([^"]*)"/.exec(page.body) ?? []
  const body = new URLSearchParams({ RelayState: state!, email: EVE, password: PASSWORD }).toString()
  const origin = `http://auth.localhost:${port}`
  const visit = await browser.go(`${origin}${action}`, { method: 'POST', body, headers: { origin } })
  expect([visit.status, visit.url, visit.body]).toEqual([200, url, 'hello'])
  await until(async () => {
    const audit = await call('GET', '/api/v1/audit?action=visitor.login', undefined, token)
    const text = audit.body.toString()
    return text.includes(`socket:${socketId}`) && text.includes(EVE)
  })
  const change = { current: PASSWORD, next: `another ${PASSWORD}` }
  expect((await call('PUT', '/api/v1/account/password', change, eve)).status).toBe(204)
  await until(async () => (await browser.send(url)).status === 401, { what: 'the end of the session' })
}

describe('an outer layer with a service', () => {
  test('serves what a user connects, through the death of its service process, and ends without a trace', async () => {
    const whole = await startWhole()
    const token = await enter(whole)
    const { host, process: user } = await connectTo(await startOrigin(), whole)
    const stop = askOften(whole, host)
    for (let time = 1; time <= 3; time++) {
      const pid = whole.servicePid()
      process.kill(pid, 'SIGKILL')
      await until(() => whole.servicePid() !== pid)
      await until(async () => (await whole.call('GET', '/api/v1/version')).status === 200)
    }
    const { count, failures } = await stop()
    expect(failures).toEqual([])
    expect(count).toBeGreaterThan(0)
    // The tunnel was told anew, so the socket of `connect` has not gone for want of one.
    const sockets = JSON.parse((await whole.call('GET', '/api/v1/sockets', undefined, token)).body.toString()) as {
      items: { id: string; tunnels: { connected: boolean }[] }[]
    }
    expect(JSON.stringify(sockets)).toContain(host)
    await until(() => user.stdout.includes('"GET / HTTP/1.1" 200 5 '), { what: `a line of the log in ${user.output}` })
    await visitWithLogin(whole, { host, token, socketId: sockets.items[0]!.id })
    expect(await user.stop('SIGINT')).toEqual({ code: 0, signal: null })
    expect((await exchange(whole.port, { host })).status).toBe(404)
    const pid = whole.servicePid()
    expect(await whole.outer.stop()).toEqual({ code: 0, signal: null })
    await until(() => isGone(pid))
    expect(/.*(?:internal fault|Bearer|sgo_[\w-]|correct horse).*/.exec(whole.outer.output)?.[0]).toBeUndefined()
  })

  test('notices that its service process hangs: calls are refused with 503, it is started again, and visitors notice nothing', async () => {
    const whole = await startWhole()
    await enter(whole)
    const { host, process: user } = await connectTo(await startOrigin(), whole)
    const pid = whole.servicePid()
    process.kill(pid, 'SIGSTOP')
    // Under way when it is given up.
    const refused = await whole.call('GET', '/api/v1/version')
    expect(refused.status).toBe(503)
    expect(refused.headers['retry-after']).toBe('1')
    expect(refused.body.toString()).toContain('code: SERVICE_AWAY')
    expect((await exchange(whole.port, { host })).body.toString()).toBe('hello')
    await whole.outer.waitForLine(/the service process has not answered for 10 s; it is ended and started again/)
    await until(async () => {
      const { status } = await whole.call('GET', '/api/v1/version')
      expect([200, 503]).toContain(status)
      return status === 200
    })
    expect(whole.servicePid()).not.toBe(pid)
    expect((await exchange(whole.port, { host })).body.toString()).toBe('hello')
    expect(await user.stop('SIGINT')).toEqual({ code: 0, signal: null })
    expect(await whole.outer.stop()).toEqual({ code: 0, signal: null })
  })

  ;(PostgresServer.isHere ? test : test.skip)(
    'goes on without its database: writes are refused, a tunnel that comes back is served',
    async () => {
      const server = new PostgresServer()
      const { url } = await server.empty()
      const target = { host: '127.0.0.1', port: await server.port }
      const relay = await startRelay({ target })
      const whole = await startWhole(`store: ${url.replace(/:\d+\//, `:${relay.port}/`)}`)
      const token = await enter(whole)
      const { host, process: user } = await connectTo(await startOrigin(), whole)
      const stop = askOften(whole, host)
      await relay.close()
      const refused = await until(async () => {
        const answer = await whole.call('POST', '/api/v1/sockets', { name: 'x' }, token)
        return answer.status === 503 ? answer : undefined
      })
      expect(JSON.parse(refused.body.toString())).toMatchObject({ error: 'STORE_UNAVAILABLE' })
      expect(refused.headers['retry-after']).toBe('5')
      expect((await stop()).failures).toEqual([])
      // Its link is lost, and the key that is in memory proves the next one.
      const { accepted } = whole.links
      whole.links.cut()
      await until(async () => whole.links.accepted > accepted && (await exchange(whole.port, { host })).status === 200)
      await startRelay({ target, listen: { port: relay.port } })
      await until(async () => (await whole.call('POST', '/api/v1/sockets', { name: 'x' }, token)).status === 201)
      expect(await user.stop('SIGINT')).toEqual({ code: 0, signal: null })
      expect(await whole.outer.stop()).toEqual({ code: 0, signal: null })
    },
  )
})

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
