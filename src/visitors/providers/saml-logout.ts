import { constants, verify, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { inflateRaw } from 'node:zlib'
import { GatewayError, messageOf } from '../../errors.ts'
import type { ProviderSession } from '../session/session.ts'
import type { LogoutMessage, LogoutWord, ProviderLogout } from './provider.ts'
import { SKEW_MS } from './saml-assertion.ts'
import type { SamlLibrary, XmlElement } from './saml-library.ts'
import type { IdpMetadata } from './saml-metadata.ts'
import { MAX_RESPONSE, whyUnsafe, whyWeak } from './saml-safety.ts'

/** A request that is older ends nothing; it is remembered for so long. */
const MAX_AGE_MS = 300_000
const PROTOCOL = 'urn:oasis:names:tc:SAML:2.0:protocol'
const ASSERTION = 'urn:oasis:names:tc:SAML:2.0:assertion'
const SUCCESS = 'urn:oasis:names:tc:SAML:2.0:status:Success'
const MORE = 'http://www.w3.org/2001/04/xmldsig-more#'
/** Hashes of RSA by which a redirect may be signed (SAML Bindings §3.4.4.1); none by SHA-1. */
const HASHES: ReadonlyMap<string, string> = new Map([
  [`${MORE}rsa-sha256`, 'sha256'],
  [`${MORE}rsa-sha384`, 'sha384'],
  [`${MORE}rsa-sha512`, 'sha512'],
])
const DEFLATE = 'urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE'
/** Bytes may be 80 (SAML Bindings §3.4.3); some send more. */
const MAX_RELAY_STATE = 1_024
/** Sessions that one request may name. */
const MAX_INDEXES = 100

const inflate = promisify(inflateRaw)
const none = (reason: string): LogoutWord => ({ kind: 'none', reason })

/** A message as it came, with the way to verify it. */
interface Read {
  readonly xml: string
  /** @returns the text that was signed, in XML; undefined where the signature is not that of one of the certificates */
  readonly signed: (certificates: readonly string[]) => Promise<string | undefined>
}

/** The parts of the logout. */
export interface SamlLogoutParts {
  readonly entityId: string
  /** ms since 1970 */
  readonly clock: () => number
  readonly load: () => Promise<SamlLibrary>
  /** Those in force. @param isDoubted  a signature cannot be verified: newer ones are wanted */
  readonly metadata: (isDoubted: boolean) => Promise<IdpMetadata>
  /** The package, set up for messages to `logoutUrl`. */
  readonly samlTo: (metadata: IdpMetadata, logoutUrl: string, id?: string) => Promise<InstanceType<SamlLibrary['SAML']>>
}

/**
 * Single Logout of SAML 2.0 (Profiles §4.4), by browsers: requests and answers go out by redirects, and come by redirects or forms. Whatever
 * comes has to be signed: any page can have a browser bring a message.
 */
export class SamlLogout implements ProviderLogout {
  constructor(private readonly parts: SamlLogoutParts) {}

  async isOffered(): Promise<boolean> {
    return (await this.parts.metadata(false)).logoutUrl !== undefined
  }

  async begin(session: ProviderSession, { id, state }: { readonly id: string; readonly state: string }): Promise<string> {
    const metadata = await this.parts.metadata(false)
    const { logoutUrl } = metadata
    if (logoutUrl === undefined)
      throw new GatewayError('VISITOR_PROVIDER_AWAY', 'the provider has no SingleLogoutService by HTTP-Redirect any more')
    const { nameId, format, nameQualifier, spNameQualifier, index } = session
    const user = {
      issuer: metadata.entityId,
      ...{ nameID: nameId, nameIDFormat: format === '' ? UNSPECIFIED : format },
      ...(nameQualifier !== '' && { nameQualifier }),
      ...(spNameQualifier !== '' && { spNameQualifier }),
      ...(index !== '' && { sessionIndex: index }),
    }
    return (await this.parts.samlTo(metadata, logoutUrl, id)).getLogoutUrlAsync(user, state, {})
  }

  async confirm(request: string, relayState: string | undefined): Promise<string | undefined> {
    const metadata = await this.parts.metadata(false)
    const { confirmUrl } = metadata
    if (confirmUrl === undefined) return undefined
    const state = relayState !== undefined && relayState.length <= MAX_RELAY_STATE ? relayState : ''
    const saml = await this.parts.samlTo(metadata, confirmUrl)
    return saml.getLogoutResponseUrlAsync({ ID: request } as Parameters<typeof saml.getLogoutResponseUrlAsync>[0], state, {}, true)
  }

  async read(message: LogoutMessage): Promise<LogoutWord> {
    const library = await this.parts.load()
    try {
      const read = message.query === undefined ? readForm(library, message.parameters) : await readQuery(message.query)
      if (typeof read === 'string') return none(read)
      const unsafe = whyUnsafe(read.xml) ?? whyWeak(read.xml)
      if (unsafe !== undefined) return none(unsafe)
      let metadata = await this.parts.metadata(false)
      let signed = await read.signed(metadata.certificates)
      if (signed === undefined) {
        metadata = await this.parts.metadata(true)
        signed = await read.signed(metadata.certificates)
      }
      if (signed === undefined) return none('signed by no key of the provider, or not at all')
      return wordOf(library, await library.xml.parseDomFromString(signed), { url: message.url, metadata, nowMs: this.parts.clock() })
    } catch (error) {
      if (error instanceof GatewayError) throw error
      return none(messageOf(error).slice(0, 200))
    }
  }
}

const UNSPECIFIED = 'urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified'

/** By a redirect: deflated, and signed as the query has it, byte for byte (SAML Bindings §3.4.4.1). */
async function readQuery(query: string): Promise<Read | string> {
  const pairs = query.slice(1).split('&')
  const rawOf = (name: string): string | undefined => {
    const found = pairs.filter(pair => pair.startsWith(`${name}=`))
    return found.length === 1 ? found[0] : undefined
  }
  const counted = new URLSearchParams(query)
  const twice = ['SAMLRequest', 'SAMLResponse', 'RelayState', 'SigAlg', 'Signature', 'SAMLEncoding'].find(
    name => counted.getAll(name).length > 1,
  )
  if (twice !== undefined) return `${twice} stands twice`
  const names = ['SAMLRequest', 'SAMLResponse'].filter(name => rawOf(name) !== undefined)
  const [name, ...others] = names
  if (name === undefined || others.length > 0) return 'expected one SAMLRequest or SAMLResponse'
  if ((counted.get('SAMLEncoding') ?? DEFLATE) !== DEFLATE) return 'an encoding that is not known'
  const sent = Buffer.from(counted.get(name) ?? '', 'base64')
  const bytes = await inflate(sent, { maxOutputLength: MAX_RESPONSE }).catch(() => undefined)
  if (bytes === undefined) return 'the message is not deflated, or too long'
  const xml = bytes.toString('utf8')
  const octets = [rawOf(name), ...(counted.has('RelayState') ? [rawOf('RelayState')] : []), rawOf('SigAlg')]
  const hash = HASHES.get(counted.get('SigAlg') ?? '')
  const signature = Buffer.from(counted.get('Signature') ?? '', 'base64')
  if (!counted.has('Signature')) return 'the message is not signed'
  if (hash === undefined || octets.includes(undefined)) return 'signed by an algorithm that is not taken: RSA with SHA-256 or better is'
  const isBy = (certificate: string): boolean => {
    const { publicKey: key } = new X509Certificate(certificate)
    if (key.asymmetricKeyType !== 'rsa') return false
    return verify(hash, Buffer.from(octets.join('&')), { key, padding: constants.RSA_PKCS1_PADDING }, signature)
  }
  return { xml, signed: async certificates => (certificates.some(isBy) ? xml : undefined) }
}

/** By a form: signed within (SAML Bindings §3.5.4). */
function readForm({ xml: reader }: Pick<SamlLibrary, 'xml'>, form: ReadonlyMap<string, string>): Read | string {
  const sent = [form.get('SAMLRequest'), form.get('SAMLResponse')].filter(value => value !== undefined)
  const [text, ...others] = sent
  if (text === undefined || others.length > 0) return 'expected one SAMLRequest or SAMLResponse'
  if (text.length > MAX_RESPONSE) return 'the message is too long'
  const xml = Buffer.from(text, 'base64').toString('utf8')
  return {
    xml,
    signed: async certificates => {
      const [root] = reader.xpath.selectElements(await reader.parseDomFromString(xml), '/*')
      return root === undefined ? undefined : (reader.getVerifiedXml(xml, root, certificates) ?? undefined)
    },
  }
}

/** SAML Core §3.7, of what was signed and of nothing else. */
function wordOf(
  { xml }: Pick<SamlLibrary, 'xml'>,
  document: unknown,
  { url, metadata, nowMs }: { readonly url: string; readonly metadata: IdpMetadata; readonly nowMs: number },
): LogoutWord {
  const named = (namespace: string, name: string): string => `*[local-name()='${name}' and namespace-uri()='${namespace}']`
  const [root] = xml.xpath.selectElements(document, `/${named(PROTOCOL, 'LogoutRequest')} | /${named(PROTOCOL, 'LogoutResponse')}`)
  if (root === undefined) return none('neither LogoutRequest nor LogoutResponse')
  const within = (namespace: string, name: string): readonly XmlElement[] => xml.xpath.selectElements(root, named(namespace, name))
  const attribute = (name: string): string => root.getAttribute(name) ?? ''
  const textOf = (elements: readonly XmlElement[]): string => (elements.length === 1 ? (elements[0]!.textContent ?? '').trim() : '')
  const id = attribute('ID')
  if (id === '' || attribute('Version') !== '2.0') return none('no message of SAML 2.0')
  if (textOf(within(ASSERTION, 'Issuer')) !== metadata.entityId) return none('the message is of another issuer')
  if (attribute('Destination') !== url) return none('the message is for another place')
  const issuedMs = Date.parse(attribute('IssueInstant'))
  if (!(issuedMs > nowMs - MAX_AGE_MS && issuedMs < nowMs + SKEW_MS)) return none('the message is too old, or of the future')
  if (root.localName === 'LogoutResponse') {
    const [status] = within(PROTOCOL, 'Status')
    const codes = status === undefined ? [] : xml.xpath.selectElements(status, `.//${named(PROTOCOL, 'StatusCode')}`)
    // A code within says that not all have ended (PartialLogout).
    return { kind: 'answer', request: attribute('InResponseTo'), isDone: codes.length === 1 && codes[0]!.getAttribute('Value') === SUCCESS }
  }
  const until = attribute('NotOnOrAfter')
  if (until !== '' && !(Date.parse(until) > nowMs - SKEW_MS)) return none('the request is over')
  if (within(ASSERTION, 'EncryptedID').length > 0) return none('an encrypted name, which is not read here')
  const nameId = textOf(within(ASSERTION, 'NameID'))
  if (nameId === '') return none('the request names nobody')
  const indexes = within(PROTOCOL, 'SessionIndex').map(each => (each.textContent ?? '').trim())
  if (indexes.length > MAX_INDEXES) return none('too many sessions at once')
  return { kind: 'request', id, use: `logout ${metadata.entityId} ${id}`, nameId, indexes }
}
