/** `forward --login`, the program: in this process, with a gateway whose auth host is on this machine. */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { runCli } from '../../src/cli/run-cli.ts'
import { Seal } from '../../src/visitors/session/seal.ts'
import { sessionText } from '../../src/visitors/session/session.ts'
import { cookieName } from '../../src/visitors/session/session-cookie.ts'
import { atAuthHost } from '../../src/visitors/session/sessions.ts'
import { Browser } from '../support/browser.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { tempDir } from '../support/temp.ts'
import { tunnelsOf } from '../support/tunnels.ts'
import { ADA, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'
import { until } from '../support/wait.ts'

let all: VisitorLayers
let db: string
const folder = tempDir()

beforeAll(async () => {
  const origin = await startTcpOrigin(echo)
  db = `127.0.0.1:${origin.port}`
  all = await startVisitorLayers(tunnelsOf({ [db]: '{access: {login: {emails: [ada@example.io]}}}' }))
  all.config = { ...all.config, authUrl: `http://127.0.0.1:${all.layers.port}`, authHost: '127.0.0.1' }
})

interface Forwarding {
  readonly out: () => string
  readonly shown: () => string
  stop(): Promise<number>
}
const stops: (() => Promise<number>)[] = []
afterAll(() => Promise.all(stops.map(stop => stop())))

/** Runs the command until `stop`. */
function forward(...argv: readonly string[]): Forwarding {
  let [out, shown] = ['', '']
  let end: () => void = () => undefined
  const stopped = new Promise<undefined>(resolve => (end = () => resolve(undefined)))
  const status = runCli({
    argv: ['forward', '--login', '--log-format', 'json', ...argv],
    env: { XDG_CONFIG_HOME: folder },
    stdout: { write: text => (out += text) },
    stderr: { write: text => (shown += text) },
    logDestination: { write: text => (out += text) },
    untilStopped: () => stopped,
  })
  const stop = (): Promise<number> => {
    end()
    return status
  }
  stops.push(stop)
  return { out: () => out, shown: () => shown, stop }
}

const urlOf = (): string => `ws://127.0.0.1:${all.layers.port}/tunnel/${db}`

/** Somebody whose browser is logged in at the auth host, and says yes. */
async function sayYes(text: string): Promise<void> {
  const [url] = /http:\S+\?code=\S+/.exec(text)!
  const now = Date.now()
  const person = { provider: 'company', subject: ADA.sub, email: ADA.email, name: ADA.name, groups: [], claims: new Map() }
  const session = sessionText({ person, loginId: `login ${now}`, id: `id ${now}`, loggedInMs: now, seenMs: now })
  const { kind, purpose } = atAuthHost('company')
  const browser = new Browser(all.layers.port)
  const value = new Seal(() => all.keys).seal(purpose, '127.0.0.1', session)
  const headers = { cookie: `${cookieName(kind, 'http')}=${value}`, 'sec-fetch-site': 'same-origin' }
  const page = await browser.go(url, { headers })
  expect(page.body).toContain(`through 127.0.0.1:${all.layers.port}`)
  const [, code] = /code=(\S+)/.exec(url)!
  const done = await browser.go(url.split('?')[0]!, { method: 'POST', body: `code=${code}&decision=allow`, headers })
  expect(done.body).toContain('can connect now')
}

/** Sends something through the port that a forwarding has opened. */
async function talk(forwarding: Forwarding): Promise<string> {
  const [, port] = await until(() => /"forwarding 127\.0\.0\.1:(\d+) to/.exec(forwarding.out()))
  const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined)
  onCleanUp(() => socket.destroy())
  socket.end('hello')
  let got = ''
  socket.on('data', (chunk: Buffer) => (got += chunk.toString()))
  await new Promise(resolve => socket.once('close', resolve))
  return got
}

test('shows where to log in, keeps the token for itself, and needs no login the next time', async () => {
  const first = forward('127.0.0.1:0', urlOf())
  await until(() => first.shown().includes('?code='))
  expect(first.shown()).toMatch(/^To open \S+, log in at\n\n {4}http:\S+\/device\n\nwith the code [A-Z]{4}-[A-Z]{4}, or open /)
  await sayYes(first.shown())
  expect(await talk(first)).toBe('hello')
  expect(await first.stop()).toBe(0)
  const file = join(folder, 'socket-gateway', 'tunnels.json')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const { token } = (JSON.parse(readFileSync(file, 'utf8')) as { gateways: Record<string, { token: string }[]> }).gateways[
    `ws://127.0.0.1:${all.layers.port}`
  ]![0]!
  expect(token).toMatch(/^sgd_/)
  expect(first.out() + first.shown()).not.toContain(token)
  const second = forward('127.0.0.1:0', urlOf())
  expect(await talk(second)).toBe('hello')
  expect(second.shown()).toBe('')
  // Everybody is logged out while it runs: a connection fails, and somebody is asked again.
  const atMs = Date.now()
  all.visitors.revocations.add([{ kind: 'email', atMs, email: ADA.email }])
  expect(await talk(second)).toBe('')
  await until(() => second.shown().includes('?code='))
  await until(() => Date.now() > atMs)
  await sayYes(second.shown())
  await until(() => second.out().match(/logged in at/))
  expect(await talk(second)).toBe('hello')
  await second.stop()
})

test('says what is missing where nobody can log in, and takes one kind of credential', async () => {
  const bare = await startVisitorLayers(tunnelsOf({ 'db.lan:1': '{tokens: ["sha256:3P8mWqjPz3Yy0vJ2XJt0vQmJb1uGq9mYw1yq1nq3v0E"]}' }))
  const refused = forward('127.0.0.1:0', `ws://127.0.0.1:${bare.layers.port}/tunnel/db.lan:1`)
  expect(await refused.stop()).toBe(1)
  expect(refused.shown()).toContain('has no login for its tunnels: it needs "access: { login: … }" at the tunnel, and --visitors')
  const two = forward('--token-file', 'x', '127.0.0.1:0', urlOf())
  expect(await two.stop()).toBe(2)
  expect(two.shown()).toContain('--token-file, --private-key, --client-certificate and --login: expected one of them')
})
