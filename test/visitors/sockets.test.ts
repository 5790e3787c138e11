/** `connect --cloudauth`: people log in at a socket of the service whose owner has named them, with a real provider, the real API and rules. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { request, type IncomingMessage } from 'node:http'
import { runCli } from '../../src/cli/run-cli.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import type { LoginEvent } from '../../src/visitors/login-event.ts'
import type { AuditEntry, Socket } from '../../src/service/model.ts'
import { startApi, type RunningApi } from '../support/api.ts'
import { ZONE } from '../support/directory.ts'
import { TEST_CONFIG } from '../support/service.ts'
import { ADA, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'
import { once, until } from '../support/wait.ts'

const BOB = { sub: 'bob', email: 'Bob@Corp.Test', email_verified: true, name: 'Bob' } as const
const EVE = { sub: 'eve', email: 'eve@elsewhere.test', email_verified: true } as const
const PEOPLE = { emails: ['ada@example.io'], domains: ['corp.test'] }

let at: VisitorLayers
let api: RunningApi
let socket: Socket
let page: string
/** Lines of the audit log under way. */
const told: Promise<void>[] = []
/** The output of `connect`. */
let shown = ''
let stop: () => void
let ended: Promise<number>

beforeAll(async () => {
  const directory = new LiveDirectory({ zone: ZONE, ports: { from: 1_024, to: 65_535 } })
  const onEvent = (event: LoginEvent): void => {
    if (event.kind === 'socket-login') told.push(api.given.service.audit.socketLogin(event))
  }
  at = await startVisitorLayers('targets: {}', { visitors: { onEvent }, layers: { outer: { directory }, inners: 0 } })
  const hosts = { ...TEST_CONFIG.hosts, link: [`ws://127.0.0.1:${at.layers.socketPort}`] }
  const apply = async (change: unknown): Promise<void> => {
    await directory.apply(change)
  }
  api = await startApi({}, { dataPlane: { apply }, config: { hosts } })
  const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
  const people = ['--allowed-email-addresses', 'Ada@Example.io', '--allowed-email-domains', 'Corp.Test']
  ended = runCli({
    argv: ['connect', String(at.originPort), '--name', 'for some', '--cloudauth', ...people],
    env: { SG_SERVER: api.url, SG_API_TOKEN: api.tokens.ada },
    stdout: { write: text => (shown += text) },
    stderr: { write: text => (shown += text) },
    logDestination: { write: () => true },
    untilStopped: () => stopped,
  })
  await until(() => /connected, \d+ ms/.test(shown), { what: 'the connection' })
  socket = ((await api.v1('GET', '/sockets')).json as { items: Socket[] }).items[0]!
  page = `https://${socket.dnsName}/page`
})
afterAll(async () => {
  stop()
  await ended
})
beforeEach(async () => {
  at.oidc.person = ADA
  at.saw.length = 0
  await allow(PEOPLE)
})

const allow = async (visitors: unknown): Promise<void> => {
  expect((await api.v1('PATCH', `/sockets/${socket.id}`, { body: { visitors } })).status).toBe(200)
}

/** The visitors who came in, as the owner reads it. */
const visits = async (token = 'ada'): Promise<readonly AuditEntry[]> => {
  await Promise.all(told)
  const { json } = await api.v1('GET', '/audit?action=visitor.login', { token })
  return (json as { items: AuditEntry[] }).items.filter(({ object }) => object === `socket:${socket.id}`)
}

describe('a socket with cloud authentication', () => {
  test('has who comes in with a login in the audit log of its owner, once; nobody hears of who is not let in', async () => {
    const before = (await visits()).length
    const browser = at.browser()
    await browser.go(page)
    await browser.send(page)
    await allow({ ...PEOPLE, domains: ['others.test'] })
    expect((await browser.send(page)).status).toBe(200)
    at.oidc.person = EVE
    expect((await at.browser().go(page)).status).toBe(403)
    const [line, ...more] = await visits()
    expect(line).toMatchObject({
      actor: 'anonymous',
      object: `socket:${socket.id}`,
      isRefused: false,
      details: { who: 'ada@example.io', provider: 'company', by: 'browser' },
    })
    expect(more.length).toBe(before)
    expect(JSON.stringify([line, ...more])).not.toContain('eve@')
    expect(await visits('bob')).toEqual([])
    expect((await visits('root')).length).toBe(before + 1)
    await api.given.service.audit.socketLogin({ socketId: api.ids.ada, who: '-', provider: '-', by: 'program', address: '192.0.2.1' })
    expect((await visits()).length).toBe(before + 1)
  })

  test('has the people log in that its owner has named, and tells its origin and its owner who they are', async () => {
    expect(shown).toMatch(/│ true +│ for some/)
    const visit = await at.browser().go(`${page}?a=1`)
    expect([visit.status, visit.url, visit.body]).toEqual([200, `${page}?a=1`, 'origin /page?a=1'])
    expect(at.saw[0]?.headers).toMatchObject({ 'x-auth-email': 'ada@example.io', 'x-auth-name': 'Ada Lovelace' })
    expect(at.saw[0]?.headers.cookie).toBeUndefined()
    await until(() => /^127\.0\.0\.1 - ada@example\.io \[[^\]]+\] "GET \/page HTTP\/1\.1" 200 /m.test(shown), {
      what: 'the line of the visit',
    })
  })

  test('compares domains without regard to case, and shows others a page', async () => {
    at.oidc.person = BOB
    expect((await at.browser().go(page)).status).toBe(200)
    expect(at.saw.map(({ headers }) => headers['x-auth-email'])).toEqual(['Bob@Corp.Test'])
    at.oidc.person = EVE
    const denied = await at.browser().go(page)
    expect([denied.status, denied.body]).toEqual([403, expect.stringContaining('eve@elsewhere.test')])
    at.oidc.person = { ...ADA, email_verified: false }
    expect((await at.browser().go(page)).status).toBe(400)
    expect(at.saw).toHaveLength(1)
  })

  test('gives programs no redirect, and believes nobody who says who they are', async () => {
    const answer = await at.browser().send(page, { headers: { 'x-auth-email': 'ada@example.io' } })
    expect([answer.status, answer.body, at.saw]).toEqual([401, expect.stringContaining('VISITOR_REQUIRED'), []])
  })

  test('lets in by the lists that are in force, whoever is logged in already and whatever is open', async () => {
    const browser = at.browser()
    await browser.go(page)
    const status = async (): Promise<number> => (await browser.send(page)).status
    const cookie = `__Host-sg-login-visitor=${browser.cookie(socket.dnsName, '__Host-sg-login-visitor')}`
    const headers = { host: socket.dnsName, cookie, 'x-forwarded-proto': 'https' }
    const sent = request({ host: '127.0.0.1', port: at.layers.port, path: '/endless', headers }).end()
    const [download] = (await once(sent, 'response')) as [IncomingMessage]
    const broken = new Promise(resolve => download.on('error', resolve).resume())
    await allow({ emails: [], domains: ['corp.test'] })
    expect(await status()).toBe(403)
    // Looks at what is open; it does so by itself now and then.
    at.visitors.revocations.add([{ kind: 'email', email: 'nobody@example.io', atMs: Date.now() }])
    await broken
    expect(download.complete).toBe(false)
    await allow(PEOPLE)
    expect(await status()).toBe(200)
    await allow(null)
    expect((await at.browser().send(page)).status).toBe(200)
  })

  test('asks for a group as well, or for nothing else, where its owner has named some', async () => {
    const statusOf = async (visitors: unknown, person: typeof ADA | typeof BOB | typeof EVE): Promise<number> => {
      await allow(visitors)
      at.oidc.person = person
      return (await at.browser().go(page)).status
    }
    expect(await statusOf({ ...PEOPLE, groups: ['dba', 'ops'] }, ADA)).toBe(200)
    // Of the right domain, and in no group.
    expect(await statusOf({ ...PEOPLE, groups: ['dba', 'ops'] }, BOB)).toBe(403)
    expect(await statusOf({ ...PEOPLE, groups: ['dba', 'Ops'] }, ADA)).toBe(403)
    const alone = { emails: [], domains: [], groups: ['maths', 'maths'] }
    expect([await statusOf(alone, ADA), await statusOf(alone, EVE)]).toEqual([200, 403])
    expect((await api.v1('GET', `/sockets/${socket.id}`)).json).toMatchObject({ visitors: { ...alone, groups: ['maths'] } })
    const browser = at.browser()
    at.oidc.person = ADA
    await browser.go(page)
    await allow({ ...alone, groups: ['ops', 'dba'] })
    expect((await browser.send(page)).status).toBe(200)
    await allow({ ...alone, groups: ['dba'] })
    expect((await browser.send(page)).status).toBe(403)
    for (const visitors of [
      { ...alone, groups: [] },
      { ...alone, groups: [''] },
      { ...alone, groups: ['a\nb'] },
      { ...alone, groups: 'ops' },
    ])
      expect((await api.v1('PATCH', `/sockets/${socket.id}`, { body: { visitors } })).status).toBe(400)
  })

  test('is closed while the operator has no provider for sockets, and asks again where another one counts', async () => {
    const before = at.config
    const browser = at.browser()
    await browser.go(page)
    const [company] = before.providers.values()
    const providers = new Map([...before.providers, ['partner', { ...company!, name: 'partner' }]])
    try {
      at.config = { ...before, socketProviders: [] }
      const closed = await browser.go(page)
      expect([closed.status, closed.body]).toEqual([503, expect.stringContaining('--visitors')])
      const line = await until(() => at.layers.accessLog.find(({ status }) => status === 503), { what: 'the line of the refusal' })
      expect(line).toMatchObject({ error: 'VISITOR_LOGIN_MISSING', visitor: '-' })
      at.config = { ...before, providers, socketProviders: ['partner'] }
      expect((await browser.send(page)).status).toBe(401)
      expect((await browser.go(page)).status).toBe(200)
      at.config = { ...before, providers, socketProviders: ['company', 'partner'] }
      const choice = await at.browser().go(page)
      expect(choice.body.match(/provider=(?:company|partner)&/g)).toHaveLength(2)
    } finally {
      at.config = before
    }
  })
})
