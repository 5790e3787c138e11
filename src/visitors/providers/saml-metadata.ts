import { X509Certificate } from 'node:crypto'
import type { SamlLibrary, XmlElement } from './saml-library.ts'

/** An identity provider, as its metadata describe it (SAML Metadata §2.4.3). */
export interface IdpMetadata {
  readonly entityId: string
  /** Where a browser begins its login, by a redirect. */
  readonly loginUrl: string
  /** In PEM: all of them count, so that a new one can be announced before it signs. */
  readonly certificates: readonly string[]
  /** Where a browser ends its session, by a redirect; undefined: the provider ends none in this way. */
  readonly logoutUrl: string | undefined
  /** Where it goes to confirm an end. */
  readonly confirmUrl: string | undefined
}

const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'

/** With a type definition, a document could define texts of its own, which grow as they are read. */
const TYPED = /<!(?:doctype|entity)/i

/**
 * Reads the metadata of an identity provider.
 * @param nowMs  ms since 1970
 * @throws Error for a document that describes none, several, or one that cannot be used, as a rejection
 */
export async function readIdpMetadata({ xml }: Pick<SamlLibrary, 'xml'>, text: string, nowMs: number): Promise<IdpMetadata> {
  if (TYPED.test(text)) throw new Error('the document has a type definition')
  const document = await xml.parseDomFromString(text)
  const [entity, ...others] = xml.xpath.selectElements(document, "//*[local-name()='EntityDescriptor'][*[local-name()='IDPSSODescriptor']]")
  if (entity === undefined) throw new Error('no EntityDescriptor with an IDPSSODescriptor')
  if (others.length > 0) throw new Error('more than one identity provider')
  const validUntil = entity.getAttribute('validUntil')
  if (validUntil !== null && validUntil !== '' && Date.parse(validUntil) < nowMs) throw new Error(`valid until ${validUntil.slice(0, 40)}`)
  const entityId = entity.getAttribute('entityID') ?? ''
  if (entityId === '') throw new Error('no entityID')
  const within = (path: string): readonly XmlElement[] => xml.xpath.selectElements(entity, `*[local-name()='IDPSSODescriptor']/${path}`)
  const login = within("*[local-name()='SingleSignOnService']").find(each => each.getAttribute('Binding') === REDIRECT)
  const loginUrl = login?.getAttribute('Location') ?? ''
  if (!isPageUrl(loginUrl)) throw new Error('no SingleSignOnService by HTTP-Redirect with an https URL')
  const certificates = within("*[local-name()='KeyDescriptor'][not(@use) or @use='' or @use='signing']//*[local-name()='X509Certificate']")
    .map(each => pemOf(each.textContent ?? ''))
    .filter(each => each !== undefined)
  if (certificates.length === 0) throw new Error('no certificate that signs')
  const logout = within("*[local-name()='SingleLogoutService']").find(each => each.getAttribute('Binding') === REDIRECT)
  const urlAt = (name: string): string | undefined => {
    const url = logout?.getAttribute(name) ?? ''
    return isPageUrl(url) ? url : undefined
  }
  const logoutUrl = urlAt('Location')
  return { entityId, loginUrl, certificates: [...new Set(certificates)], logoutUrl, confirmUrl: urlAt('ResponseLocation') ?? logoutUrl }
}

/** On this machine also http, for trials. */
const isPageUrl = (url: string): boolean =>
  URL.canParse(url) &&
  (new URL(url).protocol === 'https:' || (new URL(url).protocol === 'http:' && /^(?:localhost|127\.0\.0\.1)$/.test(new URL(url).hostname)))

function pemOf(base64: string): string | undefined {
  try {
    return new X509Certificate(Buffer.from(base64.replace(/\s+/g, ''), 'base64')).toString()
  } catch {
    return undefined // one of several may be of a kind that is not known here
  }
}
