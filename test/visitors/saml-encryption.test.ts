/** Encrypted assertions and signed requests of SAML, with a real identity provider (`samlp`) where it has what it takes. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { createVerify, X509Certificate } from 'node:crypto'
import { readSamlKeys } from '../../src/config/visitors/saml-keys.ts'
import type { ProviderConfig } from '../../src/visitors/config.ts'
import type { LoginEnd } from '../../src/visitors/providers/provider.ts'
import { SamlProvider } from '../../src/visitors/providers/saml-provider.ts'
import { encryptionFor, GRACE, makeResponse, mintIdp, settingsOf, type AssertionWish, type IdpKeys } from '../support/saml.ts'
import { encryptAssertion } from '../support/saml-encryption.ts'

const ACS = 'https://auth.example.test/callback/corp'
const ENTITY = 'https://auth.example.test/saml/corp'
const ISSUER = 'urn:example:idp'

let idp: IdpKeys
let ours: IdpKeys
let others: IdpKeys
beforeAll(() => {
  idp = mintIdp('idp')
  ours = mintIdp('gateway')
  others = mintIdp('somebody')
})

const metadata = (): string =>
  `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${ISSUER}"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><KeyDescriptor><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>${new X509Certificate(idp.cert).raw.toString('base64')}</X509Certificate></X509Data></KeyInfo></KeyDescriptor><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.test/login?tenant=a%20b"/></IDPSSODescriptor></EntityDescriptor>`

function providerOf(keys: IdpKeys | undefined): SamlProvider {
  const saml = settingsOf(
    { kind: 'file', place: 'idp.xml', text: metadata() },
    { entityId: ENTITY, ...(keys !== undefined && { keys: readSamlKeys(keys.key, keys.cert) }) },
  )
  const config: ProviderConfig = {
    ...{ name: 'corp', kind: 'saml', title: 'Corp', issuer: 'idp.xml', clientId: '', clientSecret: '', scopes: [], saml },
    ...{ groupsClaim: 'groups', keptGroups: undefined, keptClaims: [], trustsEmail: false },
  }
  return new SamlProvider(config, saml, Date.now)
}

const begin = (provider: SamlProvider) => provider.begin({ redirectUri: ACS, state: 's'.repeat(22), asksAgain: false })

/** A whole login. @param alter  what the provider, or somebody, makes of the response */
async function logIn(
  alter: (xml: string) => string,
  wish: Partial<AssertionWish> = {},
  keys: IdpKeys | undefined = ours,
): Promise<LoginEnd> {
  const provider = providerOf(keys)
  const { secret } = await begin(provider)
  const terms = { issuer: ISSUER, keys: idp, audience: ENTITY, recipient: ACS, inResponseTo: secret, lifetimeInSeconds: 300 }
  const xml = alter(await makeResponse({ ...terms, ...wish }))
  const form = new Map([['SAMLResponse', Buffer.from(xml).toString('base64')]])
  return provider.finish({ url: new URL(ACS), form, address: '-' }, secret, { redirectUri: ACS })
}

const ASSERTION = /<saml:Assertion[\s\S]*<\/saml:Assertion>/
type Encryption = Parameters<typeof encryptAssertion>[2]
/** Encrypts the assertion for us. @param change  of it, before that */
const encrypted =
  (wish?: Encryption, change: (assertion: string) => string = text => text) =>
  (xml: string): string =>
    xml.replace(ASSERTION, assertion => encryptAssertion(change(assertion), ours.cert, wish))
const same = (xml: string): string => xml

describe('an assertion that is encrypted', () => {
  test('by the provider lets in, as one does that is not', async () => {
    const sealed = await logIn(same, encryptionFor(ours.cert))
    expect(sealed).toMatchObject({ kind: 'person', person: { subject: 'grace-1', email: 'grace@example.io', groups: ['ops', 'navy'] } })
    expect(await logIn(same)).toEqual(sealed)
  })

  test.each(['aes256-gcm', 'aes128-cbc'] as const)('by %s lets in', async content => {
    expect((await logIn(encrypted({ content }))).kind).toBe('person')
  })

  test.each([
    ['by RSA 1.5', encrypted({ key: 'rsa-1_5' }), /algorithm that is not taken/],
    ['by 3DES', encrypted({ content: 'tripledes-cbc' }), /algorithm that is not taken/],
    [
      'for somebody else',
      (xml: string) => xml.replace(ASSERTION, each => encryptAssertion(each, others.cert)),
      /^the assertion cannot be decrypted$/,
    ],
    ['and altered on its way', encrypted({ alter: bytes => (bytes[40]! ^= 1) }), /^the assertion cannot be decrypted$/],
    [
      'with a padding that is none',
      encrypted({ content: 'aes128-cbc', alter: bytes => (bytes[bytes.length - 17]! ^= 0x7f) }),
      /^the assertion cannot be decrypted$/,
    ],
    ['with a comment inside', encrypted({}, text => text.replace('grace-1', 'grace<!-- -->-1')), /comment/],
    [
      'with too much inside',
      encrypted({}, text => text.replace('</saml:Assertion>', `${'<a/>'.repeat(1_500)}</saml:Assertion>`)),
      /too many elements/,
    ],
    ['and was changed before', encrypted({}, text => text.replaceAll('grace', 'root')), /signature/i],
    ['without a signature inside', encrypted({}, text => text.replace(/<Signature xmlns[\s\S]*<\/Signature>/, '')), /signature/i],
    [
      'beside one that is not',
      (xml: string) => xml.replace(ASSERTION, each => encryptAssertion(each, ours.cert) + each),
      /multiple assertions/,
    ],
    ['twice', (xml: string) => xml.replace(ASSERTION, each => encryptAssertion(each, ours.cert).repeat(2)), /not one encrypted assertion/],
    [
      'with two keys',
      (xml: string) => encrypted()(xml).replace(/<xenc:EncryptedKey>[\s\S]*<\/xenc:EncryptedKey>/, each => each.repeat(2)),
      /one recipient/,
    ],
    [
      'with a key at a place that is a path',
      (xml: string) => encrypted()(xml).replace('</ds:KeyInfo>', `<ds:RetrievalMethod URI="#x' or '1'='1"/></ds:KeyInfo>`),
      /unusual place/,
    ],
  ])('%s lets nobody in', async (_, alter, reason) => {
    expect(await logIn(alter)).toMatchObject({ kind: 'failed', failure: 'failed', reason: expect.stringMatching(reason) })
  })

  test('in a response that is signed by SHA-1, or by what may be that, lets nobody in', async () => {
    const sha1 = 'http://www.w3.org/2000/09/xmldsig#sha1'
    for (const name of [sha1, sha1.replace('sha1', 'sh&#97;1')]) {
      const signature = `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><Reference URI=""><DigestMethod Algorithm="${name}"/></Reference></SignedInfo></Signature>`
      const end = await logIn(xml => encrypted()(xml).replace('<samlp:Status>', `${signature}<samlp:Status>`))
      expect(end).toMatchObject({ kind: 'failed', reason: expect.stringContaining('SHA-1') })
    }
  })

  test('and signed by SHA-1 inside lets nobody in', async () => {
    const sha1 = { signatureAlgorithm: 'rsa-sha1', digestAlgorithm: 'sha1', user: { ...GRACE, displayName: 'EncryptedAssertion' } }
    for (const alter of [encrypted(), same])
      expect(await logIn(alter, sha1)).toMatchObject({ kind: 'failed', reason: expect.stringContaining('SHA-1') })
  })

  test('is told by its element, not by a name that somebody has', async () => {
    const end = await logIn(same, { user: { ...GRACE, displayName: 'EncryptedAssertion' } })
    expect(end).toMatchObject({ kind: 'person', person: { name: 'EncryptedAssertion' } })
  })

  test('lets nobody in where there is no key', async () => {
    const provider = providerOf(undefined)
    const { secret } = await begin(provider)
    const terms = { issuer: ISSUER, keys: idp, audience: ENTITY, recipient: ACS, inResponseTo: secret }
    const form = new Map([['SAMLResponse', Buffer.from(encrypted()(await makeResponse(terms))).toString('base64')]])
    const end = await provider.finish({ url: new URL(ACS), form, address: '-' }, secret, { redirectUri: ACS })
    expect(end).toMatchObject({ kind: 'failed', reason: expect.stringContaining('keyFile') })
  })
})

describe('a request', () => {
  test('is signed where there is a key, over what goes to the provider', async () => {
    const { url } = await begin(providerOf(ours))
    const query = new URL(url).search.slice(1).split('&')
    const signed = ['SAMLRequest', 'RelayState', 'SigAlg'].map(name => query.find(part => part.startsWith(`${name}=`))).join('&')
    const parameters = new URL(url).searchParams
    expect(parameters.get('SigAlg')).toBe('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256')
    expect(parameters.get('tenant')).toBe('a b')
    expect(createVerify('sha256').update(signed).verify(ours.cert, parameters.get('Signature')!, 'base64')).toBe(true)
  })

  test('is not where there is none', async () => {
    const { url } = await begin(providerOf(undefined))
    expect([...new URL(url).searchParams.keys()]).toEqual(['tenant', 'SAMLRequest', 'RelayState'])
  })
})

test.each([
  ['a key that is none', () => readSamlKeys('x', ours.cert), /^keyFile: expected a private key/],
  ['a certificate that is none', () => readSamlKeys(ours.key, 'x'), /^certificateFile: expected a certificate/],
  ['the certificate of another key', () => readSamlKeys(ours.key, others.cert), /^certificateFile: .* another key/],
])('%s is said', (_, read, message) => {
  expect(read).toThrow(message)
})
