/** Single logout of SAML 2.0, begun here and at a real identity provider (`samlp`), through both layers. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { deflateRawSync } from 'node:zlib'
import { readSamlKeys } from '../../src/config/visitors/saml-keys.ts'
import type { ProviderConfig } from '../../src/visitors/config.ts'
import { readRevocations, revocationLine, Revocations } from '../../src/visitors/session/revocations.ts'
import { readSession, sessionText } from '../../src/visitors/session/session.ts'
import type { Browser, Visit } from '../support/browser.ts'
import { formIn, GRACE, logInBySaml, mintIdp, sendForm, settingsOf, startSaml, type IdpKeys, type SamlServer } from '../support/saml.ts'
import { logoutRequest, signedUrl, type LogoutWish } from '../support/saml-logout.ts'
import { until } from '../support/wait.ts'
import { AUTH, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'

const WIKI = 'https://wiki.example.test'
const BOARD = 'https://board.example.test'
const ENTITY = `https://${AUTH}/saml/corp`
const LOGOUT = `${ENTITY}/logout`
const TARGETS = `
targets:
  wiki.example.test:
    { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { emails: [grace@example.io] } } }
  board.example.test:
    { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { emails: [grace@example.io] } } }
`

let at: VisitorLayers
let idp: SamlServer
let ours: IdpKeys
const providerWith = (more: object): ReadonlyMap<string, ProviderConfig> => {
  const saml = settingsOf({ kind: 'url', url: idp.metadataUrl }, { entityId: ENTITY, ...more })
  const config: ProviderConfig = {
    ...{ name: 'corp', kind: 'saml', title: 'Corp', issuer: idp.metadataUrl, clientId: '', clientSecret: '', scopes: [], saml },
    ...{ groupsClaim: 'groups', keptGroups: undefined, keptClaims: [], trustsEmail: false },
  }
  return new Map([['corp', config]])
}
beforeAll(async () => {
  idp = await startSaml()
  ours = mintIdp('gateway')
  at = await startVisitorLayers(TARGETS, { config: { providers: providerWith({}) } })
})
beforeEach(() => {
  // Whoever was logged out in one test logs in later in the next.
  at.aheadMs += 1_000
  at.config = { ...at.config, providers: providerWith({}) }
  at.events.length = 0
  at.persisted.length = 0
  idp.user = GRACE
  const { participants } = idp
  participants.all.length = participants.heard.length = 0
  Object.assign(participants, { cert: undefined, sendsForms: false, isStubborn: false, ended: 0 })
})

async function loggedIn(): Promise<Browser> {
  const browser = at.browser()
  expect((await logInBySaml(browser, `${WIKI}/`)).status).toBe(200)
  return browser
}
/** Status of a program's request with the session of a host: 401 where there is none. */
const statusAt = async (browser: Browser, url: string): Promise<number> => (await browser.send(`${url}/x`)).status
/** Logs out of a host, which shows a link to the end at the provider. */
async function linkAfterLogout(browser: Browser): Promise<string> {
  const body = new URLSearchParams({ scope: 'here' }).toString()
  const page = await browser.go(`${WIKI}/.sg/logout`, { method: 'POST', body, headers: { 'sec-fetch-site': 'same-origin' } })
  expect(page.body).toContain('Log out of Corp as well')
  return (/href="([^"]*\/saml\/corp\/end[^"]*)"/.exec(page.body)?.[1] ?? '').replaceAll('&amp;', '&')
}
const reason = (): string => {
  const failed = at.events.find(event => event.kind === 'logout-failed')
  return failed?.kind === 'logout-failed' ? failed.reason : ''
}

test('the metadata name the place for logouts, by both bindings and before that for assertions', async () => {
  const { body } = await at.browser().send(ENTITY)
  const services = [...body.matchAll(/<(\w+Service) [^>]*Binding="[^"]*:([\w-]+)" Location="([^"]*)"/g)].map(([, ...rest]) => rest)
  expect(services).toEqual([
    ['SingleLogoutService', 'HTTP-Redirect', LOGOUT],
    ['SingleLogoutService', 'HTTP-POST', LOGOUT],
    ['AssertionConsumerService', 'HTTP-POST', `https://${AUTH}/callback/corp`],
  ])
})

describe('a logout that begins here', () => {
  test('ends the session at the provider and all sessions that came of it, and no other of the person', async () => {
    const browser = await loggedIn()
    expect((await browser.go(`${BOARD}/`)).status).toBe(200)
    const elsewhere = await loggedIn()
    const [first, second] = idp.participants.all
    const link = await linkAfterLogout(browser)
    expect(await statusAt(browser, BOARD)).toBe(200)
    const back = await browser.go(link)
    expect([back.status, new URL(back.url).pathname]).toEqual([200, '/saml/corp/logout'])
    expect(back.body).toContain('You have come back from the provider')
    expect(idp.participants.heard[0]).toContain('grace-1</saml:NameID>')
    expect(idp.participants.heard[0]).toContain(`${first!.sessionIndex}<`)
    expect(idp.participants.heard[0]).not.toContain(second!.sessionIndex)
    expect([await statusAt(browser, WIKI), await statusAt(browser, BOARD)]).toEqual([401, 401])
    // The provider has told the gateway of the other session as well: it was of the same person.
    expect([await statusAt(elsewhere, WIKI), idp.participants.ended, idp.participants.all.length]).toEqual([401, 1, 0])
    expect(at.events.filter(({ kind }) => kind === 'logout-failed')).toEqual([])
  })

  test('ends by its index alone where the provider says nothing of others', async () => {
    const browser = await loggedIn()
    const elsewhere = await loggedIn()
    idp.participants.all.pop()
    await browser.go(await linkAfterLogout(browser))
    expect([await statusAt(browser, WIKI), await statusAt(elsewhere, WIKI)]).toEqual([401, 200])
  })

  test('is signed where there are keys: the provider verifies it, and takes no other', async () => {
    at.config = { ...at.config, providers: providerWith({ keys: readSamlKeys(ours.key, ours.cert) }) }
    idp.participants.cert = ours.cert
    const browser = await loggedIn()
    expect((await browser.go(await linkAfterLogout(browser))).body).toContain('You have come back from the provider')
    expect(idp.participants.ended).toBe(1)
    idp.participants.cert = mintIdp('somebody').cert
    at.aheadMs += 1_000
    const other = await loggedIn()
    expect((await other.go(await linkAfterLogout(other))).status).toBe(500)
    expect([idp.participants.ended, await statusAt(other, WIKI)]).toEqual([1, 401])
  })

  test('says so when the provider has not ended all, and ends what is here', async () => {
    const browser = await loggedIn()
    idp.participants.isStubborn = true
    const back = await browser.go(await linkAfterLogout(browser))
    expect([back.status, back.body]).toEqual([400, expect.stringContaining('Corp did not confirm the end of its own')])
    expect(reason()).toBe('the provider says that it has not logged out everywhere')
    expect(await statusAt(browser, WIKI)).toBe(401)
  })

  test('has no link at a provider that ends none, and a link of nobody does nothing', async () => {
    const browser = await loggedIn()
    const link = await linkAfterLogout(browser)
    const forged = await at.browser().go(link.replace(/ticket=.{10}/, 'ticket=AAAAAAAAAA'))
    expect([forged.status, reason()]).toEqual([400, 'a link that is too old, or none of ours'])
    at.aheadMs += 601_000
    expect((await browser.go(link)).status).toBe(400)
    at.aheadMs -= 601_000
    expect(idp.participants.heard).toEqual([])
    const metadata = (await idp.metadata()).replaceAll('SingleLogoutService', 'NoSuchService')
    at.config = { ...at.config, providers: providerWith({ metadata: { kind: 'file', place: 'x', text: metadata } }) }
    const other = await loggedIn()
    const page = await other.go(`${WIKI}/.sg/logout`, {
      ...{ method: 'POST', body: 'scope=here', headers: { 'sec-fetch-site': 'same-origin' } },
    })
    expect([page.status, page.body.includes('Corp')]).toEqual([200, false])
  })
})

describe('a logout that begins at the provider', () => {
  const atProvider = (): string => idp.loginUrl.replace('/login', '/logout')

  test.each([
    ['by redirects', false],
    ['by forms', true],
  ])('ends every session of the person, on each host and in each browser, %s', async (_, sendsForms) => {
    idp.participants.sendsForms = sendsForms
    const browser = await loggedIn()
    await browser.go(`${BOARD}/`)
    const elsewhere = await loggedIn()
    let visit: Visit = await browser.go(atProvider())
    while (visit.body.includes('SAMLRequest')) visit = await sendForm(browser, formIn(visit.body))
    expect([visit.status, new URL(visit.url).origin]).toEqual([200, new URL(idp.loginUrl).origin])
    expect(idp.participants.ended).toBe(1)
    expect([await statusAt(browser, WIKI), await statusAt(browser, BOARD), await statusAt(elsewhere, WIKI)]).toEqual([401, 401, 401])
    expect(idp.participants.heard.every(xml => xml.includes('status:Success'))).toBe(true)
    expect(at.events.filter(({ kind }) => kind === 'logout')).toHaveLength(2)
  })

  test('ends what is open, at once', async () => {
    const browser = await loggedIn()
    const open = browser.send(`${WIKI}/endless`).then(
      () => 'a clean end',
      () => 'cut',
    )
    await until(() => at.saw.some(({ path }) => path === '/endless'))
    await browser.go(atProvider())
    expect(await open).toBe('cut')
  })

  test('is in force in each process that reads what was written down, for who has logged in before', async () => {
    await loggedIn()
    const [{ nameId, sessionIndex: index } = { nameId: '', sessionIndex: '' }] = idp.participants.all
    await at.browser().go(atProvider())
    const text = at.persisted.map(revocationLine).join('')
    expect(text).not.toContain('grace')
    const other = new Revocations(Date.now)
    other.add(readRevocations(text)!)
    const session = (loggedInMs: number, provider = 'corp', known = index) => ({
      person: { provider, subject: 's', email: undefined, name: undefined, groups: [], claims: new Map() },
      ...{ loginId: 'l', id: 'i', loggedInMs, seenMs: loggedInMs },
      atProvider: { nameId, format: '', nameQualifier: '', spNameQualifier: '', index: known },
    })
    const { atMs } = at.persisted[0]!
    expect([atMs - 1, atMs, atMs + 1].map(ms => other.isRevoked(session(ms)))).toEqual([true, true, false])
    expect([other.isRevoked(session(atMs, 'partner')), other.isRevoked(session(atMs, 'corp', 'another'))]).toEqual([false, false])
    expect(readSession(sessionText(session(atMs)))).toEqual(session(atMs))
  })

  test('without an index ends all of the name, also where names are for one session', async () => {
    idp.user = { ...GRACE, id: '_transient-7', nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' }
    const [one, two] = [await loggedIn(), await loggedIn()]
    idp.user = { ...GRACE, id: '_transient-8', nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' }
    const other = await loggedIn()
    const xml = logoutRequest({ url: LOGOUT, nameId: '_transient-7', issuedMs: Date.now() + at.aheadMs })
    const answer = await at.browser().send(signedUrl(LOGOUT, xml, idp.keys.key, { relayState: 'there & back' }))
    expect([answer.status, answer.headers.location]).toEqual([303, expect.stringContaining('RelayState=there+%26+back')])
    expect(await Promise.all([one, two, other].map(browser => statusAt(browser, WIKI)))).toEqual([401, 401, 200])
  })
})

describe('nobody is logged out by', () => {
  const now = (): number => Date.now() + at.aheadMs
  const request = (wish: Partial<LogoutWish> = {}): string => logoutRequest({ url: LOGOUT, issuedMs: now(), ...wish })
  const sent = (wish: Partial<LogoutWish> = {}, key: string | undefined = idp.keys.key): string => signedUrl(LOGOUT, request(wish), key)

  test.each<[string, () => string, RegExp]>([
    ['an unsigned request', () => signedUrl(LOGOUT, request(), undefined), /not signed/],
    ['one of another key', () => sent({}, mintIdp('somebody').key), /signed by no key of the provider/],
    ['one that is signed by SHA-1', () => signedUrl(LOGOUT, request(), idp.keys.key, { hash: 'sha1' }), /algorithm that is not taken/],
    ['one of another issuer', () => sent({ issuer: 'urn:example:evil' }), /another issuer/],
    ['one for another place', () => sent({ destination: `${LOGOUT}x` }), /another place/],
    ['one without a place', () => sent({ destination: '' }), /another place/],
    ['an old one', () => sent({ issuedMs: now() - 301_000 }), /too old/],
    ['one of the future', () => sent({ issuedMs: now() + 90_000 }), /of the future/],
    ['one that is over', () => sent({ more: ` NotOnOrAfter="${new Date(now() - 61_000).toISOString()}"` }), /is over/],
    ['one for nobody', () => sent({ nameId: '' }), /names nobody/],
    ['a name that is cut by a comment', () => sent({ nameId: 'grace-1<!-- x -->2' }), /comment/],
    ['another RelayState than was signed', () => `${sent()}&RelayState=x`, /signed by no key/],
    ['a request beside the signed one', () => `${sent()}&SAMLRequest=x`, /stands twice/],
    ['the same, spelt otherwise', () => `${sent()}&SAML%52equest=x`, /stands twice/],
    ['a request and an answer at once', () => `${sent()}&SAMLResponse=x`, /expected one/],
    ['no message', () => `${LOGOUT}?x=1`, /expected one/],
    ['a message that grows', () => signedUrl(LOGOUT, ' '.repeat(2_000_000), idp.keys.key), /too long/],
    ['no XML', () => signedUrl(LOGOUT, 'x', idp.keys.key), /./],
    ['another message', () => signedUrl(LOGOUT, request().replaceAll('LogoutRequest', 'AuthnRequest'), idp.keys.key), /neither/],
    ['another version', () => signedUrl(LOGOUT, request().replace('"2.0"', '"1.1"'), idp.keys.key), /no message of SAML 2.0/],
    ['too many elements', () => sent({ indexes: Array.from({ length: 900 }, String) }), /too many elements/],
    ['an answer that nobody has asked for', () => signedUrl(LOGOUT, answer(), idp.keys.key, { name: 'SAMLResponse' }), /not asked for/],
  ])('%s', async (_, url, why) => {
    const browser = await loggedIn()
    const visit = await browser.go(url())
    expect([visit.status, visit.body]).toEqual([400, expect.stringContaining('The logout did not work')])
    expect(reason()).toMatch(why)
    expect([await statusAt(browser, WIKI), at.persisted]).toEqual([200, []])
  })

  const answer = (): string =>
    `<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r" Version="2.0" IssueInstant="${new Date(now()).toISOString()}" Destination="${LOGOUT}" InResponseTo="_x"><saml:Issuer>urn:example:idp</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:LogoutResponse>`

  test('a form that is unsigned, or signed for another element', async () => {
    const browser = await loggedIn()
    for (const xml of [request(), `<a>${request()}</a>`]) {
      const fields = { SAMLRequest: Buffer.from(xml).toString('base64') }
      expect((await sendForm(browser, { action: LOGOUT, fields })).status).toBe(400)
    }
    expect(await statusAt(browser, WIKI)).toBe(200)
  })

  test('a request that was used: it ends those who were there, once', async () => {
    const browser = await loggedIn()
    const url = sent()
    expect((await at.browser().send(url)).status).toBe(303)
    expect(await statusAt(browser, WIKI)).toBe(401)
    at.aheadMs += 1_000
    const later = await loggedIn()
    expect((await at.browser().send(url)).status).toBe(400)
    expect([reason(), await statusAt(later, WIKI)]).toEqual(['a request that was used', 200])
  })

  test('the answer of a provider to another browser', async () => {
    const [browser, stranger] = [await loggedIn(), await loggedIn()]
    let answered = ''
    idp.participants.all.pop()
    const link = await linkAfterLogout(browser)
    await browser.go(link, { stopAt: url => ((answered = url.href), url.hostname === AUTH && url.searchParams.has('SAMLResponse')) })
    expect(new URL(answered).pathname).toBe('/saml/corp/logout')
    expect((await stranger.go(answered)).status).toBe(400)
    expect((await browser.go(answered)).status).toBe(200)
  })
})

test('an address that sends many messages waits', async () => {
  const slow = await startVisitorLayers(TARGETS, {
    config: { providers: providerWith({}) },
    visitors: { attempts: { perSecond: 0.001, burst: 2 } },
  })
  const url = `${LOGOUT}?SAMLRequest=${encodeURIComponent(deflateRawSync('x').toString('base64'))}`
  const statuses: number[] = []
  for (let i = 0; i < 3; i++) statuses.push((await slow.browser().send(url)).status)
  expect(statuses).toEqual([400, 400, 429])
})
