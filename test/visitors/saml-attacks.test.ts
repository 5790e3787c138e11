/** A SAML provider by itself: what an assertion says is believed only as far as it is signed, for us, new and asked for. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createHmac } from 'node:crypto'
import { GatewayError } from '../../src/errors.ts'
import { OriginFields } from '../../src/visitors/check/origin-fields.ts'
import type { ProviderConfig } from '../../src/visitors/config.ts'
import type { LoginEnd } from '../../src/visitors/providers/provider.ts'
import { loadSaml } from '../../src/visitors/providers/saml-library.ts'
import { readIdpMetadata } from '../../src/visitors/providers/saml-metadata.ts'
import { SamlProvider } from '../../src/visitors/providers/saml-provider.ts'
import { GRACE, makeResponse, mintIdp, settingsOf, type AssertionWish, type IdpKeys } from '../support/saml.ts'

const ACS = 'https://auth.example.test/callback/corp'
const ENTITY = 'https://auth.example.test/saml/corp'
const ISSUER = 'urn:example:idp'
const LOGIN = 'https://idp.example.test/login'

const pemBody = ({ cert }: IdpKeys): string => cert.replace(/-----[^-]*-----|\s/g, '')
const metadataOf = (keys: IdpKeys, more = '', use = 'use="signing"'): string =>
  `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${ISSUER}" ${more}><md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor ${use}><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>\n${pemBody(keys)}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="${LOGIN}"/></md:IDPSSODescriptor></md:EntityDescriptor>`

let keys: IdpKeys
let others: IdpKeys
let aheadMs = 0
beforeAll(() => {
  keys = mintIdp('idp')
  others = mintIdp('somebody')
})

const configOf = (text: string): ProviderConfig => ({
  name: 'corp',
  kind: 'saml',
  title: 'Corp',
  issuer: 'idp.xml',
  clientId: '',
  clientSecret: '',
  scopes: [],
  groupsClaim: 'groups',
  keptGroups: undefined,
  keptClaims: ['department'],
  trustsEmail: false,
  saml: settingsOf({ kind: 'file', place: 'idp.xml', text }, { entityId: ENTITY }),
})
const providerOf = (text: string): SamlProvider => {
  const config = configOf(text)
  return new SamlProvider(config, config.saml!, () => Date.now() + aheadMs)
}

/** A whole login. @param alter  what somebody does to the response on its way */
async function logIn(wish: Partial<AssertionWish> = {}, alter: (xml: string, request: string) => string = xml => xml): Promise<LoginEnd> {
  const provider = providerOf(metadataOf(keys))
  const { secret } = await provider.begin({ redirectUri: ACS, state: 's'.repeat(22), asksAgain: false })
  const xml = await makeResponse({
    ...{ issuer: ISSUER, keys, audience: ENTITY, recipient: ACS, inResponseTo: secret, lifetimeInSeconds: 300 },
    ...wish,
  })
  return finish(provider, alter(xml, secret), secret)
}

const finish = (provider: SamlProvider, xml: string, secret: string): Promise<LoginEnd> => {
  const form = new Map([['SAMLResponse', Buffer.from(xml).toString('base64')]])
  return provider.finish({ url: new URL(ACS), form, address: '-' }, secret, { redirectUri: ACS })
}

/** The parts of a response with one assertion. */
function partsOf(xml: string) {
  const [assertion = ''] = /<saml:Assertion[\s\S]*<\/saml:Assertion>/.exec(xml) ?? []
  const [signature = ''] = /<Signature xmlns[\s\S]*<\/Signature>/.exec(assertion) ?? []
  const [head = '', tail = ''] = xml.split(assertion)
  const bare = assertion.replace(signature, '')
  const evil = bare.replaceAll('grace@example.io', 'root@example.io').replaceAll('grace-1', 'root')
  const evilOther = evil.replace(/ ID="[^"]*"/, ' ID="_evil"')
  return { head, tail, assertion, signature, bare, evil, evilOther }
}
const into = (element: string, child: string, before = '</saml:Assertion>'): string => element.replace(before, () => child + before)

describe('an assertion', () => {
  test('that is signed, for us, new and asked for lets in', async () => {
    const end = await logIn({ user: { ...GRACE, department: ['R&D', '<x>'], memberOf: 'other' } })
    expect(end).toEqual({
      kind: 'person',
      atProvider: {
        ...{ nameId: 'grace-1', format: 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified' },
        ...{ nameQualifier: '', spNameQualifier: '', index: '' },
      },
      person: {
        provider: 'corp',
        subject: 'grace-1',
        email: 'grace@example.io',
        name: 'Grace Hopper',
        groups: ['ops', 'navy'],
        claims: new Map([['department', ['R&D', '<x>']]]),
      },
    })
  })

  test('may be in a response that is signed as well', async () => {
    expect((await logIn({ signResponse: true })).kind).toBe('person')
  })

  test('cannot put a field of its own before the origin', async () => {
    const end = await logIn({ user: { ...GRACE, displayName: 'x\r\nX-Auth-Email: root@example.io', groups: ['a\nb', 'c,d'] } })
    if (end.kind !== 'person') throw new Error(end.kind)
    const visitor = { ...end.person, lane: 'login', sessionId: 's' } as const
    const fields = new OriginFields({ sign: () => ({ token: 't', untilMs: 0 }) }, Date.now).of(visitor, 'wiki.example.test')
    expect(fields.join('|')).not.toMatch(/[\r\n]/)
    expect(fields[fields.indexOf('X-Auth-Groups') + 1]).toMatch(/^a ?b,c%2Cd$/)
  })

  test('may name somebody by an address alone, and by another name each time', async () => {
    const format = 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress'
    const byAddress = await logIn({ user: { id: 'grace@example.io', nameIdFormat: format } })
    expect(byAddress).toMatchObject({ person: { subject: 'grace@example.io', email: 'grace@example.io' } })
    const transient = 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient'
    expect(await logIn({ user: { ...GRACE, id: '_x1', nameIdFormat: transient } })).toMatchObject({
      person: { subject: 'grace@example.io' },
    })
    expect(await logIn({ user: { id: '_x1', nameIdFormat: transient } })).toMatchObject({ kind: 'failed' })
  })

  test.each<[string, Partial<AssertionWish> | (() => Partial<AssertionWish>), RegExp]>([
    ['without a signature', { signAssertion: false }, /signature/i],
    ['without a signature, in a response that is signed', { signAssertion: false, signResponse: true }, /signature/i],
    ['signed by somebody else, whose certificate it brings', () => ({ keys: others }), /signature/i],
    ['signed by SHA-1', { signatureAlgorithm: 'rsa-sha1', digestAlgorithm: 'sha1' }, /SHA-1/],
    ['whose digest is of SHA-1', { digestAlgorithm: 'sha1' }, /SHA-1/],
    ['of another issuer', { issuer: 'urn:evil' }, /issuer/i],
    ['for another audience', { audience: 'https://auth.example.test/saml/corp2' }, /audience/i],
    ['for another place', { recipient: 'https://evil.test/callback/corp' }, /recipient/],
    ['for the place of another provider', { recipient: 'https://auth.example.test/callback/corp2' }, /recipient/],
    ['that answers another request', { inResponseTo: '_another' }, /request/],
    ['that answers no request', { inResponseTo: undefined }, /request/],
    ['with two addresses for one', { user: { ...GRACE, email: 'grace@example.io@evil.test' } }, /address/],
  ])('is refused: %s', async (_, wish, reason) => {
    expect(await logIn(typeof wish === 'function' ? wish() : wish)).toMatchObject({ kind: 'failed', reason: expect.stringMatching(reason) })
  })

  test.each([
    ['too late', 400_000],
    ['too early', -3_600_000],
  ])('is refused when it comes %s', async (_, shift) => {
    aheadMs = shift
    try {
      expect(await logIn()).toMatchObject({ kind: 'failed', reason: expect.stringMatching(/over|not count yet/) })
    } finally {
      aheadMs = 0
    }
  })

  test('cannot be cut by a comment, which no signature sees', async () => {
    for (const field of ['grace@example.io', 'grace-1']) {
      const user = { ...GRACE, id: 'grace-1.evil.test', email: 'grace@example.io.evil.test' }
      const end = await logIn({ user }, xml => xml.replaceAll(`>${field}`, `>${field}<!-- -->`))
      expect(end).toMatchObject({ kind: 'failed', reason: expect.stringContaining('comment') })
    }
  })
})

describe('a signature cannot be wrapped', () => {
  type Parts = ReturnType<typeof partsOf>
  test.each<[string, (parts: Parts) => string]>([
    ['a value is changed', ({ head, assertion, tail }) => head + assertion.replace('grace@example.io', 'root@example.io') + tail],
    ['a forged one comes first', ({ head, evilOther, assertion, tail }) => head + evilOther + assertion + tail],
    ['a forged one comes last', ({ head, evilOther, assertion, tail }) => head + assertion + evilOther + tail],
    ['a forged one of the same ID comes first', ({ head, evil, assertion, tail }) => head + evil + assertion + tail],
    ['the signed one is inside the forged one', ({ head, evilOther, assertion, tail }) => head + into(evilOther, assertion) + tail],
    [
      'the forged one has the signature, and the signed one stands behind it',
      ({ head, evilOther, signature, bare, tail }) => head + into(evilOther, signature) + bare + tail,
    ],
    [
      'the forged one has the signature, with the signed one in it',
      ({ head, evilOther, signature, bare, tail }) => head + into(evilOther, into(signature, bare, '</Signature>')) + tail,
    ],
    [
      'the signed one is in an object of the signature',
      ({ head, evilOther, signature, bare, tail }) =>
        head + into(evilOther, into(signature, `<Object>${bare}</Object>`, '</Signature>')) + tail,
    ],
    [
      'the signed one is among extensions',
      ({ head, evilOther, assertion, tail }) => `${head}<samlp:Extensions>${assertion}</samlp:Extensions>${evilOther}${tail}`,
    ],
    [
      'the signed one is among extensions, and the forged one has its ID and a copy of its signature',
      ({ head, evil, signature, assertion, tail }) =>
        `${head}<samlp:Extensions>${assertion}</samlp:Extensions>${into(evil, signature)}${tail}`,
    ],
    [
      'the signed response is inside a forged one',
      ({ head, evilOther, assertion, tail }) => {
        const outer = head.replace(/ ID="[^"]*"/, ' ID="_outer"')
        return `${outer}<samlp:Extensions>${head}${assertion}${tail}</samlp:Extensions>${evilOther}${tail}`
      },
    ],
    ['the assertion is the whole document', ({ evil, signature }) => into(evil, signature)],
    [
      'the signature names the response',
      ({ head, evil, signature, tail }) => {
        const id = / ID="([^"]*)"/.exec(head)![1]!
        return `${head}${into(evil, signature.replace(/URI="#[^"]*"/, `URI="#${id}"`))}${tail}`
      },
    ],
    [
      'the signature names the whole document',
      ({ head, evil, signature, tail }) => head + into(evil, signature.replace(/URI="#[^"]*"/, 'URI=""')) + tail,
    ],
    [
      'the signature has no reference',
      ({ head, evil, signature, tail }) => head + into(evil, signature.replace(/<Reference[\s\S]*<\/Reference>/, '')) + tail,
    ],
    [
      'the signature has two references',
      ({ head, evil, signature, tail }) =>
        head +
        into(
          evil,
          signature.replace(/<Reference[\s\S]*<\/Reference>/, each => each + each),
        ) +
        tail,
    ],
    ['the signature is there twice', ({ head, assertion, signature, tail }) => head + into(assertion, signature) + tail],
    [
      'an algorithm is hidden from whoever looks for weak ones',
      ({ head, assertion, tail }) => head + assertion.replace('2001/04/xmldsig-more#rsa-sha256', '2000/09/xmldsig#rsa-sh&#97;1') + tail,
    ],
    [
      'the certificate is the secret of an HMAC',
      ({ head, evil, signature, tail }) => {
        const info = /<SignedInfo[\s\S]*<\/SignedInfo>/.exec(signature)![0]
        const mac = info.replace(/Algorithm="[^"]*#rsa-sha256"/, 'Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"')
        const value = createHmac('sha1', keys.cert).update(mac).digest('base64')
        return head + into(evil, signature.replace(info, mac).replace(/<SignatureValue>[^<]*/, `<SignatureValue>${value}`)) + tail
      },
    ],
  ])('where %s', async (_, alter) => {
    const end = await logIn({}, xml => alter(partsOf(xml)))
    expect(end).toMatchObject({ kind: 'failed' })
  })

  test('by a response that is signed, whose assertion is another one', async () => {
    const end = await logIn({ signResponse: true }, xml => {
      const { head, assertion, evilOther, tail } = partsOf(xml)
      return head + evilOther + tail.replace('</samlp:Response>', `<samlp:Extensions>${assertion}</samlp:Extensions></samlp:Response>`)
    })
    expect(end.kind).toBe('failed')
  })
})

describe('a response', () => {
  test.each<[string, string]>([
    ['nothing', ''],
    ['no XML', 'x'],
    ['HTML', '<html><body>no</body></html>'],
    ['texts that grow', `<!DOCTYPE r [<!ENTITY a "${'x'.repeat(100)}"><!ENTITY b "&a;&a;&a;&a;">]><samlp:Response>&b;</samlp:Response>`],
    ['a file of this machine', '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>'],
    ['ten thousand elements in each other', '<a>'.repeat(10_000) + '</a>'.repeat(10_000)],
    ['nothing but angle brackets', '<'.repeat(90_000)],
    ['a thousand elements', `<a>${'<a/>'.repeat(1_000)}</a>`],
    ['a logout', '<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"/>'],
    [
      'that nobody has logged in',
      '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_1" Version="2.0"><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"/></samlp:Status></samlp:Response>',
    ],
    [
      'what nobody here can decrypt',
      '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/></samlp:Response>',
    ],
    ['names of JavaScript', '<constructor><__proto__>x</__proto__></constructor>'],
  ])('that is %s lets nobody in', async (_, xml) => {
    expect(await logIn({}, () => xml)).toMatchObject({ kind: 'failed' })
  })
})

describe('metadata', () => {
  const read = async (text: string) => readIdpMetadata(await loadSaml(), text, Date.now())

  test('say by which keys a provider signs', async () => {
    const two = metadataOf(keys).replace(
      /<md:KeyDescriptor[\s\S]*<\/md:KeyDescriptor>/,
      each => each + each.replace(pemBody(keys), pemBody(others)),
    )
    const { certificates, ...rest } = await read(two)
    expect(rest).toEqual({ entityId: ISSUER, loginUrl: LOGIN })
    expect(certificates.map(each => each.replace(/-----[^-]*-----|\s/g, ''))).toEqual([keys, others].map(pemBody))
  })

  test.each<[string, () => string]>([
    ['no XML', () => 'x'],
    ['a type definition', () => `<!DOCTYPE x>${metadataOf(keys)}`],
    ['no provider', () => '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"/>'],
    ['two of them', () => `<all>${metadataOf(keys)}${metadataOf(keys)}</all>`],
    ['keys that only encrypt', () => metadataOf(keys, '', 'use="encryption"')],
    ['a certificate that is none', () => metadataOf({ cert: 'AAAA', key: '' })],
    ['a page over http', () => metadataOf(keys).replace('https://idp.example.test', 'http://idp.example.test')],
    ['a script for a page', () => metadataOf(keys).replace(LOGIN, 'javascript:alert(1)')],
    ['no name', () => metadataOf(keys).replace(ISSUER, '')],
    ['an end that has been', () => metadataOf(keys, 'validUntil="2020-01-01T00:00:00Z"')],
  ])('with %s are refused, with the file', async (_, make) => {
    await expect(providerOf(make()).check()).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('idp.xml') })
  })

  test('of a provider whose package is not installed are told by its name', async () => {
    const missing = (): Promise<unknown> => Promise.reject(new Error('Cannot find package'))
    const config = configOf(metadataOf(keys))
    const provider = new SamlProvider(config, config.saml!, Date.now, () => loadSaml({ main: missing, xml: missing }))
    const error: unknown = await provider.check().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(GatewayError)
    expect((error as GatewayError).message).toContain('npm install @node-saml/node-saml')
  })
})
