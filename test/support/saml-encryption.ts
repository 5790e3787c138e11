/** XML Encryption as an identity provider does it, by the letter of the specification and without a library. */
import { constants, createCipheriv, publicEncrypt, randomBytes, type CipherGCM } from 'node:crypto'

const XENC = 'http://www.w3.org/2001/04/xmlenc#'
const XENC_11 = 'http://www.w3.org/2009/xmlenc11#'

const CONTENTS = {
  'aes256-gcm': { uri: `${XENC_11}aes256-gcm`, cipher: 'aes-256-gcm', keyBytes: 32, ivBytes: 12 },
  'aes128-cbc': { uri: `${XENC}aes128-cbc`, cipher: 'aes-128-cbc', keyBytes: 16, ivBytes: 16 },
  'tripledes-cbc': { uri: `${XENC}tripledes-cbc`, cipher: 'des-ede3-cbc', keyBytes: 24, ivBytes: 8 },
} as const
const KEYS = {
  'rsa-oaep-mgf1p': constants.RSA_PKCS1_OAEP_PADDING,
  'rsa-1_5': constants.RSA_PKCS1_PADDING,
} as const

/** The way in which something is encrypted. */
export interface EncryptionWish {
  readonly content?: keyof typeof CONTENTS
  readonly key?: keyof typeof KEYS
  /** Changes the bytes of what is encrypted. */
  readonly alter?: (bytes: Buffer) => void
}

/** An EncryptedAssertion. @param certificate  of the recipient, PEM */
export function encryptAssertion(
  assertion: string,
  certificate: string,
  { content = 'aes256-gcm', key = 'rsa-oaep-mgf1p', alter }: EncryptionWish = {},
): string {
  const { uri, cipher: name, keyBytes, ivBytes } = CONTENTS[content]
  const [secret, iv] = [randomBytes(keyBytes), randomBytes(ivBytes)]
  const cipher = createCipheriv(name, secret, iv)
  const body = [iv, cipher.update(assertion, 'utf8'), cipher.final()]
  const tag = content === 'aes256-gcm' ? [(cipher as CipherGCM).getAuthTag()] : []
  const bytes = Buffer.concat([...body, ...tag])
  alter?.(bytes)
  const wrapped = publicEncrypt({ key: certificate, padding: KEYS[key] }, secret)
  const value = (of: Buffer): string => `<xenc:CipherData><xenc:CipherValue>${of.toString('base64')}</xenc:CipherValue></xenc:CipherData>`
  const encryptedKey = `<xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="${XENC}${key}"/>${value(wrapped)}</xenc:EncryptedKey>`
  const keyInfo = `<ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">${encryptedKey}</ds:KeyInfo>`
  const data = `<xenc:EncryptedData xmlns:xenc="${XENC}" Type="${XENC}Element"><xenc:EncryptionMethod Algorithm="${uri}"/>${keyInfo}${value(bytes)}</xenc:EncryptedData>`
  return `<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">${data}</saml:EncryptedAssertion>`
}
