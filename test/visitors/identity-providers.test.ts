/** Providers in the file of a service: sockets with cloud authentication need no file of visitors, and nothing of the operator's targets. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createServer } from 'node:http'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createOuterService } from '../../src/cli/run/outer-service.ts'
import { runCli } from '../../src/cli/run-cli.ts'
import { startVisitors, type RunningVisitors } from '../../src/cli/visitors/start-visitors.ts'
import type { CliContext } from '../../src/cli/command/context.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import { Events } from '../../src/events/events.ts'
import { answerWho } from '../../src/platform/answer-who.ts'
import { silentLog } from '../../src/telemetry/log.ts'
import { PASSWORD, startApi, type RunningApi } from '../support/api.ts'
import { Browser } from '../support/browser.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { ZONE } from '../support/directory.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { startOidc, type OidcServer } from '../support/oidc.ts'
import { listen } from '../support/ports.ts'
import { TEST_CONFIG } from '../support/service.ts'
import { tempDir } from '../support/temp.ts'
import { ADA } from '../support/visitors.ts'
import { until } from '../support/wait.ts'

const AUTH = `auth.${ZONE}`

let api: RunningApi
let layers: Layers
let oidc: OidcServer
let visitors: RunningVisitors
let directory: string
let page: string
let shown = ''
let stop: () => void
let ended: Promise<number>
const saw: Record<string, unknown>[] = []

const writeService = (identityProviders: object): void =>
  writeFileSync(join(directory, 'service.yaml'), JSON.stringify({ zone: ZONE, mail: 'outbox', identityProviders }))
const company = (more: object = {}) => ({ issuer: oidc.issuer, clientId: oidc.clientId, clientSecretFile: 'company.secret', ...more })

beforeAll(async () => {
  directory = tempDir()
  oidc = await startOidc([`https://${AUTH}/callback/company`])
  writeFileSync(join(directory, 'company.secret'), oidc.clientSecret, { mode: 0o600 })
  writeService({ company: company() })
  const live = new LiveDirectory({ zone: ZONE, ports: { from: 1_024, to: 65_535 } })
  const apply = async (change: unknown): Promise<void> => {
    await live.apply(change)
  }
  // The service process itself is not started: its rules are, in this one.
  const ports = {
    appPort: 80,
    appScheme: 'http',
    socketPort: 3_001,
    socketScheme: 'ws',
    logLevel: 'info',
    events: new Events({ nowMs: Date.now, onFault: () => undefined }),
  } as const
  const context = { program: 'none', stdout: { isTTY: false } } as unknown as CliContext
  const { logins } = await createOuterService({ file: join(directory, 'service.yaml'), ...ports }, silentLog, context)
  visitors = await startVisitors(
    {
      file: logins!.besides,
      logins: { ...logins!, isAlone: true },
      accounts: credentials => answerWho(api.given.service, credentials),
      onLoginsEnded: live.onLoginsEnded.bind(live),
    },
    silentLog,
  )
  onCleanUp(() => visitors.close())
  const origin = createServer((request, response) => {
    saw.push(request.headers)
    response.end(`origin ${request.url}`)
  })
  const originPort = await listen(origin)
  layers = await startLayers({
    origin: originPort,
    targets: 'targets: {}',
    outer: { directory: live, visitors: visitors.check },
    inners: 0,
  })
  const hosts = { ...TEST_CONFIG.hosts, link: [`ws://127.0.0.1:${layers.socketPort}`] }
  api = await startApi({}, { dataPlane: { apply }, config: { hosts } })
  const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
  ended = runCli({
    // As users of the client of 2021 type it.
    argv: ['connect', '-p', String(originPort), '-n', 'for some', '-c', '-e', 'ada@example.io,bob@example.com', '-d', 'corp.test'],
    env: { SG_SERVER: api.url, SG_API_TOKEN: api.tokens.ada },
    stdout: { write: text => (shown += text) },
    stderr: { write: text => (shown += text) },
    logDestination: { write: () => true },
    untilStopped: () => stopped,
  })
  await until(() => /connected, \d+ ms/.test(shown), { what: 'the connection' })
  page = `${/https?:\/\/[^\s│]+/
    .exec(shown)![0]
    .replace(/^http:/, 'https:')
    .replace(/:\d+$/, '')}/page`
})
afterAll(async () => {
  stop()
  await ended
})

describe('a socket with cloud authentication, by the file of the service alone', () => {
  test('lets in whom its owner has named, and shows its second table', async () => {
    expect(shown).toMatch(/CLOUD AUTH|ALLOWED/i)
    expect(shown).toContain('ada@example.io')
    oidc.person = ADA
    const visit = await new Browser(layers.port).go(page)
    expect([visit.status, visit.url, visit.body]).toEqual([200, page, 'origin /page'])
    expect(saw.at(-1)).toMatchObject({ 'x-auth-email': 'ada@example.io', 'x-auth-groups': 'ops,maths' })
    oidc.person = { sub: 'eve', email: 'eve@elsewhere.test', email_verified: true }
    expect((await new Browser(layers.port).go(page)).status).toBe(403)
    oidc.person = { ...ADA, email_verified: false }
    expect((await new Browser(layers.port).go(page)).status).toBe(400)
  })

  test('has keys of sessions beside the secrets of the service, for their owner alone', () => {
    const keys = join(directory, 'state', 'visitors.key')
    expect(statSync(keys).mode & 0o777).toBe(0o600)
    expect(JSON.parse(readFileSync(keys, 'utf8'))).toMatchObject({ keys: [{ id: expect.any(String) }] })
  })

  test('has its commands: links, rotated keys and ended sessions need no file of visitors', async () => {
    oidc.person = ADA
    const file = join(directory, 'state', 'visitors.yaml')
    const run = async (...argv: string[]): Promise<string> => {
      let [out, err] = ['', '']
      const status = await runCli({
        argv: [...argv, '--visitors', file],
        env: {},
        stdout: { write: text => (out += text) },
        stderr: { write: text => (err += text) },
        logDestination: { write: () => true },
        untilStopped: () => Promise.resolve(undefined),
      })
      expect([status, err]).toEqual([0, ''])
      return out
    }
    const browser = new Browser(layers.port)
    await browser.go(page)
    const [, link] = /(https:\S+sg-share=\S+)/.exec(await run('share', page)) ?? []
    const guest = await new Browser(layers.port).go(link!)
    expect([guest.status, guest.body]).toEqual([200, 'origin /page'])
    await run('visitors', 'rotate')
    expect((await browser.send(page)).status).toBe(200)
    await run('visitors', 'revoke', '--email', 'ada@example.io')
    await until(async () => (await browser.send(page)).status === 401, { what: 'the end of the session' })
    expect(existsSync(file)).toBe(false)
  })

  test('follows the file: another provider counts as soon as it is there, and a wrong one changes nothing', async () => {
    writeService({ company: company({ clientSecretFile: 'missing.secret' }) })
    writeService({ company: company({ title: 'Our company' }), own: { kind: 'accounts', title: 'Your account' } })
    const choice = await until(
      async () => {
        const visit = await new Browser(layers.port).go(page)
        return visit.body.includes('Your account') ? visit : undefined
      },
      { what: 'the choice of two providers' },
    )
    expect(choice.body).toContain('Our company')
    const browser = new Browser(layers.port)
    const [, start] = /href="(\/login\/start\?provider=own[^"]*)"/.exec((await browser.go(page)).body) ?? []
    const form = await browser.go(`https://${AUTH}${start!.replaceAll('&amp;', '&')}`)
    const [, state] = /name="RelayState" value="([^"]*)"/.exec(form.body) ?? []
    const body = new URLSearchParams({ RelayState: state!, email: 'bob@example.com', password: PASSWORD }).toString()
    const visit = await browser.go(`https://${AUTH}/callback/own`, { method: 'POST', body })
    expect([visit.status, visit.url]).toEqual([200, page])
    expect(saw.at(-1)).toMatchObject({ 'x-auth-email': 'bob@example.com', 'x-auth-groups': 'user' })
    // The end of the account ends the session, by way of the directory.
    const { service, clock } = api.given
    clock.advance(Math.max(0, Date.now() - clock.now()))
    await service.accounts.remove(await api.given.actor('admin'), api.ids.bob)
    expect((await browser.send(page)).status).toBe(401)
  })
})

describe('with a file of visitors as well', () => {
  test('visitors of sockets log in by the providers of both', async () => {
    const file = join(directory, 'visitors.yaml')
    const keys = join(directory, 'state', 'visitors.key')
    const provider = JSON.stringify(company({ title: 'The file' }))
    writeFileSync(
      file,
      `auth: https://login.example.test\nkeys: ${keys}\nproviders: { partner: ${provider}, company: ${provider} }\nsockets: partner\n`,
    )
    const read = () =>
      Promise.resolve({
        authUrl: 'https://other.test',
        providers: { company: company({ clientSecretFile: join(directory, 'company.secret') }), own: { kind: 'accounts' } },
      })
    const logins = { file: join(directory, 'service.yaml'), isAlone: false, read }
    const { VisitorsFile } = await import('../../src/config/visitors/visitors-file.ts')
    const handlers = { onChange: () => undefined, onRevoked: () => undefined, onFault: () => undefined }
    const both = new VisitorsFile(file, handlers, logins)
    await both.start()
    try {
      const { authUrl, providers, socketProviders } = both.config
      // Targets that name no provider are for those of the operator's own file.
      expect(both.config.targetProviders).toEqual(['partner', 'company'])
      expect([authUrl, [...providers].map(([name, { title }]) => `${name}: ${title}`), socketProviders]).toEqual([
        'https://login.example.test',
        ['partner: The file', 'company: The file', 'own: e-mail and password'],
        ['partner', 'company', 'own'],
      ])
    } finally {
      await both.close()
    }
  })
})
