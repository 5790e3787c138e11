/** PKCS #10 requests for certificates (RFC 2986), as much of one as an authority needs that decides on the names by itself: the key, and the proof that its sender has it. */
import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { pemBlocksOf } from './key.ts'

/** One of RSA 8192 with many names is shorter. */
const MAX_CHARS = 16_384
const MIN_RSA_BITS = 2048
const MAX_RSA_BITS = 8192
const MIN_RSA_EXPONENT = 65537n

/** A value of DER within some bytes. */
interface Value {
  readonly tag: number
  readonly bytes: Buffer
  /** With tag and length. */
  readonly whole: Buffer
}

const SEQUENCE = 0x30
const BIT_STRING = 0x03
const OID = 0x06

/** Digests by the algorithm of the signature, as DER has it in hex; null: the algorithm has its own. */
const DIGESTS: ReadonlyMap<string, string | null> = new Map([
  ['2a864886f70d01010b', 'sha256'], // sha256WithRSAEncryption
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  ['2a8648ce3d040302', 'sha256'], // ecdsa-with-SHA256
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
  ['2b6570', null], // Ed25519
])
const CURVES: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1'])

const refuse = (reason: string): never => {
  throw new GatewayError('KEY_INVALID', `the request for a certificate: ${reason}`)
}

/** Splits the values that follow each other in `bytes`; each is looked at once, and nothing is looked into. */
function valuesIn(bytes: Buffer): readonly Value[] {
  const values: Value[] = []
  let at = 0
  while (at < bytes.length) {
    const tag = bytes[at]!
    let length = bytes[at + 1] ?? refuse('it is cut')
    let start = at + 2
    if (length > 0x80) {
      const count = length - 0x80
      if (count > 3 || start + count > bytes.length) return refuse('it is cut, or too long')
      length = bytes.readUIntBE(start, count)
      start += count
    } else if (length === 0x80) return refuse('it is no DER')
    const end = start + length
    if (end > bytes.length) return refuse('it is cut')
    values.push({ tag, bytes: bytes.subarray(start, end), whole: bytes.subarray(at, end) })
    at = end
  }
  return values
}

const oneOf = (value: Value | undefined, tag: number): Value =>
  value !== undefined && value.tag === tag ? value : refuse('it is not what RFC 2986 says')

/**
 * Reads a request, and verifies that whoever made it has the key.
 * @param text  PEM
 * @returns the public key: RSA of 2048 to 8192 bits, ECDSA on a curve of NIST, or Ed25519
 * @throws GatewayError KEY_INVALID
 */
export function readCertificateRequest(text: string): KeyObject {
  if (text.length > MAX_CHARS) return refuse('it is too long')
  const block = pemBlocksOf(text).find(({ label }) => label === 'CERTIFICATE REQUEST' || label === 'NEW CERTIFICATE REQUEST')
  if (block === undefined) return refuse('expected PEM that begins with -----BEGIN CERTIFICATE REQUEST-----')
  const der = Buffer.from(block.pem.replace(/^-----[^\n]*$/gm, ''), 'base64')
  const [request, ...behind] = valuesIn(der)
  const [info, algorithm, signature, ...more] = valuesIn(oneOf(request, SEQUENCE).bytes)
  if (behind.length + more.length > 0) return refuse('something follows it')
  // version, subject, subjectPublicKeyInfo, attributes
  const [, , spki] = valuesIn(oneOf(info, SEQUENCE).bytes)
  const [id] = valuesIn(oneOf(algorithm, SEQUENCE).bytes)
  const key = keyOf(oneOf(spki, SEQUENCE).whole)
  const digest = DIGESTS.get(oneOf(id, OID).bytes.toString('hex'))
  if (digest === undefined) return refuse('expected a signature by SHA-256 or better')
  // The first octet of a BIT STRING counts the bits at its end that are none.
  const { bytes: proof } = oneOf(signature, BIT_STRING)
  if (proof[0] !== 0) return refuse('its signature is cut')
  if (!isSigned(key, digest, info!.whole, proof.subarray(1))) return refuse('its signature is not by the key in it')
  return key
}

function isSigned(key: KeyObject, digest: string | null, signed: Buffer, proof: Buffer): boolean {
  try {
    return verify(digest, signed, key, proof)
  } catch {
    return false // an algorithm of another kind of key
  }
}

function keyOf(spki: Buffer): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch {
    return refuse('its key is damaged')
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: { modulusLength = 0, publicExponent = 0n, namedCurve } = {} } = key
  const isGood =
    type === 'ed25519' ||
    (type === 'ec' && CURVES.has(namedCurve)) ||
    (type === 'rsa' && modulusLength >= MIN_RSA_BITS && modulusLength <= MAX_RSA_BITS && publicExponent >= MIN_RSA_EXPONENT)
  return isGood ? key : refuse(`expected a key of type RSA (${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits), ECDSA or Ed25519`)
}
