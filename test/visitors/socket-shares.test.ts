/** Share links that the owner of a socket makes, by the real API, and what they open at the gateway. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { request, type IncomingMessage } from 'node:http'
import { runCli } from '../../src/cli/run-cli.ts'
import { socketLoginOf } from '../../src/cli/visitors/start-visitors.ts'
import { VisitorLanes } from '../../src/cli/visitors/visitor-lanes.ts'
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import type { IssuedShare, Share, Socket } from '../../src/client/wire.ts'
import type { AuditEntry } from '../../src/service/model.ts'
import type { LoginEvent } from '../../src/visitors/login-event.ts'
import { startApi, type ApiAnswer, type RunningApi } from '../support/api.ts'
import { ZONE } from '../support/directory.ts'
import { writeVisitorsFiles } from '../support/lanes.ts'
import { TEST_CONFIG } from '../support/service.ts'
import { ADA, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'
import { once, until } from '../support/wait.ts'

let at: VisitorLayers
let api: RunningApi
let socket: Socket
/** Lines of the audit log under way. */
const told: Promise<void>[] = []
let stop: () => void
let ended: Promise<number>

beforeAll(async () => {
  const directory = new LiveDirectory({ zone: ZONE, ports: { from: 1_024, to: 65_535 } })
  const onEvent = (event: LoginEvent): void => {
    const came = socketLoginOf(event)
    if (came !== undefined) told.push(api.given.service.audit.socketLogin(came))
  }
  const lanes = new VisitorLanes(
    writeVisitorsFiles(),
    fault => {
      throw fault
    },
    onEvent,
  )
  const visitors = { onEvent, lanes: lanes.create.bind(lanes) }
  at = await startVisitorLayers('targets: {}', { visitors, layers: { outer: { directory }, inners: 0 } })
  const hosts = { ...TEST_CONFIG.hosts, link: [`ws://127.0.0.1:${at.layers.socketPort}`] }
  const apply = async (change: unknown): Promise<void> => {
    await directory.apply(change)
  }
  api = await startApi({}, { dataPlane: { apply }, config: { hosts } })
  const stopped = new Promise<undefined>(resolve => (stop = () => resolve(undefined)))
  let shown = ''
  ended = runCli({
    argv: ['connect', String(at.originPort), '--name', 'for some', '--cloudauth', '--allowed-email-addresses', 'ada@example.io'],
    env: { SG_SERVER: api.url, SG_API_TOKEN: api.tokens.ada },
    stdout: { write: text => (shown += text) },
    stderr: { write: text => (shown += text) },
    logDestination: { write: () => true },
    untilStopped: () => stopped,
  })
  await until(() => /connected, \d+ ms/.test(shown), { what: 'the connection' })
  socket = ((await api.v1('GET', '/sockets')).json as { items: Socket[] }).items[0]!
})
afterAll(async () => {
  stop()
  await ended
})

const sharesPath = (): string => `/sockets/${socket.id}/shares`
const make = async (body: object = {}): Promise<IssuedShare> => {
  const { status, json } = await api.v1('POST', sharesPath(), { body })
  expect(status).toBe(201)
  return json as IssuedShare
}
const listed = async (): Promise<readonly Share[]> => {
  await Promise.all(told)
  return ((await api.v1('GET', sharesPath())).json as { items: Share[] }).items
}
const codeOf = ({ status, json }: ApiAnswer): string => `${status} ${(json as { error: string }).error}`

describe('a share link of a socket', () => {
  test('lets in whoever has it, to what it is for, without a login, until it is revoked', async () => {
    const { url, id, ...made } = await make({ path: '/plan' })
    expect(url).toMatch(new RegExp(`^https://${socket.dnsName}/plan\\?sg-share=sgl_[\\w-]{43}$`))
    expect(made).toMatchObject({ socketId: socket.id, path: '/plan', methods: ['GET', 'HEAD'], maxUses: null, uses: null, email: null })
    expect(JSON.stringify(await listed())).not.toContain('sgl_')
    const browser = at.browser()
    const opened = await browser.go(url)
    expect([opened.status, opened.url, opened.body]).toEqual([200, `https://${socket.dnsName}/plan`, 'origin /plan'])
    expect(at.saw.at(-1)?.headers['x-auth-name']).toBe(`share ${id}`)
    expect((await browser.send(`https://${socket.dnsName}/plan/b`)).status).toBe(200)
    expect((await browser.send(`https://${socket.dnsName}/other`)).status).toBe(401)
    const program = await at.browser().send(`https://${socket.dnsName}/plan`, { headers: { 'x-sg-share': url.split('=')[1]! } })
    expect(program.status).toBe(200)
    // What is open ends as well.
    const cookie = `__Host-sg-login-share=${browser.cookie(socket.dnsName, '__Host-sg-login-share')}`
    const all = await make()
    const endless = at.browser()
    await endless.go(all.url)
    const own = `__Host-sg-login-share=${endless.cookie(socket.dnsName, '__Host-sg-login-share')}`
    const headers = { host: socket.dnsName, cookie: own, 'x-forwarded-proto': 'https' }
    const sent = request({ host: '127.0.0.1', port: at.layers.port, path: '/endless', headers }).end()
    const [download] = (await once(sent, 'response')) as [IncomingMessage]
    const broken = new Promise(resolve => download.on('error', resolve).resume())
    for (const each of [id, all.id]) expect((await api.v1('DELETE', `${sharesPath()}/${each}`)).status).toBe(204)
    at.visitors.revocations.add([{ kind: 'email', email: 'nobody@example.io', atMs: Date.now() }])
    await broken
    expect((await browser.send(`https://${socket.dnsName}/plan`)).status).toBe(401)
    expect((await browser.send(`https://${socket.dnsName}/plan`, { headers: { cookie } })).status).toBe(401)
    expect((await at.browser().go(url)).status).toBe(401)
    expect(await listed()).toEqual([])
  })

  test('is opened so often and no more, which its owner sees, who was not told before', async () => {
    const { url, id } = await make({ maxUses: 2 })
    for (const status of [200, 200, 403]) expect((await at.browser().go(url)).status).toBe(status)
    const [share] = await listed()
    expect([share?.id, share?.uses, share?.maxUses, typeof share?.usedAt]).toEqual([id, 2, 2, 'string'])
    const { json } = await api.v1('GET', '/audit?action=visitor.login')
    expect((json as { items: AuditEntry[] }).items[0]?.details).toEqual({ who: `share ${id}`, provider: 'share', by: 'browser', share: id })
    expect((await api.v1('DELETE', `${sharesPath()}/${id}`)).status).toBe(204)
  })

  test('for one person asks who comes', async () => {
    const { url, id } = await make({ email: 'ada@example.io' })
    at.oidc.person = ADA
    const ada = await at.browser().go(url)
    expect([ada.status, ada.body]).toEqual([200, 'origin /'])
    at.oidc.person = { sub: 'eve', email: 'eve@elsewhere.test', email_verified: true }
    expect((await at.browser().go(url)).status).toBe(403)
    expect((await api.v1('DELETE', `${sharesPath()}/${id}`)).status).toBe(204)
  })

  test('is made, listed and revoked by the owner of the socket alone, for sockets with a login alone', async () => {
    const { id } = await make()
    expect(codeOf(await api.v1('GET', sharesPath(), { token: 'bob' }))).toBe('404 NOT_FOUND')
    expect(codeOf(await api.v1('POST', sharesPath(), { token: 'bob', body: {} }))).toBe('404 NOT_FOUND')
    expect(codeOf(await api.v1('DELETE', `${sharesPath()}/${id}`, { token: 'bob' }))).toBe('404 NOT_FOUND')
    const bad = [
      { path: 'plan' },
      { path: '/a/../b' },
      { path: '/a?b' },
      { path: '//a' },
      { path: '/a%2fb' },
      { methods: [] },
      { methods: ['get'] },
      { maxUses: 0 },
      { email: 'nobody' },
      { expiresAt: '2020-01-01T00:00:00Z' },
      { expiresAt: '2099-01-01T00:00:00Z' },
    ]
    for (const body of bad) expect([body, codeOf(await api.v1('POST', sharesPath(), { body }))]).toEqual([body, '400 INVALID'])
    for (const type of ['http', 'tcp']) {
      const { json } = await api.v1('POST', '/sockets', { body: { name: 'open', type } })
      const open = (json as Socket).id
      expect(codeOf(await api.v1('POST', `/sockets/${open}/shares`, { body: {} }))).toBe('409 CONFLICT')
    }
    await Promise.all(Array.from({ length: 99 }, () => make()))
    expect(codeOf(await api.v1('POST', sharesPath(), { body: {} }))).toBe('403 LIMIT_REACHED')
    expect(await listed()).toHaveLength(100)
  })
})
