import { createHash, generateKeyPair, randomBytes, sign, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import forge from 'node-forge'
import { GatewayError } from '../errors.ts'
import { isIdentifier } from './identifier.ts'
import { thumbprintOf } from './key.ts'

/** What to mint: an RSA 4096 or EC P-256 pair, certified by itself for `validityYears` from `now`. */
export interface MintOptions {
  readonly type: 'rsa' | 'ec'
  /** Subject and issuer of the certificate, 1 to 64 printable characters. */
  readonly commonName: string
  /** 1 to 1000. */
  readonly validityYears: number
  readonly now?: Date
}

/** A fresh pair: PKCS #8 and X.509 PEM, the RFC 7638 thumbprint that names the key, and the end of the certificate's validity. */
export interface MintedPair {
  readonly privateKeyPem: string
  readonly certificatePem: string
  readonly thumbprint: string
  readonly notAfter: Date
}

const { asn1 } = forge
type Asn1 = forge.asn1.Asn1

const OID = {
  commonName: '2.5.4.3',
  sha256WithRSAEncryption: '1.2.840.113549.1.1.11',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  extKeyUsage: '2.5.29.37',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

const MAX_COMMON_NAME_LENGTH = 64 // RFC 5280 appendix A.1, ub-common-name
const MAX_VALIDITY_YEARS = 1000
const BACKDATE_MS = 3_600_000 // so that an outer layer whose clock is behind takes the certificate at once

const universal = (type: forge.asn1.Type, constructed: boolean, value: string | Asn1[]): Asn1 =>
  asn1.create(asn1.Class.UNIVERSAL, type, constructed, value)
const sequence = (...items: Asn1[]): Asn1 => universal(asn1.Type.SEQUENCE, true, items)
// Context-specific tags of two optional fields (RFC 5280 §4.1), which forge's types know by universal names only.
const VERSION_TAG = asn1.Type.NONE // 0
const EXTENSIONS_TAG = asn1.Type.BITSTRING // 3
const tagged = (tag: forge.asn1.Type, constructed: boolean, value: string | Asn1[]): Asn1 =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, constructed, value)
const oid = (dotted: string): Asn1 => universal(asn1.Type.OID, false, asn1.oidToDer(dotted).getBytes())
const octets = (bytes: string): Asn1 => universal(asn1.Type.OCTETSTRING, false, bytes)
const toBytes = (value: Asn1): string => asn1.toDer(value).getBytes()

const nameOf = (commonName: string): Asn1 =>
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

const extension = (id: string, critical: boolean, value: Asn1): Asn1 =>
  sequence(oid(id), ...(critical ? [universal(asn1.Type.BOOLEAN, false, '\xff')] : []), octets(toBytes(value)))

// RFC 5280 §4.2.1.2 method 1: SHA-1 of the BIT STRING in the SPKI: the PKCS #1 key, or the uncompressed point of P-256 (65 octets, last).
function keyIdOf(publicKey: KeyObject, type: MintOptions['type']): string {
  const bits =
    type === 'rsa' ? publicKey.export({ type: 'pkcs1', format: 'der' }) : publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)
  return createHash('sha1').update(bits).digest().toString('latin1')
}

// No keyCertSign, which RFC 5280 §4.2.1.9 forbids without CA; so X509Certificate#checkIssued, which asks for it, says false.
function extensionsOf(keyId: string): Asn1 {
  return sequence(
    extension(OID.basicConstraints, true, sequence()), // CA is FALSE by default, and DER leaves defaults out
    extension(OID.keyUsage, true, universal(asn1.Type.BITSTRING, false, '\x07\x80')), // digitalSignature
    extension(OID.extKeyUsage, false, sequence(oid(OID.clientAuth))),
    extension(OID.subjectKeyIdentifier, false, octets(keyId)),
  )
}

function checkOptions({ commonName, validityYears }: MintOptions): void {
  if (!isIdentifier(commonName) || commonName.length > MAX_COMMON_NAME_LENGTH) {
    throw new GatewayError(
      'USAGE',
      `common name ${JSON.stringify(commonName)}: expected 1 to ${MAX_COMMON_NAME_LENGTH} printable characters`,
    )
  }
  if (!Number.isInteger(validityYears) || validityYears < 1 || validityYears > MAX_VALIDITY_YEARS) {
    throw new GatewayError('USAGE', `validity of ${validityYears} years: expected a whole number from 1 to ${MAX_VALIDITY_YEARS}`)
  }
}

const generate = promisify(generateKeyPair)

const generatePair = (type: MintOptions['type']): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> =>
  type === 'rsa' ? generate('rsa', { modulusLength: 4096 }) : generate('ec', { namedCurve: 'P-256' })

/**
 * Mints a key pair by node:crypto and its self-signed X.509 v3 certificate by node-forge's ASN.1.
 * forge's own certificate writer cannot sign with EC, so the to-be-signed part is built here, for both types alike.
 * @throws GatewayError USAGE for an impossible common name or validity
 */
export async function mintKeyPair(options: MintOptions): Promise<MintedPair> {
  checkOptions(options)
  const { publicKey, privateKey } = await generatePair(options.type)
  const now = options.now ?? new Date()
  const notAfter = new Date(now)
  notAfter.setUTCFullYear(now.getUTCFullYear() + options.validityYears)

  const spki = asn1.fromDer(publicKey.export({ type: 'spki', format: 'der' }).toString('latin1'))
  const name = nameOf(options.commonName)
  const algorithm =
    options.type === 'rsa'
      ? sequence(oid(OID.sha256WithRSAEncryption), universal(asn1.Type.NULL, false, ''))
      : sequence(oid(OID.ecdsaWithSha256)) // RFC 5758 §3.2: no parameters
  const toBeSigned = sequence(
    tagged(VERSION_TAG, true, [universal(asn1.Type.INTEGER, false, '\x02')]), // version 3
    serialNumber(),
    algorithm,
    name,
    sequence(timeOf(new Date(now.getTime() - BACKDATE_MS)), timeOf(notAfter)),
    name,
    spki,
    tagged(EXTENSIONS_TAG, true, [extensionsOf(keyIdOf(publicKey, options.type))]),
  )
  const signature = sign('sha256', Buffer.from(toBytes(toBeSigned), 'latin1'), privateKey).toString('latin1')
  const certificate = sequence(toBeSigned, algorithm, universal(asn1.Type.BITSTRING, false, `\0${signature}`))
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    certificatePem: forge.pem.encode({ type: 'CERTIFICATE', body: toBytes(certificate) }).replaceAll('\r\n', '\n'),
    thumbprint: thumbprintOf(publicKey),
    notAfter,
  }
}
