/** SAML 2.0 as a provider, with a real identity provider (`samlp`), through both layers. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createVerify, X509Certificate } from 'node:crypto'
import { readSamlKeys } from '../../src/config/visitors/saml-keys.ts'
import type { ProviderConfig } from '../../src/visitors/config.ts'
import {
  acsOf,
  formIn,
  GRACE,
  LINUS,
  logInBySaml,
  makeResponse,
  mintIdp,
  sendForm,
  settingsOf,
  startSaml,
  type SamlServer,
} from '../support/saml.ts'
import { AUTH, startVisitorLayers, type VisitorLayers } from '../support/visitors.ts'

const WIKI = 'https://wiki.example.test'
const ACS = `https://${AUTH}/callback/corp`
const ENTITY = `https://${AUTH}/saml/corp`
const TARGETS = `
targets:
  wiki.example.test:
    { protocol: http, hostname: 127.0.0.1, port: {port}, access: { login: { provider: corp, emails: [grace@example.io], groups: [ops] } } }
`

let at: VisitorLayers
let idp: SamlServer
let corp: ProviderConfig
beforeAll(async () => {
  idp = await startSaml()
  corp = {
    name: 'corp',
    kind: 'saml',
    title: 'Corp',
    issuer: idp.metadataUrl,
    clientId: '',
    clientSecret: '',
    scopes: [],
    groupsClaim: 'groups',
    keptGroups: undefined,
    keptClaims: [],
    trustsEmail: false,
    saml: settingsOf({ kind: 'url', url: idp.metadataUrl }, { entityId: ENTITY }),
  }
  at = await startVisitorLayers(TARGETS, { config: { providers: new Map([['corp', corp]]) } })
})
beforeEach(() => {
  idp.user = GRACE
  at.saw.length = 0
  at.events.length = 0
})

const reasonOf = (): string => {
  const failed = at.events.find(event => event.kind === 'login-failed')
  return failed?.kind === 'login-failed' ? failed.reason : ''
}

describe('a browser', () => {
  test('logs in and comes back to the very page, and the origin is told who it is', async () => {
    const browser = at.browser()
    const visit = await logInBySaml(browser, `${WIKI}/page?a=1`)
    expect([visit.status, visit.url, visit.body]).toEqual([200, `${WIKI}/page?a=1`, 'origin /page?a=1'])
    expect(at.saw[0]?.headers).toMatchObject({
      'x-auth-email': 'grace@example.io',
      'x-auth-name': 'Grace Hopper',
      'x-auth-groups': 'ops,navy',
    })
    expect((await browser.send(`${WIKI}/again`)).status).toBe(200)
    expect(at.events).toEqual([{ kind: 'login', provider: 'corp', who: 'grace@example.io', address: '127.0.0.1' }])
  })

  test('that may not come sees a page, and somebody else has to log in anew', async () => {
    idp.user = LINUS
    const browser = at.browser()
    const denied = await logInBySaml(browser, `${WIKI}/x`)
    expect([denied.status, denied.body]).toEqual([403, expect.stringContaining('linus@elsewhere.test')])
    const [, link] = /href="(\/\.sg\/login[^"]*)"/.exec(denied.body) ?? []
    const choice = await browser.go(`${WIKI}${link!.replaceAll('&amp;', '&')}`)
    const [, start] = /href="(\/login\/start[^"]*)"/.exec(choice.body) ?? []
    idp.user = GRACE
    idp.forced.length = 0
    expect((await logInBySaml(browser, `https://${AUTH}${start!.replaceAll('&amp;', '&')}`)).status).toBe(200)
    expect(idp.forced).toEqual([true])
  })

  test('has a cookie for the way that forms of other sites bring, and only for the way', async () => {
    const browser = at.browser()
    const visit = await browser.go(`${WIKI}/`)
    const jar = [...browser.jar.get(AUTH)!]
    expect(jar.map(([name, { isForOtherSites }]) => [/^__Host-sg-login-try-/.test(name), isForOtherSites])).toEqual([[true, true]])
    await sendForm(browser, formIn(visit.body))
    expect([...browser.jar.get(AUTH)!].map(([name, { isForOtherSites }]) => [name, isForOtherSites])).toEqual([
      ['__Host-sg-login-auth-corp', false],
    ])
  })
})

describe('the metadata of the gateway', () => {
  test('name the place for assertions, and demand a signature', async () => {
    const answer = await at.browser().send(`https://${AUTH}/saml/corp`)
    expect(answer.headers['content-type']).toBe('application/samlmetadata+xml')
    expect(answer.body).toContain(`entityID="${ENTITY}"`)
    expect(answer.body).toContain(`Location="${ACS}"`)
    expect(answer.body).toContain('WantAssertionsSigned="true"')
    expect(answer.body).toContain('AuthnRequestsSigned="false"')
    expect((await at.browser().send(`https://${AUTH}/saml/nobody`)).status).toBe(404)
  })
})

describe('an assertion', () => {
  /** A login that has come as far as the form. */
  const halfway = async () => {
    const browser = at.browser()
    const visit = await browser.go(`${WIKI}/`)
    return { browser, form: formIn(visit.body) }
  }

  test('counts once', async () => {
    const { browser, form } = await halfway()
    const jar = new Map(browser.jar.get(AUTH))
    expect((await sendForm(browser, form)).status).toBe(200)
    expect((await sendForm(browser, form)).status).toBe(400)
    // Somebody who has kept the cookie as well.
    browser.jar.set(AUTH, jar)
    expect((await sendForm(browser, form)).status).toBe(400)
    expect(reasonOf()).toContain('no cookie')
  })

  test('of one browser is none of another: login CSRF', async () => {
    const attacker = await halfway()
    const stranger = at.browser()
    expect((await sendForm(stranger, attacker.form)).status).toBe(400)
    expect(stranger.jar.get(AUTH)?.size ?? 0).toBe(0)
    // With a login of the victim under way: its state, and the assertion of the attacker.
    const victim = await halfway()
    const mixed = { ...victim.form, fields: { ...victim.form.fields, SAMLResponse: attacker.form.fields['SAMLResponse']! } }
    expect((await sendForm(victim.browser, mixed)).status).toBe(400)
    expect(reasonOf()).not.toBe('')
    expect(victim.browser.cookie(AUTH, '__Host-sg-login-auth-corp')).toBeUndefined()
  })

  test('that nobody has asked for is refused', async () => {
    const xml = await makeResponse({ issuer: idp.issuer, keys: idp.keys, audience: ENTITY, recipient: ACS, lifetimeInSeconds: 60 })
    const SAMLResponse = Buffer.from(xml).toString('base64')
    const visit = await sendForm(at.browser(), { action: ACS, fields: { SAMLResponse } })
    expect([visit.status, reasonOf()]).toEqual([400, expect.stringContaining('not allowed here')])
  })

  test('that comes by a link instead of a form is none, nor the code of another protocol by a form', async () => {
    const { browser, form } = await halfway()
    const query = new URLSearchParams({ ...form.fields, state: form.fields['RelayState']! }).toString()
    expect((await browser.go(`${ACS}?${query.slice(0, 7_000)}`)).status).toBe(400)
    expect(reasonOf()).toContain('by a query')
    expect((await sendForm(browser, form)).status).toBe(200)
  })

  test('that comes twice, or not at all, lets nobody in', async () => {
    const { browser, form } = await halfway()
    const body = `${new URLSearchParams(form.fields).toString()}&SAMLResponse=PA%3D%3D`
    expect((await browser.go(form.action, { method: 'POST', body, isCrossSite: true })).status).toBe(400)
    expect(reasonOf()).toContain('no SAMLResponse')
  })

  test('that is far too long is refused before it is read', async () => {
    const { browser, form } = await halfway()
    const long = { ...form, fields: { ...form.fields, SAMLResponse: 'A'.repeat(140_000) } }
    expect((await sendForm(browser, long)).status).toBe(400)
    expect(reasonOf()).toContain('too long')
    const longer = { ...form, fields: { SAMLResponse: 'A'.repeat(300_000) } }
    expect((await sendForm(browser, longer)).status).toBe(413)
  })
})

test('the request says where to come back to', async () => {
  const visit = await at.browser().go(`${WIKI}/`, { stopAt: url => url.hostname === '127.0.0.1' })
  expect(acsOf(new URL(visit.url).searchParams.get('SAMLRequest')!)).toBe(ACS)
})

// The clock goes on, and never back: these come last.
describe('the metadata of the provider', () => {
  test('bring a new key before it signs, and after', async () => {
    const { keys } = idp
    const next = mintIdp('next')
    idp.keys = idp.announced = next
    at.aheadMs = 61_000
    try {
      expect((await logInBySaml(at.browser(), `${WIKI}/`)).status).toBe(200)
      const asked = idp.metadataAsked
      expect((await logInBySaml(at.browser(), `${WIKI}/`)).status).toBe(200)
      expect(idp.metadataAsked).toBe(asked)
      // The old one counts no longer.
      idp.keys = keys
      at.aheadMs = 122_000
      expect((await logInBySaml(at.browser(), `${WIKI}/`)).status).toBe(400)
    } finally {
      idp.keys = idp.announced = keys
    }
  })

  test('that are away end a login on a page that says so', async () => {
    const before = at.config
    const saml = settingsOf({ kind: 'url', url: 'http://127.0.0.1:9/metadata' }, { entityId: ENTITY })
    at.config = { ...before, providers: new Map([['corp', { ...corp, saml }]]) }
    try {
      const visit = await at.browser().go(`${WIKI}/`)
      expect([visit.status, visit.body]).toEqual([503, expect.stringContaining('does not answer')])
    } finally {
      at.config = before
    }
  })
})

test('a provider that reads the metadata of the gateway takes its signed requests, and encrypts for it', async () => {
  const before = at.config
  const { key, cert } = mintIdp('gateway')
  at.config = { ...before, providers: new Map([['corp', { ...corp, saml: { ...corp.saml!, keys: readSamlKeys(key, cert) } }]]) }
  try {
    const { body } = await at.browser().send(`https://${AUTH}/saml/corp`)
    expect(body).toContain('AuthnRequestsSigned="true"')
    const [, der] = /<KeyDescriptor>[^]*<X509Certificate>([^<]*)</.exec(body) ?? []
    idp.recipient = new X509Certificate(Buffer.from(der!, 'base64')).toString()
    const browser = at.browser()
    const form = await browser.go(`${WIKI}/sealed`)
    const response = Buffer.from(formIn(form.body).fields['SAMLResponse']!, 'base64').toString()
    expect([response.includes('<saml:EncryptedAssertion'), response.includes('grace')]).toEqual([true, false])
    const query = new URL(form.url).search.slice(1).split('&')
    const signed = ['SAMLRequest', 'RelayState', 'SigAlg'].map(name => query.find(part => part.startsWith(`${name}=`))).join('&')
    const signature = new URL(form.url).searchParams.get('Signature')!
    expect(createVerify('sha256').update(signed).verify(idp.recipient, signature, 'base64')).toBe(true)
    const visit = await sendForm(browser, formIn(form.body))
    expect([visit.status, visit.body, at.saw[0]?.headers['x-auth-email']]).toEqual([200, 'origin /sealed', 'grace@example.io'])
    at.config = before
    expect((await logInBySaml(at.browser(), `${WIKI}/`)).status).toBe(400)
    expect(reasonOf()).toContain('keyFile')
  } finally {
    at.config = before
    idp.recipient = undefined
  }
})

describe('a login that begins at the provider', () => {
  test('leads to the page of the operator where that is allowed, once, and nowhere else', async () => {
    const before = at.config
    at.config = {
      ...before,
      providers: new Map([['corp', { ...corp, saml: { ...corp.saml!, landing: `${WIKI}/home` } }]]),
    }
    try {
      const make = (more: object = {}): Promise<string> =>
        makeResponse({ issuer: idp.issuer, keys: idp.keys, audience: ENTITY, recipient: ACS, lifetimeInSeconds: 300, ...more })
      const fieldsOf = (xml: string) => ({ SAMLResponse: Buffer.from(xml).toString('base64'), RelayState: 'https://evil.test/' })
      const fields = fieldsOf(await make())
      const visit = await sendForm(at.browser(), { action: ACS, fields })
      expect([visit.status, visit.url, visit.body]).toEqual([200, `${WIKI}/home`, 'origin /home'])
      expect((await sendForm(at.browser(), { action: ACS, fields })).status).toBe(400)
      expect(reasonOf()).toBe('an assertion that was used')
      at.events.length = 0
      // One that somebody has asked for is no such login: it may be that of an attacker.
      expect((await sendForm(at.browser(), { action: ACS, fields: fieldsOf(await make({ inResponseTo: '_request' })) })).status).toBe(400)
      expect(reasonOf()).toContain('answers a request')
      at.events.length = 0
      const late = fieldsOf(await make({ lifetimeInSeconds: 3_600 }))
      at.aheadMs = 400_000
      expect((await sendForm(at.browser(), { action: ACS, fields: late })).status).toBe(400)
      expect(reasonOf()).toContain('too old')
    } finally {
      at.config = before
    }
  })
})
