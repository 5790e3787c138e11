/** Tunnels for people who have logged in on some machine, and for programs with tokens. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Failures } from '../../src/visitors/failures.ts'
import { addServiceToken, readServiceTokens, type NewServiceToken } from '../../src/visitors/tokens/service-token.ts'
import { TokenLane } from '../../src/visitors/tokens/token-lane.ts'
import type { Browser, Visit } from '../support/browser.ts'
import type { LogRecord } from '../support/layers.ts'
import { valuesOf } from '../support/proxy-values.ts'
import { echo, startTcpOrigin, type TcpOrigin } from '../support/tcp-origin.ts'
import { ask, basic, bearer, hangUp, tunnelsOf } from '../support/tunnels.ts'
import { ADA, AUTH, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'
import { until } from '../support/wait.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

let origin: TcpOrigin
let all: VisitorLayers
let tokens: TokenLane
let tokenFile: string | undefined
let db: string
/** Its origin is told who comes. */
let told: string

beforeAll(async () => {
  origin = await startTcpOrigin(echo)
  db = `127.0.0.1:${origin.port}`
  told = `127.0.0.1:${(await startTcpOrigin(echo)).port}`
  const targets = tunnelsOf({
    [db]: '{access: {login: {emails: [ada@example.io]}, tokens: true}}',
    [told]: '{access: {login: {emails: [ada@example.io]}, tokens: true}, proxyProtocol: 2, identity: true}',
    '127.0.0.1:1': '{access: {login: {groups: [nobody]}}}',
    '127.0.0.1:2': '{tokens: ["sha256:3P8mWqjPz3Yy0vJ2XJt0vQmJb1uGq9mYw1yq1nq3v0E"]}',
  })
  all = await startVisitorLayers(targets, {
    visitors: { lanes: ({ watch }) => [(tokens = new TokenLane({ watch, failures: new Failures(Date.now), clock: Date.now }))] },
  })
})
afterAll(hangUp)

const port = (): number => all.layers.port
let elsewhere = 0
const from = (): string => `X-Forwarded-For: 198.51.100.${++elsewhere}`

/** The request of a program to the auth host. */
async function post(
  path: string,
  form: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const { status, body } = await all
    .browser()
    .send(`https://${AUTH}${path}`, { method: 'POST', body: new URLSearchParams(form).toString() })
  return { status, body: JSON.parse(body) as Record<string, unknown> }
}
const begin = async (scope = db): Promise<Record<string, string>> =>
  (await post('/device/authorize', { scope })).body as Record<string, string>
const poll = (device: string, wait = '0') => post('/device/token', { grant_type: GRANT, device_code: device, wait })
const decide = (browser: Browser, code: string, decision: string, site = 'same-origin'): Promise<Visit> =>
  browser.go(`https://${AUTH}/device`, {
    method: 'POST',
    body: new URLSearchParams({ code, decision }).toString(),
    headers: { 'sec-fetch-site': site },
  })

/** The token of a program for which somebody has logged in. */
async function login(
  scope = db,
  person = ADA as typeof ADA | { readonly sub: string; readonly email: string; readonly email_verified: true },
): Promise<string> {
  all.oidc.person = person
  const { device_code: device, verification_uri_complete: url, user_code: code } = await begin(scope)
  const browser = all.browser()
  expect((await browser.go(url!)).body).toContain(code)
  await decide(browser, code!, 'allow')
  return (await poll(device!)).body['access_token'] as string
}

function serviceToken(wanted: Partial<NewServiceToken>): string {
  const added = addServiceToken(
    tokenFile,
    { name: `ci ${++elsewhere}`, targets: [db], methods: ['*'], paths: [], lastsMs: 3_600_000, ...wanted },
    Date.now(),
  )
  tokenFile = added.text
  tokens.set(readServiceTokens(tokenFile))
  return added.token
}

const connectionLine = (who: string): Promise<LogRecord> =>
  until(() => all.layers.outerLogs.find(({ msg, visitor }) => msg === 'connection' && visitor === who))

describe('a program whose user logs in elsewhere', () => {
  test('is told where, and whether there is such a tunnel or not makes no difference', async () => {
    for (const name of [db, '127.0.0.1:1', '127.0.0.1:2', 'none.lan:9']) {
      const refused = await ask(port(), `/tunnel/${name}`, from())
      expect([refused.status, refused.field('WWW-Authenticate')]).toEqual([401, 'Bearer realm="tunnels"'])
      expect(refused.head).toContain(`SG-Login device="https://${AUTH}/device/authorize"`)
    }
  })

  test('gets a token that opens the tunnel, and the log says whose it is', async () => {
    all.oidc.person = ADA
    const begun = await begin()
    expect(begun).toMatchObject({ verification_uri: `https://${AUTH}/device`, interval: 5, expires_in: 600 })
    expect(begun['user_code']).toMatch(/^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/)
    expect(await poll(begun['device_code']!)).toEqual({ status: 400, body: { error: 'authorization_pending' } })
    const waiting = poll(begun['device_code']!, '25')
    const browser = all.browser()
    const page = await browser.go(begun['verification_uri_complete']!)
    for (const text of ['ada@example.io', '127.0.0.1', db, begun['user_code']!]) expect(page.body).toContain(text)
    expect((await decide(browser, begun['user_code']!, 'allow')).body).toContain('can connect now')
    const { status, body } = await waiting
    expect([status, body['token_type']]).toEqual([200, 'Bearer'])
    // Once.
    expect((await poll(begun['device_code']!)).body).toEqual({ error: 'expired_token' })
    const peer = await ask(port(), `/tunnel/${db}`, bearer(body['access_token'] as string))
    expect(peer.status).toBe(101)
    peer.sendClose(1000)
    await peer.gone()
    expect(await connectionLine('ada@example.io')).toMatchObject({ lane: 'login', target: db, port: 'tunnel' })
    expect(all.events).toContainEqual(
      expect.objectContaining({ kind: 'device', who: 'ada@example.io', provider: 'company', tunnels: [db], isAllowed: true }),
    )
    expect(JSON.stringify([all.layers.outerLogs, all.events])).not.toContain(String(body['access_token']).slice(0, 40))
  })

  test('types a code that somebody reads out, in any spelling', async () => {
    all.oidc.person = ADA
    const { user_code: code, device_code: device } = await begin()
    const browser = all.browser()
    expect((await browser.go(`https://${AUTH}/device`)).body).toContain('name="code"')
    const typed = code!.toLowerCase().replace('-', ' ')
    expect((await browser.go(`https://${AUTH}/device?code=${encodeURIComponent(typed)}`)).body).toContain(db)
    expect((await browser.go(`https://${AUTH}/device?code=BBBB-BBBB`)).status).toBe(404)
    await decide(browser, typed, 'refuse')
    expect((await poll(device!)).body).toEqual({ error: 'access_denied' })
  })

  test('gets nothing by a page of another site, without a login, or after ten minutes', async () => {
    all.oidc.person = ADA
    const { user_code: code, device_code: device, verification_uri_complete: url } = await begin()
    const browser = all.browser()
    expect(
      (await all.browser().go(`https://${AUTH}/device`, { method: 'POST', body: `code=${code}&decision=allow`, follows: false })).status,
    ).toBe(403)
    const stranger = await all.browser().go(`https://${AUTH}/device`, {
      method: 'POST',
      body: `code=${code}&decision=allow`,
      headers: { 'sec-fetch-site': 'same-origin' },
      follows: false,
    })
    expect([stranger.status, stranger.headers.location]).toEqual([303, expect.stringContaining('/login?wish=')])
    await browser.go(url!)
    expect((await decide(browser, code!, 'allow', 'cross-site')).status).toBe(403)
    expect((await poll(device!)).body).toEqual({ error: 'authorization_pending' })
    all.aheadMs = 601_000
    expect((await poll(device!)).body).toEqual({ error: 'expired_token' })
    expect((await browser.go(url!)).status).toBe(404)
    all.aheadMs = 0
  })

  test('is refused with a tunnel of others, by the rule, and when the login is over', async () => {
    const token = await login()
    for (const [name, status] of [
      ['127.0.0.1:1', 403],
      ['127.0.0.1:2', 401],
    ] as const)
      expect([name, (await ask(port(), `/tunnel/${name}`, bearer(token), from())).status]).toEqual([name, status])
    const other = await login(`${db} 127.0.0.1:1`, { sub: 'eve', email: 'eve@example.io', email_verified: true })
    expect((await ask(port(), `/tunnel/${db}`, bearer(other), from())).status).toBe(403)
    all.aheadMs = 8 * 3_600_000 + 1_000
    const late = await ask(port(), `/tunnel/${db}`, bearer(token), from())
    all.aheadMs = 0
    expect([late.status, late.head.includes('SG-Login device=')]).toEqual([401, true])
    expect((await ask(port(), `/tunnel/${db}`, bearer(`${token.slice(0, -6)}AAAAAA`), from())).status).toBe(401)
  })

  test('is cut, with a code that says why, when the person is revoked', async () => {
    const peer = await ask(port(), `/tunnel/${db}`, bearer(await login()))
    expect(peer.status).toBe(101)
    all.visitors.revocations.add([{ kind: 'email', atMs: Date.now(), email: 'ada@example.io' }])
    const { code, reason } = await peer.closeFrame()
    expect([code, reason]).toEqual([1008, 'the session was ended'])
  })

  test.each([
    ['nothing', ''],
    ['a host', 'db.lan'],
    ['half a name', 'a b:c'],
    ['too many', Array.from({ length: 51 }, (_, i) => `a:${i + 1}`).join(' ')],
  ])('that asks for %s gets nothing', async (_, scope) => {
    expect((await post('/device/authorize', { scope })).body['error']).toBe('invalid_scope')
  })
})

test('an origin that wants to know is told who it is, by a header that is signed', async () => {
  const peer = await ask(port(), `/tunnel/${told}`, bearer(await login(told)))
  await until(() => peer.bytes.length > 16 && peer.bytes.length >= 16 + peer.bytes.readUInt16BE(14))
  const values = valuesOf(peer.bytes)
  expect([0xe0, 0xe1, 0xe2, 0xe3, 0xe4].map(type => values.get(type)?.toString())).toEqual([
    ...['login', 'company|ada', 'ada@example.io', 'Ada Lovelace', 'ops,maths'],
  ])
  const [, payload] = values.get(0xe5)!.toString().split('.')
  expect(JSON.parse(Buffer.from(payload!, 'base64url').toString())).toMatchObject({
    aud: told,
    iss: `https://${AUTH}`,
    email: 'ada@example.io',
  })
})

describe('a service token', () => {
  test('opens the tunnels that it was made for, as a bearer, a password, or in its own field', async () => {
    const token = serviceToken({ name: 'backup' })
    for (const line of [bearer(token), basic('x', token), `X-SG-Token: ${token}`]) {
      const peer = await ask(port(), `/tunnel/${db}`, line)
      expect([line.split(' ')[0], peer.status]).toEqual([line.split(' ')[0], 101])
      peer.sendClose(1000)
      await peer.gone()
    }
    expect(await connectionLine('backup')).toMatchObject({ lane: 'token' })
  })

  test.each([
    ['for another tunnel', { targets: ['127.0.0.1:1'] }],
    ['for a method', { methods: ['GET'] }],
    ['for a path', { paths: ['/api'] }],
  ])('%s does not', async (_, wanted) => {
    expect((await ask(port(), `/tunnel/${db}`, bearer(serviceToken(wanted)), from())).status).toBe(403)
  })

  test('ends what is open by it when it is revoked', async () => {
    const peer = await ask(port(), `/tunnel/${db}`, bearer(serviceToken({})))
    expect(peer.status).toBe(101)
    tokens.set([])
    expect((await peer.closeFrame()).code).toBe(1008)
  })
})

test('verdicts about connections are counted', () => {
  const counts = [...all.visitors.check.counts].map(({ lane, outcome }) => `${lane} ${outcome}`)
  expect(counts).toEqual(expect.arrayContaining(['login admitted', 'login refused', 'token admitted', 'token refused']))
})
