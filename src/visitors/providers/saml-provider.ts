import { randomBytes } from 'node:crypto'
import { GatewayError, messageOf } from '../../errors.ts'
import type { ProviderConfig, SamlSettings } from '../config.ts'
import type { ProviderSession } from '../session/session.ts'
import { personOf } from './person.ts'
import { PROVIDER_MS, type LoginEnd, type LoginReturn, type LoginStart, type LoginWish, type Provider } from './provider.ts'
import { textOfAnswer } from './oauth-call.ts'
import { readAssertion, SKEW_MS, type AssertedPerson } from './saml-assertion.ts'
import { decryptAssertion, ENCRYPTED } from './saml-encryption.ts'
import { loadSaml, type SamlLibrary } from './saml-library.ts'
import { SamlLogout } from './saml-logout.ts'
import { readIdpMetadata, type IdpMetadata } from './saml-metadata.ts'
import { MAX_RESPONSE, whyUnsafe, whyWeak } from './saml-safety.ts'

/** Metadata at a URL are asked for again after so long, when somebody logs in. */
const FRESH_MS = 600_000
/** The same when what was signed cannot be verified: the provider may sign by a new key. */
const DOUBTED_MS = 60_000
/** Characters of the names of a session at the provider. */
const MAX_SESSION = 500
const MAX_METADATA = 2_097_152

interface Known {
  readonly atMs: number
  readonly metadata: IdpMetadata
}

const failed = (reason: string, failure: 'failed' | 'cancelled' = 'failed'): LoginEnd => ({ kind: 'failed', failure, reason })

/**
 * SAML 2.0, Web Browser SSO: a redirect to the identity provider, and a form back. The signature of the assertion is demanded, whatever else is
 * signed; only what was signed is read, and it has to answer the request of this very login.
 */
export class SamlProvider implements Provider {
  readonly comesBackBy = 'form'
  readonly logout: SamlLogout
  #known: Known | undefined
  #asked: Promise<Known> | undefined

  /** @param clock  ms since 1970 */
  constructor(
    readonly config: ProviderConfig,
    private readonly settings: SamlSettings,
    private readonly clock: () => number,
    private readonly load: () => Promise<SamlLibrary> = loadSaml,
  ) {
    this.logout = new SamlLogout({
      entityId: settings.entityId,
      ...{ clock, load },
      metadata: async isDoubted => this.#metadata(await load(), isDoubted ? DOUBTED_MS : FRESH_MS),
      samlTo: async (metadata, logoutUrl, id) =>
        this.#samlOf(await load(), metadata, logoutUrl, { logoutUrl, ...(id !== undefined && { request: id }) }),
    })
  }

  /** Looks whether it can be used, as far as that is known without the network. @throws GatewayError CONFIG_INVALID, as a rejection */
  async check(): Promise<void> {
    const library = await this.load()
    const { metadata } = this.settings
    if (metadata.kind === 'url') return
    await readIdpMetadata(library, metadata.text, this.clock()).catch((cause: unknown) => {
      throw new GatewayError('CONFIG_INVALID', `${metadata.place}: expected the metadata of an identity provider: ${messageOf(cause)}`, {
        cause,
      })
    })
  }

  async begin({ redirectUri, state, asksAgain }: LoginWish): Promise<LoginStart> {
    const library = await this.load()
    const metadata = await this.#metadata(library, FRESH_MS)
    // SAML Core §1.3.4; an ID begins with no digit.
    const request = `_${randomBytes(16).toString('hex')}`
    const url = await this.#samlOf(library, metadata, redirectUri, { request, asksAgain }).getAuthorizeUrlAsync(state, undefined, {})
    return { url, secret: request }
  }

  finish({ form }: LoginReturn, request: string, { redirectUri }: Pick<LoginWish, 'redirectUri'>): Promise<LoginEnd> {
    return this.#judge(form.get('SAMLResponse'), request, redirectUri).then(end => ('end' in end ? end.end : end.person))
  }

  async finishUnasked({ form }: LoginReturn, redirectUri: string): Promise<{ readonly end: LoginEnd; readonly id: string }> {
    const judged = await this.#judge(form.get('SAMLResponse'), undefined, redirectUri)
    return 'end' in judged ? { end: judged.end, id: '' } : { end: judged.person, id: judged.id }
  }

  async #judge(
    response: string | undefined,
    request: string | undefined,
    redirectUri: string,
  ): Promise<{ readonly end: LoginEnd } | { readonly person: LoginEnd; readonly id: string }> {
    if (response === undefined) return { end: failed('no SAMLResponse, or more than one') }
    if (response.length > MAX_RESPONSE) return { end: failed('a SAMLResponse that is too long') }
    const xml = Buffer.from(response, 'base64').toString('utf8')
    // RSA-OAEP may be by SHA-1, where nothing depends on collisions: of what may be encrypted, the elements are looked at.
    const unsafe = whyUnsafe(xml) ?? (xml.includes(ENCRYPTED) ? undefined : whyWeak(xml))
    if (unsafe !== undefined) return { end: failed(unsafe) }
    const library = await this.load()
    const decrypted = await decryptAssertion(library, xml, this.settings.keys?.privateKey).catch(() => ({ why: 'no XML' }))
    if (decrypted !== undefined) {
      const why = 'why' in decrypted ? decrypted.why : (whyUnsafe(decrypted.xml) ?? whyWeak(decrypted.xml))
      if (why !== undefined) return { end: failed(why) }
    }
    const metadata = await this.#metadata(library, FRESH_MS)
    const judge = (by: IdpMetadata): Promise<AssertedPerson | string> =>
      this.#read(this.#samlOf(library, by, redirectUri, {}), response, { issuer: by.entityId, recipient: redirectUri, request })
    let asserted = await judge(metadata)
    if (typeof asserted === 'string') {
      const newer = await this.#metadata(library, DOUBTED_MS)
      if (newer.certificates.join() !== metadata.certificates.join()) asserted = await judge(newer)
    }
    if (typeof asserted === 'string') return { end: failed(asserted) }
    return { person: this.#personOf(asserted), id: `${metadata.entityId} ${asserted.id}` }
  }

  async #read(
    saml: InstanceType<SamlLibrary['SAML']>,
    response: string,
    terms: { readonly issuer: string; readonly recipient: string; readonly request: string | undefined },
  ): Promise<AssertedPerson | string> {
    try {
      const { profile } = await saml.validatePostResponseAsync({ SAMLResponse: response })
      if (profile === null) return 'the provider has not logged anybody in'
      return readAssertion(profile.getAssertion?.(), { ...terms, audience: this.settings.entityId, nowMs: this.clock() })
    } catch (error) {
      return messageOf(error).slice(0, 200)
    }
  }

  #samlOf(
    { SAML }: SamlLibrary,
    { entityId, loginUrl, certificates }: IdpMetadata,
    callbackUrl: string,
    { request, asksAgain = false, logoutUrl }: { readonly request?: string; readonly asksAgain?: boolean; readonly logoutUrl?: string },
  ): InstanceType<SamlLibrary['SAML']> {
    const { keys } = this.settings
    return new SAML({
      callbackUrl,
      entryPoint: loginUrl,
      issuer: this.settings.entityId,
      audience: this.settings.entityId,
      idpIssuer: entityId,
      idpCert: [...certificates],
      wantAssertionsSigned: true,
      // Many sign the assertion alone, and it is all that is read.
      wantAuthnResponseSigned: false,
      acceptedClockSkewMs: SKEW_MS,
      forceAuthn: asksAgain,
      identifierFormat: null,
      disableRequestedAuthnContext: true,
      signatureAlgorithm: 'sha256',
      ...(keys !== undefined && { privateKey: keys.privateKey, decryptionPvk: keys.privateKey }),
      ...(request !== undefined && { generateUniqueId: () => request }),
      ...(logoutUrl !== undefined && { logoutUrl }),
    })
  }

  #personOf(asserted: AssertedPerson): LoginEnd {
    const { nameId, nameFormat, attributes } = asserted
    const atProvider = sessionAt(asserted)
    const { emailNames, nameNames, groupNames } = this.settings
    const valuesOf = (names: readonly string[]): readonly string[] =>
      names.map(name => attributes.get(name) ?? []).find(values => values.length > 0) ?? []
    const [email = nameFormat.endsWith(':emailAddress') && nameId !== '' ? nameId : undefined] = valuesOf(emailNames)
    // One that is another one each time names nobody.
    const subject = nameFormat.endsWith(':transient') || nameId === '' ? email : nameId
    const end = personOf(
      this.config,
      {
        ...Object.fromEntries(attributes),
        sub: subject,
        email,
        // The directory of the operator's own company vouches for it: there is nothing in SAML that says so.
        email_verified: email !== undefined,
        name: valuesOf(nameNames)[0],
        preferred_username: undefined,
        [this.config.groupsClaim]: valuesOf(groupNames),
      },
      lengthOf(atProvider),
    )
    return end.kind === 'person' && atProvider !== undefined ? { ...end, atProvider } : end
  }

  /** @param maxAgeMs  those at a URL may be as old. @throws GatewayError VISITOR_PROVIDER_AWAY, as a rejection */
  async #metadata(library: SamlLibrary, maxAgeMs: number): Promise<IdpMetadata> {
    const known = this.#known
    const isFile = this.settings.metadata.kind === 'file'
    if (known !== undefined && (isFile || this.clock() - known.atMs < maxAgeMs)) return known.metadata
    // One call at a time, whoever wants to know.
    this.#asked ??= this.#ask(library).finally(() => (this.#asked = undefined))
    try {
      this.#known = await this.#asked
      return this.#known.metadata
    } catch (error) {
      // A provider whose metadata are away may well be there.
      if (known !== undefined) return known.metadata
      throw error
    }
  }

  async #ask(library: SamlLibrary): Promise<Known> {
    const { metadata } = this.settings
    try {
      const text = metadata.kind === 'file' ? metadata.text : await fetchMetadata(metadata.url)
      const now = this.clock()
      return { atMs: now, metadata: await readIdpMetadata(library, text, now) }
    } catch (cause) {
      const place = metadata.kind === 'file' ? metadata.place : new URL(metadata.url).origin
      throw new GatewayError('VISITOR_PROVIDER_AWAY', `metadata of ${place}: ${messageOf(cause)}`, { cause })
    }
  }
}

/** The session at the provider; undefined for one whose names are longer than a cookie has room for: it ends here alone. */
function sessionAt({
  nameId,
  nameFormat: format,
  nameQualifier,
  spNameQualifier,
  sessionIndex: index,
}: AssertedPerson): ProviderSession | undefined {
  const session = { nameId, format, nameQualifier, spNameQualifier, index }
  return nameId === '' || lengthOf(session) > MAX_SESSION ? undefined : session
}

const lengthOf = (session: ProviderSession | undefined): number =>
  session === undefined ? 0 : Object.values<string>({ ...session }).reduce((sum, text) => sum + text.length, 0)

async function fetchMetadata(url: string): Promise<string> {
  const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(PROVIDER_MS) })
  if (answer.status !== 200) throw new Error(`status ${answer.status}`)
  return textOfAnswer(answer, MAX_METADATA)
}
