/** The parts of X.509 certificates (RFC 5280) as node-forge's ASN.1: forge's own certificate writer cannot sign with EC keys. */
import { createHash, randomBytes, type KeyObject } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import forge from 'node-forge'

const { asn1 } = forge

/** A value of ASN.1. */
export type Asn1 = forge.asn1.Asn1

/** The purpose of a certificate: an inner layer (as TLS client), a server, or signing others. */
export type Purpose = 'client' | 'server' | 'ca'

const OID = {
  commonName: '2.5.4.3',
  sha256WithRSAEncryption: '1.2.840.113549.1.1.11',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

const universal = (type: forge.asn1.Type, constructed: boolean, value: string | Asn1[]): Asn1 =>
  asn1.create(asn1.Class.UNIVERSAL, type, constructed, value)
// Context-specific tags, which forge's types know by universal names only: [0] to [3], [6] and [7].
const { NONE: TAG_0, BOOLEAN: TAG_1, INTEGER: TAG_2, BITSTRING: TAG_3, OID: TAG_6, ODESC: TAG_7 } = asn1.Type
const tagged = (tag: forge.asn1.Type, constructed: boolean, value: string | Asn1[]): Asn1 =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, constructed, value)
const oid = (dotted: string): Asn1 => universal(asn1.Type.OID, false, asn1.oidToDer(dotted).getBytes())
const octets = (bytes: string): Asn1 => universal(asn1.Type.OCTETSTRING, false, bytes)
const bits = (bytes: string): Asn1 => universal(asn1.Type.BITSTRING, false, bytes)

/** A SEQUENCE of `items`. */
export const sequence = (...items: Asn1[]): Asn1 => universal(asn1.Type.SEQUENCE, true, items)

/** DER, one character for each byte. */
export const toBytes = (value: Asn1): string => asn1.toDer(value).getBytes()

/** @param der  bytes, or one character for each */
export const fromDer = (der: Buffer | string): Asn1 => asn1.fromDer(typeof der === 'string' ? der : der.toString('latin1'))

/** A name of one common name. */
export const nameOf = (commonName: string): Asn1 =>
  sequence(
    universal(asn1.Type.SET, true, [sequence(oid(OID.commonName), universal(asn1.Type.UTF8, false, forge.util.encodeUtf8(commonName)))]),
  )

// RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on; both to the second, in Z.
function timeOf(date: Date): Asn1 {
  const generalized = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() < 2050
    ? universal(asn1.Type.UTCTIME, false, generalized.slice(2))
    : universal(asn1.Type.GENERALIZEDTIME, false, generalized)
}

// RFC 5280 §4.1.2.2: positive, at most 20 octets. The top bit stays clear (no sign octet), the next is set (never zero).
function serialNumber(): Asn1 {
  const serial = randomBytes(16)
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return universal(asn1.Type.INTEGER, false, serial.toString('latin1'))
}

/** The algorithm with which a key of this type signs certificates; RFC 5758 §3.2: no parameters with ECDSA. */
export const signatureAlgorithm = (type: 'rsa' | 'ec'): Asn1 =>
  type === 'rsa' ? sequence(oid(OID.sha256WithRSAEncryption), universal(asn1.Type.NULL, false, '')) : sequence(oid(OID.ecdsaWithSha256))

const extension = (id: string, critical: boolean, value: Asn1): Asn1 =>
  sequence(oid(id), ...(critical ? [universal(asn1.Type.BOOLEAN, false, '\xff')] : []), octets(toBytes(value)))

// RFC 5280 §4.2.1.2 method 1: SHA-1 of the BIT STRING in the SPKI: the PKCS #1 key, or the uncompressed point of P-256 (65 octets, last).
function keyIdOf(publicKey: KeyObject): string {
  const key =
    publicKey.asymmetricKeyType === 'rsa'
      ? publicKey.export({ type: 'pkcs1', format: 'der' })
      : publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
  return createHash('sha1').update(key).digest().toString('latin1')
}

/** The 16 bytes of an IPv6 address; the URL parser has the one canonical form, in which an IPv4 tail is hex. */
function ipv6Bytes(address: string): readonly number[] {
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groups = (part: string | undefined): number[] => (part ? part.split(':').map(group => parseInt(group, 16)) : [])
  const [left, right] = [groups(head), groups(tail)]
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
  return all.flatMap(group => [group >> 8, group & 0xff])
}

const URI = /^[a-z][a-z0-9+.-]*:/

// RFC 5280 §4.2.1.6: rfc822Name is [1], dNSName [2], uniformResourceIdentifier [6], iPAddress [7] in network byte order.
function alternativeName(name: string): Asn1 {
  if (isIPv4(name)) return tagged(TAG_7, false, String.fromCharCode(...name.split('.').map(Number)))
  if (isIPv6(name)) return tagged(TAG_7, false, String.fromCharCode(...ipv6Bytes(name)))
  if (URI.test(name)) return tagged(TAG_6, false, name)
  return tagged(name.includes('@') ? TAG_1 : TAG_2, false, name)
}

// Bits of RFC 5280 §4.2.1.3, the first octet says how many of the last are unused. Without keyCertSign, which §4.2.1.9 forbids without
// CA, X509Certificate#checkIssued says false of a self-signed certificate.
const DIGITAL_SIGNATURE = '\x07\x80'
const KEY_CERT_SIGN_AND_CRL_SIGN = '\x01\x06'

function extensionsOf({ purpose, names, publicKey, issuer }: ToBeSigned): Asn1[] {
  const isCa = purpose === 'ca'
  const usage = purpose === 'server' ? OID.serverAuth : OID.clientAuth
  // Also of what signs itself: of several with one name, OpenSSL finds the right one by it.
  const issuerKeyId = issuer === undefined ? keyIdOf(publicKey) : issuer.keyId
  return [
    // CA is FALSE by default, and DER leaves defaults out
    extension(OID.basicConstraints, true, isCa ? sequence(universal(asn1.Type.BOOLEAN, false, '\xff')) : sequence()),
    extension(OID.keyUsage, true, bits(isCa ? KEY_CERT_SIGN_AND_CRL_SIGN : DIGITAL_SIGNATURE)),
    ...(isCa ? [] : [extension(OID.extKeyUsage, false, sequence(oid(usage)))]),
    extension(OID.subjectKeyIdentifier, false, octets(keyIdOf(publicKey))),
    ...(issuerKeyId === undefined ? [] : [extension(OID.authorityKeyIdentifier, false, sequence(tagged(TAG_0, false, issuerKeyId)))]),
    ...(names.length === 0 ? [] : [extension(OID.subjectAltName, false, sequence(...names.map(alternativeName)))]),
  ]
}

/** Subject and key identifier of the certificate that signs another one; the identifier has to be exactly that one, or chains break. */
export interface Issuer {
  readonly subject: Asn1
  readonly keyId: string | undefined
}

const isContext = (value: Asn1 | undefined, tag: forge.asn1.Type): boolean =>
  value !== undefined && value.tagClass === asn1.Class.CONTEXT_SPECIFIC && value.type === tag
const childrenOf = (value: Asn1 | undefined): Asn1[] => (Array.isArray(value?.value) ? value.value : [])

/** Reads what a certificate says of itself as an issuer. @param der  of the whole certificate */
export function parseIssuer(der: Buffer): Issuer {
  const fields = childrenOf(childrenOf(fromDer(der))[0])
  // version (absent in version 1), serial number, algorithm, issuer, validity, subject
  const subject = fields[isContext(fields[0], TAG_0) ? 5 : 4]!
  const extensions = childrenOf(childrenOf(fields.find(field => isContext(field, TAG_3)))[0])
  const wanted = asn1.oidToDer(OID.subjectKeyIdentifier).getBytes()
  const found = extensions.map(childrenOf).find(([id]) => id?.value === wanted)
  const keyId = found === undefined ? undefined : fromDer(found.at(-1)!.value as string).value
  return { subject, keyId: typeof keyId === 'string' ? keyId : undefined }
}

/**
 * Reads what a certificate is known by where it was issued: who signed it, and its number, both as they stand in it.
 * @param der  of the whole certificate
 * @returns undefined where it does not say who signed it
 */
export function certificateIdOf(der: Buffer): { readonly authorityKeyId: Buffer; readonly serial: Buffer } | undefined {
  const fields = childrenOf(childrenOf(fromDer(der))[0])
  const serial = fields[isContext(fields[0], TAG_0) ? 1 : 0]?.value
  const extensions = childrenOf(childrenOf(fields.find(field => isContext(field, TAG_3)))[0])
  const wanted = asn1.oidToDer(OID.authorityKeyIdentifier).getBytes()
  const value = extensions
    .map(childrenOf)
    .find(([id]) => id?.value === wanted)
    ?.at(-1)?.value
  if (typeof value !== 'string' || typeof serial !== 'string') return undefined
  const keyId = childrenOf(fromDer(value)).find(each => isContext(each, TAG_0))?.value
  if (typeof keyId !== 'string') return undefined
  return { authorityKeyId: Buffer.from(keyId, 'latin1'), serial: Buffer.from(serial, 'latin1') }
}

/** Everything in a certificate but its signature. */
export interface ToBeSigned {
  readonly purpose: Purpose
  readonly subject: Asn1
  /** DNS names in A-labels, wildcards too, and IP addresses without brackets; of a person, e-mail addresses and URIs in ASCII. */
  readonly names: readonly string[]
  readonly publicKey: KeyObject
  readonly notBefore: Date
  readonly notAfter: Date
  readonly algorithm: Asn1
  /** Undefined: the subject itself. */
  readonly issuer: Issuer | undefined
}

/** The part of a version 3 certificate that is signed, RFC 5280 §4.1. */
export const toBeSigned = (facts: ToBeSigned): Asn1 =>
  sequence(
    tagged(TAG_0, true, [universal(asn1.Type.INTEGER, false, '\x02')]), // version 3
    serialNumber(),
    facts.algorithm,
    facts.issuer?.subject ?? facts.subject,
    sequence(timeOf(facts.notBefore), timeOf(facts.notAfter)),
    facts.subject,
    fromDer(facts.publicKey.export({ type: 'spki', format: 'der' })),
    tagged(TAG_3, true, [sequence(...extensionsOf(facts))]),
  )

/** The certificate as PEM. @param signature  bytes, one character for each */
export const certificatePem = (signed: Asn1, algorithm: Asn1, signature: string): string =>
  forge.pem.encode({ type: 'CERTIFICATE', body: toBytes(sequence(signed, algorithm, bits(`\0${signature}`))) }).replaceAll('\r\n', '\n')
