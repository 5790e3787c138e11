/** Logins that go wrong, and those that somebody makes go wrong. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { ADA, AUTH, BOARD, startVisitorLayers, WIKI, type VisitorLayers } from '../support/visitors.ts'

let at: VisitorLayers
beforeAll(async () => {
  at = await startVisitorLayers()
})
beforeEach(() => {
  at.oidc.person = ADA
  at.oidc.alter = undefined
  at.aheadMs = 0
  at.saw.length = 0
})

describe('a login', () => {
  test('that is cancelled, or without a verified address, ends on a page', async () => {
    at.oidc.person = undefined
    const cancelled = await at.browser().go(`${WIKI}/`)
    expect([cancelled.status, /cancelled it/.test(cancelled.body)]).toEqual([400, true])
    at.oidc.person = { ...ADA, sub: 'ada2', email_verified: false }
    const unverified = await at.browser().go(`${WIKI}/`)
    expect([unverified.status, /not verified your e-mail/.test(unverified.body)]).toEqual([400, true])
    expect(at.saw).toEqual([])
  })

  test.each([
    ['another case', 'ADA@EXAMPLE.IO', 200],
    ['another domain of the same length', 'x@corq.test', 403],
    ['a domain', 'Anybody@Corp.Test', 200],
    ['a domain below', 'x@sub.corp.test', 403],
    ['a domain that ends alike', 'x@evilcorp.test', 403],
    ['a Cyrillic twin', '\u0430da@example.io', 403],
    ['a fullwidth twin', '\uff41da@example.io', 403],
    ['a Kelvin sign', 'x@\u212Aorp.test', 403],
    ['two at signs', 'ada@example.io@evil.test', 400],
    ['a blank', 'ada@example.io ', 400],
  ])('by an address in %s', async (_, email, expected) => {
    at.oidc.person = { sub: `twin of ${email}`, email, email_verified: true }
    expect((await at.browser().go(`${WIKI}/`)).status).toBe(expected)
  })

  test('in which the state was changed, or is that of another browser, is none', async () => {
    at.oidc.alter = url => url.searchParams.set('state', 'A'.repeat(22))
    expect((await at.browser().go(`${WIKI}/`)).status).toBe(400)
    at.oidc.alter = undefined
    // Login CSRF: somebody begins a login and has another browser end it.
    const attacker = at.browser()
    const half = await attacker.go(`${WIKI}/`, { stopAt: url => url.pathname.startsWith('/callback/') })
    const victim = at.browser()
    await victim.go(`${WIKI}/`, { stopAt: url => url.hostname === '127.0.0.1' })
    expect((await victim.go(half.url)).status).toBe(400)
    expect(victim.cookie('wiki.example.test', '__Host-sg-login-visitor')).toBeUndefined()
  })

  test('takes no code of another login', async () => {
    const one = at.browser()
    const half = await one.go(`${WIKI}/`, { stopAt: url => url.pathname.startsWith('/callback/') })
    const stolen = new URL(half.url).searchParams.get('code')!
    const two = at.browser()
    const other = await two.go(`${WIKI}/`, { stopAt: url => url.pathname.startsWith('/callback/') })
    const mixed = new URL(other.url)
    mixed.searchParams.set('code', stolen)
    const end = await two.go(mixed.href)
    expect(end.status).toBe(400)
    expect(two.cookie(AUTH, '__Host-sg-login-auth-company')).toBeUndefined()
  })

  test('has a way back that works once, and for one browser and one host', async () => {
    const browser = at.browser()
    const half = await browser.go(`${WIKI}/`, { stopAt: url => url.pathname === '/.sg/session' })
    expect((await at.browser().go(half.url)).status).toBe(400)
    const other = at.browser()
    await other.go(`${WIKI}/`, { stopAt: url => url.hostname === AUTH })
    expect((await other.go(half.url)).status).toBe(400)
    await browser.go(`${BOARD}/`, { stopAt: url => url.hostname === AUTH })
    expect((await browser.go(half.url.replace(WIKI, BOARD))).status).toBe(400)
    expect((await browser.go(half.url)).status).toBe(200)
    expect((await browser.go(half.url)).status).toBe(400)
  })

  test('is not come back from after its time', async () => {
    const browser = at.browser()
    const half = await browser.go(`${WIKI}/`, { stopAt: url => url.pathname === '/.sg/session' })
    at.aheadMs = 61_000
    expect((await browser.go(half.url)).status).toBe(400)
  })

  test('is begun by pages of other sites at will, and the browser brings no more cookies for that than it may', async () => {
    const browser = at.browser()
    for (let i = 0; i < 12; i++) await browser.go(`${WIKI}/`, { stopAt: url => url.hostname === '127.0.0.1' })
    const under = [...browser.jar.get(AUTH)!.keys()].filter(name => name.includes('-try-'))
    expect(under).toHaveLength(5)
    // The last ones go on.
    expect((await browser.go(`${WIKI}/last`)).url).toBe(`${WIKI}/last`)
  })

  test('by a provider that is no more is none from then on', async () => {
    const browser = at.browser()
    await browser.go(`${BOARD}/`)
    expect((await browser.send(`${BOARD}/`)).status).toBe(200)
    const before = at.config
    const partner = { ...before.providers.get('company')!, name: 'partner' }
    at.config = { ...before, providers: new Map([['partner', partner]]) }
    try {
      expect((await browser.send(`${BOARD}/`)).status).toBe(401)
      // One that is for sockets alone opens no target that does not name it.
      at.config = { ...before, targetProviders: [] }
      expect((await browser.send(`${BOARD}/`)).status).toBe(401)
      expect((await browser.go(`${BOARD}/`)).body).toContain('knows no provider')
      expect((await at.browser().go(`${WIKI}/`)).status).toBe(200)
    } finally {
      at.config = before
    }
    expect((await browser.send(`${BOARD}/`)).status).toBe(200)
  })

  test('does not go round in circles when cookies are blocked', async () => {
    for (const blocked of [[AUTH], ['wiki.example.test'], [AUTH, 'wiki.example.test']]) {
      const browser = at.browser()
      browser.keepsCookies = host => !blocked.includes(host)
      const visit = await browser.go(`${WIKI}/`)
      expect([visit.status, /keeps no cookies/.test(visit.body), visit.way.length < 10]).toEqual([400, true, true])
    }
  })

  test('does not go round in circles when the session does not hold', async () => {
    const browser = at.browser()
    const half = await browser.go(`${WIKI}/x`, { stopAt: url => url.pathname === '/x' && browser.jar.get('wiki.example.test')!.size > 1 })
    browser.jar.get('wiki.example.test')!.delete('__Host-sg-login-visitor')
    const visit = await browser.go(half.url)
    expect([visit.status, /keeps no cookies/.test(visit.body)]).toEqual([400, true])
  })

  test.each([
    '//evil.test',
    '/\\evil.test',
    '/\\/evil.test',
    'https://evil.test',
    'https:evil.test',
    'http:///evil.test',
    '///evil.test',
    '\\\\evil.test',
    '/%2f/evil.test',
    '/%5cevil.test',
    'javascript:alert(1)',
    'data:text/html,x',
    '@evil.test',
    '.evil.test',
    ':80@evil.test',
    '/\tevil.test',
    ' //evil.test',
    '/./\\evil.test',
    '?x=//evil.test',
    '/#@evil.test/',
    '//evil.test%2f..',
  ])('leads to no other site: %j', async path => {
    const browser = at.browser()
    const choice = await browser.go(`${WIKI}/.sg/login?to=${encodeURIComponent(path)}`)
    const [, start] = /href="(\/login\/start[^"]*)"/.exec(choice.body) ?? []
    const visit = await browser.go(`https://${AUTH}${start!.replaceAll('&amp;', '&')}`, { stopAt: url => /evil/.test(url.hostname) })
    const hosts = visit.way.map(url => new URL(url).hostname)
    expect(new Set(hosts)).toEqual(new Set([AUTH, '127.0.0.1', 'wiki.example.test']))
    expect([200, 400]).toContain(visit.status)
  })

  test('is of the host that the Host field names, whatever a proxy says', async () => {
    const visit = await at
      .browser()
      .go(`${WIKI}/`, { headers: { 'x-forwarded-host': 'evil.test' }, stopAt: url => url.pathname === '/.sg/session' })
    expect(new URL(visit.url).hostname).toBe('wiki.example.test')
  })

  test('by a provider that is away ends on a page that says so, and sessions go on', async () => {
    const browser = at.browser()
    await browser.go(`${WIKI}/`)
    const before = at.config
    const company = before.providers.get('company')!
    at.config = { ...before, providers: new Map([['company', { ...company, issuer: 'http://127.0.0.1:9' }]]) }
    try {
      const visit = await at.browser().go(`${WIKI}/`)
      expect([visit.status, /does not answer/.test(visit.body), visit.headers['retry-after']]).toEqual([503, true, '30'])
      expect((await browser.send(`${WIKI}/`)).status).toBe(200)
    } finally {
      at.config = before
    }
  })

  test('speaks French', async () => {
    at.oidc.person = undefined
    const visit = await at.browser().go(`${WIKI}/`, { headers: { 'accept-language': 'fr-CH, fr;q=0.9, en;q=0.8' } })
    expect(visit.headers['content-language']).toBe('fr')
    expect(visit.body).toContain('<html lang="fr">')
  })
})
