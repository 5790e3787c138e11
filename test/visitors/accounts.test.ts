/** Accounts of the service as a provider, by the real rules: with sockets and with targets of the operator. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { answerWho } from '../../src/platform/answer-who.ts'
import { AccountQuestions } from '../../src/service-host/account-questions.ts'
import type { ToService } from '../../src/service-host/ipc.ts'
import type { Service } from '../../src/service/contract.ts'
import type { Actor } from '../../src/service/model.ts'
import type { ProviderConfig } from '../../src/visitors/config.ts'
import type { AccountCheck } from '../../src/visitors/providers/accounts-provider.ts'
import { PASSWORD, startApi, type RunningApi } from '../support/api.ts'
import type { Browser, Visit } from '../support/browser.ts'
import { until } from '../support/wait.ts'
import { AUTH, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'

const WIKI = 'https://wiki.example.test'
const TARGETS = `
targets:
  wiki.example.test: { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { provider: own, emails: [ada@example.com] } } }
  open.example.test: { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { provider: own, anyone: true } } }
  admin.example.test: { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { provider: own, groups: [admin] } } }
`
const OWN: ProviderConfig = {
  name: 'own',
  kind: 'accounts',
  title: 'e-mail and password',
  issuer: 'the service',
  clientId: '',
  clientSecret: '',
  scopes: [],
  groupsClaim: 'groups',
  keptGroups: undefined,
  keptClaims: [],
  trustsEmail: false,
}

let at: VisitorLayers
let api: RunningApi
/** Instead of the service. */
let ask: AccountCheck | undefined
beforeAll(async () => {
  at = await startVisitorLayers(TARGETS, {
    config: { providers: new Map([['own', OWN]]) },
    visitors: { accounts: credentials => ask?.(credentials) ?? answerWho(api.given.service, credentials) },
    // Each test comes from somewhere else: the service counts what is wrong by address.
    layers: { outer: { trustProxy: ['127.0.0.1'] } },
  })
  // The data plane of the service is this gateway, as far as logins are concerned.
  api = await startApi({}, { dataPlane: { apply: async ({ endedLogins }) => at.visitors.revocations.endLogins(endedLogins) } })
})
let from = ''
let tests = 0
beforeEach(() => {
  from = `198.51.100.${++tests}`
  ask = undefined
  at.saw.length = 0
  at.events.length = 0
})

const headers = () => ({ 'x-forwarded-for': from })
/** The form that a page has, filled in. */
async function logIn(browser: Browser, page: Visit, email: string, password: string): Promise<Visit> {
  const [, action] = /<form method="post" action="([^"]*)"/.exec(page.body) ?? []
  const [, state] = /name="RelayState" value="([^"]*)"/.exec(page.body) ?? []
  const body = new URLSearchParams({ RelayState: state!, email, password }).toString()
  return browser.go(`https://${AUTH}${action}`, { method: 'POST', body, headers: { ...headers(), origin: `https://${AUTH}` } })
}
const open = (browser: Browser, url: string): Promise<Visit> => browser.go(url, { headers: headers() })

describe('an account of the service', () => {
  test('logs in on a page of the gateway, and the origin is told who it is', async () => {
    const browser = at.browser()
    const page = await open(browser, `${WIKI}/page?a=1`)
    expect([page.status, new URL(page.url).pathname]).toEqual([200, '/account'])
    expect(page.body).toContain('autocomplete="current-password"')
    // Chromium holds redirects behind a form to the policy of its page.
    expect(page.headers['content-security-policy']).toContain(`form-action 'self' ${WIKI};`)
    const visit = await logIn(browser, page, 'Ada@Example.com', PASSWORD)
    expect([visit.status, visit.url, visit.body]).toEqual([200, `${WIKI}/page?a=1`, 'origin /page?a=1'])
    expect(at.saw[0]?.headers).toMatchObject({ 'x-auth-email': 'ada@example.com', 'x-auth-name': 'Ada', 'x-auth-groups': 'user' })
    expect(JSON.stringify([at.events, at.saw, at.layers.accessLog])).not.toContain(PASSWORD)
  })

  test('with another role is in another group', async () => {
    for (const [name, status] of [
      ['root', 200],
      ['bob', 403],
    ] as const) {
      const browser = at.browser()
      const page = await open(browser, 'https://admin.example.test/')
      expect((await logIn(browser, page, `${name}@example.com`, PASSWORD)).status).toBe(status)
    }
  })

  test('is asked again after a wrong password, without a word whether there is such an account', async () => {
    const browser = at.browser()
    let page = await open(browser, `${WIKI}/x`)
    const bodies: string[] = []
    for (const email of ['ada@example.com', 'nobody@example.com', 'no address']) {
      page = await logIn(browser, page, email, 'wrong')
      expect([page.status, page.body.includes('role="alert"')]).toEqual([200, true])
      bodies.push(page.body.replace(/name="RelayState" value="[^"]*"/, ''))
    }
    expect(new Set(bodies).size).toBe(1)
    expect(at.events.map(event => event.kind)).toEqual(['login-failed', 'login-failed', 'login-failed'])
    expect((await logIn(browser, page, 'ada@example.com', PASSWORD)).url).toBe(`${WIKI}/x`)
  })

  test('is limited by address, and for nobody who is elsewhere', async () => {
    const browser = at.browser()
    let page = await open(browser, `${WIKI}/x`)
    for (let i = 0; i < 5; i++) page = await logIn(browser, page, 'ada@example.com', 'wrong')
    page = await logIn(browser, page, 'ada@example.com', PASSWORD)
    expect([page.status, Number(page.headers['retry-after']) > 0]).toEqual([429, true])
    from = '203.0.113.9'
    const elsewhere = at.browser()
    expect((await logIn(elsewhere, await open(elsewhere, `${WIKI}/x`), 'ada@example.com', PASSWORD)).status).toBe(200)
  })

  test('that is suspended is none', async () => {
    const admin = await api.given.actor('admin')
    await api.given.service.accounts.suspend(admin, api.ids.bob)
    const browser = at.browser()
    const page = await logIn(browser, await open(browser, 'https://admin.example.test/'), 'bob@example.com', PASSWORD)
    expect(page.body).toContain('role="alert"')
    await api.given.service.accounts.resume(admin, api.ids.bob)
  })

  test('has its login in the audit log of the service', async () => {
    const admin = await api.given.actor('admin')
    const { items } = await api.given.service.audit.list(admin, { limit: 100 })
    const logins = items.filter(({ action }) => action === 'visitor.login')
    expect(new Set(logins.map(({ isRefused }) => isRefused))).toEqual(new Set([true, false]))
    expect(JSON.stringify(items)).not.toContain(PASSWORD)
  })
})

describe('the form', () => {
  test('counts for the browser that has begun the login, once', async () => {
    const attacker = at.browser()
    const page = await open(attacker, `${WIKI}/`)
    const victim = at.browser()
    // Login CSRF: the attacker's login, sent by the browser of somebody else.
    expect((await logIn(victim, page, 'ada@example.com', PASSWORD)).status).toBe(400)
    expect(victim.jar.get(AUTH)?.size ?? 0).toBe(0)
    expect((await open(victim, page.url)).status).toBe(400)
    expect((await logIn(attacker, page, 'ada@example.com', PASSWORD)).status).toBe(200)
    expect((await logIn(attacker, page, 'ada@example.com', PASSWORD)).status).toBe(400)
  })

  test('of another site brings no cookie', async () => {
    const browser = at.browser()
    const page = await open(browser, `${WIKI}/`)
    const [, state] = /name="RelayState" value="([^"]*)"/.exec(page.body) ?? []
    const body = new URLSearchParams({ RelayState: state!, email: 'ada@example.com', password: PASSWORD }).toString()
    const url = `https://${AUTH}/callback/own`
    expect((await browser.go(url, { method: 'POST', body, isCrossSite: true, headers: headers() })).status).toBe(400)
  })

  test('is not there for other providers, and without a login under way', async () => {
    expect((await at.browser().go(`https://${AUTH}/account`)).status).toBe(404)
    expect((await at.browser().go(`https://${AUTH}/account?provider=constructor&state=x`)).status).toBe(404)
    expect((await at.browser().go(`https://${AUTH}/account?provider=own&state=${'x'.repeat(22)}`)).status).toBe(400)
  })
})

describe('the service', () => {
  test('that is away ends a login on a page that says so', async () => {
    ask = () => Promise.resolve({ kind: 'away', why: 'it is starting' })
    const browser = at.browser()
    const page = await logIn(browser, await open(browser, `${WIKI}/`), 'ada@example.com', PASSWORD)
    expect([page.status, page.body]).toEqual([503, expect.stringContaining('does not answer')])
  })

  test('is asked by number, and each question is answered whatever becomes of it', async () => {
    const questions = new AccountQuestions(1)
    const sent: ToService[] = []
    const credentials = { email: 'a@b.test', password: 'x', address: '-' }
    const send = (message: ToService): void => void sent.push(message)
    const late = questions.ask(credentials, send)
    expect(await late).toMatchObject({ kind: 'away' })
    const lasting = new AccountQuestions()
    const [first, second, third] = [1, 2, 3].map(() => lasting.ask(credentials, send))
    lasting.answered({ type: 'who', id: 2, answer: { kind: 'refused' } })
    lasting.answered({ type: 'who', id: 99, answer: { kind: 'refused' } })
    lasting.answered({ type: 'who', id: 1, answer: { kind: 'limited', waitS: 7 } })
    expect([await first, await second]).toEqual([{ kind: 'limited', waitS: 7 }, { kind: 'refused' }])
    lasting.gone()
    expect(await third).toMatchObject({ kind: 'away' })
    expect(await lasting.ask(credentials, undefined)).toMatchObject({ kind: 'away' })
    expect(sent.map(message => message.type === 'who' && message.id)).toEqual([1, 1, 2, 3])
  })
})

describe('a session by an account of the service', () => {
  const OPEN = 'https://open.example.test'
  const NEXT = 'another right password'
  /** The service has a clock of its own, which stands still. */
  const now = (): void => api.given.clock.advance(Math.max(0, Date.now() - api.given.clock.now()))
  const logInAs = async (email: string, password = PASSWORD): Promise<Browser> => {
    const browser = at.browser()
    expect((await logIn(browser, await open(browser, `${OPEN}/`), email, password)).status).toBe(200)
    return browser
  }
  const statusOf = async (browser: Browser): Promise<number> => (await browser.send(`${OPEN}/`, { headers: headers() })).status
  const join = async (email: string): Promise<string> => {
    await api.given.service.accounts.signUp({ name: 'Eve', email, password: PASSWORD }, from)
    return (await api.given.service.accounts.confirm(await api.given.tokenFor(email))).id
  }
  /** The same person at the API. */
  const ownerOf = async (email: string): Promise<Actor> => {
    const { token } = await api.given.service.sessions.login({ email, password: PASSWORD }, from)
    return api.given.service.sessions.authenticate(token, from)
  }

  test.each<[string, string | undefined, (service: Service, email: string, id: string) => Promise<unknown>]>([
    [
      'a new password',
      NEXT,
      async ({ accounts }, email) => accounts.changePassword(await ownerOf(email), { current: PASSWORD, next: NEXT }),
    ],
    [
      'a new password by letter',
      NEXT,
      async ({ accounts }, email) => {
        await accounts.requestReset(email, from)
        const letter = await until(() => api.given.letters.find(({ to, text }) => to === email && text.includes('/password#')), {
          what: 'the letter',
        })
        await accounts.reset(/sgo_[\w-]{43}/.exec(letter.text)![0], NEXT)
      },
    ],
    ['the end of all sessions', PASSWORD, async ({ sessions }, email) => sessions.endAll(await ownerOf(email))],
    [
      'another role, which is its group',
      PASSWORD,
      async ({ accounts }, _, id) => accounts.setRole(await api.given.actor('admin'), id, 'auditor'),
    ],
    [
      'a suspension, for good',
      PASSWORD,
      async ({ accounts }, _, id) => {
        const admin = await api.given.actor('admin')
        await accounts.suspend(admin, id)
        await accounts.resume(admin, id)
      },
    ],
    ['its account', undefined, async ({ accounts }, _, id) => accounts.remove(await api.given.actor('admin'), id)],
  ])('is over with %s', async (_, password, end) => {
    const email = `eve-${tests}@example.com`
    const id = await join(email)
    const [eve, ada] = [await logInAs(email), await logInAs('ada@example.com')]
    expect(await statusOf(eve)).toBe(200)
    now()
    await end(api.given.service, email, id)
    expect([await statusOf(eve), await statusOf(ada)]).toEqual([401, 200])
    if (password !== undefined) expect(await statusOf(await logInAs(email, password))).toBe(200)
    // A gateway that begins anew hears of it as well.
    expect((await api.given.service.snapshot()).endedLogins).toContainEqual({ accountId: id, atMs: api.given.clock.now() })
  })

  test('is forgotten once no login can be as old', async () => {
    expect((await api.given.service.snapshot()).endedLogins.length).toBeGreaterThan(0)
    api.given.clock.advance(32 * 86_400_000)
    await until(async () => (await api.given.service.snapshot()).endedLogins.length === 0, { what: 'the clean-up' })
  })
})
