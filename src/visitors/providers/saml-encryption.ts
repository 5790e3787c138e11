import type { SamlLibrary, XmlElement } from './saml-library.ts'

/** Name of the element; no reader of XML takes another spelling for it. */
export const ENCRYPTED = 'EncryptedAssertion'
/** Names of algorithms of signatures that do not count any more. */
export const SHA1 = /xmldsig#(?:rsa-sha1|dsa-sha1|hmac-sha1|sha1)["']/
export const WEAK = 'signed by SHA-1, which is too weak'

const ENCRYPTION = 'http://www.w3.org/2001/04/xmlenc#'
const ENCRYPTION_11 = 'http://www.w3.org/2009/xmlenc11#'

/**
 * Algorithms of XML Encryption by which an assertion may come. None of RSA 1.5: by the answers to many altered keys, whoever has a
 * recorded one finds out what is in it.
 */
const KEYS: ReadonlySet<string> = new Set([`${ENCRYPTION}rsa-oaep-mgf1p`])
const CONTENTS: ReadonlySet<string> = new Set([
  ...[`${ENCRYPTION_11}aes128-gcm`, `${ENCRYPTION_11}aes256-gcm`],
  ...[`${ENCRYPTION}aes128-cbc`, `${ENCRYPTION}aes256-cbc`],
])

/** One reason for all that can go wrong: the log is no help either to somebody who tries. */
const UNREADABLE = 'the assertion cannot be decrypted'

/** An assertion that came encrypted, or in words why it does not count; undefined: it came as it is. */
export type Decrypted = { readonly xml: string } | { readonly why: string } | undefined

/**
 * Decrypts the assertion of a response, so that what is in it can be judged before anything reads it.
 * @param key  private one, PEM; undefined: there is none
 */
export async function decryptAssertion({ xml }: Pick<SamlLibrary, 'xml'>, response: string, key: string | undefined): Promise<Decrypted> {
  if (!response.includes(ENCRYPTED)) return undefined
  const document = await xml.parseDomFromString(response)
  const algorithms = xml.xpath.selectElements(document, "//*[@Algorithm][not(parent::*[local-name()='EncryptionMethod'])]")
  if (algorithms.some(each => SHA1.test(`${each.getAttribute('Algorithm') ?? ''}"`))) return { why: WEAK }
  const [assertion, ...others] = xml.xpath.selectElements(document, `/*[local-name()='Response']/*[local-name()='${ENCRYPTED}']`)
  if (assertion === undefined) return undefined
  if (others.length > 0) return { why: 'not one encrypted assertion' }
  if (key === undefined) return { why: 'the assertion is encrypted, and the file of visitors names no keyFile for this provider' }
  const why = whyNotDecrypted(path => xml.xpath.selectElements(assertion, path))
  if (why !== undefined) return { why }
  try {
    return { xml: await xml.decryptXml(assertion.toString(), key) }
  } catch {
    return { why: UNREADABLE }
  }
}

/** The package takes the first of each that it finds anywhere: there may be one alone. */
function whyNotDecrypted(within: (path: string) => readonly XmlElement[]): string | undefined {
  const all = (name: string): readonly XmlElement[] => within(`.//*[local-name()='${name}']`)
  const methods = (parent: string): readonly XmlElement[] => within(`.//*[local-name()='${parent}']/*[local-name()='EncryptionMethod']`)
  const [data, keys] = [methods('EncryptedData'), methods('EncryptedKey')]
  const counts = [all('EncryptedData'), all('EncryptedKey'), data, keys].map(({ length }) => length)
  if (counts.some(count => count !== 1) || all('EncryptionMethod').length !== 2)
    return 'encrypted in another way than for one recipient by one key'
  // Its place is looked up by a path in which it would stand as it is.
  if (all('RetrievalMethod').some(each => !/^#[\w.-]+$/.test(each.getAttribute('URI') ?? ''))) return 'a key at an unusual place'
  const isKnown = (known: ReadonlySet<string>, [method]: readonly XmlElement[]): boolean =>
    known.has(method?.getAttribute('Algorithm') ?? '')
  return isKnown(CONTENTS, data) && isKnown(KEYS, keys)
    ? undefined
    : 'encrypted by an algorithm that is not taken: AES-GCM and AES-CBC of 128 and 256 bits are, with rsa-oaep-mgf1p'
}
