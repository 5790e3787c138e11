import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { innerAlgorithm, readTokenSignature, signedByToken } from './token-key.ts'
import { WireReader, wireString } from './wire-reader.ts'

/** The key that a signature is checked with. */
export interface Verifier {
  /** Such as ssh-ed25519. */
  readonly algorithm: string
  readonly key: KeyObject
  /** Of a key on a security token: whom it signs for, such as `ssh:`. */
  readonly application?: Buffer
}

/** A public key of SSH. */
export interface SshPublicKey extends Verifier {
  readonly blob: Buffer
}

interface Curve {
  readonly name: string
  readonly crv: string
  /** Bytes of one coordinate. */
  readonly bytes: number
  readonly hash: string
}

const CURVES: ReadonlyMap<string, Curve> = new Map<string, Curve>([
  ['ecdsa-sha2-nistp256', { name: 'nistp256', crv: 'P-256', bytes: 32, hash: 'sha256' }],
  ['ecdsa-sha2-nistp384', { name: 'nistp384', crv: 'P-384', bytes: 48, hash: 'sha384' }],
  ['ecdsa-sha2-nistp521', { name: 'nistp521', crv: 'P-521', bytes: 66, hash: 'sha512' }],
])
/** RFC 8332; the first one is what Go's clients of 2021 can do alone. */
const RSA_HASHES: ReadonlyMap<string, string> = new Map([
  ['ssh-rsa', 'sha1'],
  ['rsa-sha2-256', 'sha256'],
  ['rsa-sha2-512', 'sha512'],
])
const MIN_RSA_BITS = 2_048
const MAX_RSA_BITS = 8_192
const ED25519 = 'ssh-ed25519'

/** Parses the blob of a key. @throws GatewayError INVALID */
export function parsePublicKey(blob: Buffer): SshPublicKey {
  const reader = new WireReader(blob)
  const algorithm = reader.text()
  const verifier = readKey(algorithm, reader)
  reader.end()
  return { ...verifier, blob }
}

/** Reads what follows the name of the algorithm, in a key or in a certificate. @throws GatewayError INVALID */
export function readKey(algorithm: string, reader: WireReader): Verifier {
  const inner = innerAlgorithm(algorithm)
  const key = readPlainKey(inner ?? algorithm, reader)
  return inner === undefined ? { algorithm, key } : { algorithm, key, application: reader.string() }
}

function readPlainKey(algorithm: string, reader: WireReader): KeyObject {
  const url = (bytes: Buffer): string => bytes.toString('base64url')
  try {
    if (algorithm === ED25519) return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: url(reader.string()) } })
    if (algorithm === 'ssh-rsa') {
      const [e, n] = [reader.mpint(), reader.mpint()]
      const bits = n.length * 8
      if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS || e.length > 8)
        throw new GatewayError('INVALID', 'an RSA key of a length that is not taken')
      return createPublicKey({ format: 'jwk', key: { kty: 'RSA', e: url(e), n: url(n) } })
    }
    const curve = CURVES.get(algorithm)
    if (curve === undefined) throw new GatewayError('INVALID', `keys of the type ${JSON.stringify(algorithm.slice(0, 64))} are not taken`)
    const [name, point] = [reader.text(), reader.string()]
    if (name !== curve.name || point.length !== 1 + 2 * curve.bytes || point[0] !== 4)
      throw new GatewayError('INVALID', 'an ECDSA key that is none')
    const [x, y] = [point.subarray(1, 1 + curve.bytes), point.subarray(1 + curve.bytes)]
    return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: curve.crv, x: url(x), y: url(y) } })
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    throw new GatewayError('INVALID', 'a public key that is none', { cause })
  }
}

/** A signature as ssh2 hands it over: without the name of its algorithm, ECDSA in DER. */
export interface BareSignature {
  readonly bytes: Buffer
  /** Of RSA; undefined: SHA-1. */
  readonly hash: string | undefined
}

/** Checks a signature that ssh2 has taken apart. */
export function verifyBare(verifier: Verifier, data: Buffer, { bytes, hash }: BareSignature): boolean {
  const { algorithm, key } = verifier
  try {
    if (verifier.application !== undefined) return verifyOnToken(verifier, data, bytes)
    const curve = CURVES.get(algorithm)
    if (curve !== undefined) return verify(curve.hash, data, { key, dsaEncoding: 'der' }, bytes)
    return verify(algorithm === ED25519 ? null : (hash ?? 'sha1'), data, key, bytes)
  } catch {
    return false
  }
}

/**
 * Checks a whole signature of SSH: the name of its algorithm, then its bytes.
 * @param allowsSha1  of RSA keys
 */
export function verifyWhole(verifier: Verifier, data: Buffer, signature: Buffer, allowsSha1: boolean): boolean {
  const { algorithm, key } = verifier
  try {
    const reader = new WireReader(signature)
    const name = reader.text()
    const bytes = reader.string()
    if (verifier.application !== undefined)
      return name === algorithm && verifyOnToken(verifier, data, Buffer.concat([bytes, signature.subarray(reader.position)]))
    reader.end()
    if (algorithm !== 'ssh-rsa') return name === algorithm && verifyPlain(algorithm, key, data, bytes)
    const hash = RSA_HASHES.get(name)
    return hash !== undefined && (allowsSha1 || hash !== 'sha1') && verify(hash, data, key, bytes)
  } catch {
    return false
  }
}

/** @param bytes  the signature, then what the token says of how it was made */
function verifyOnToken({ algorithm, key, application }: Verifier, data: Buffer, bytes: Buffer): boolean {
  const { signature, isTouched, said } = readTokenSignature(bytes)
  // A token signs without a touch only for programs that ask it to: whoever has the machine could use it then.
  return isTouched && verifyPlain(innerAlgorithm(algorithm)!, key, signedByToken(application!, said, data), signature)
}

/** Checks a signature of Ed25519, or one of ECDSA as two numbers (RFC 5656 §3.1.2). */
function verifyPlain(algorithm: string, key: KeyObject, data: Buffer, bytes: Buffer): boolean {
  if (algorithm === ED25519) return verify(null, data, key, bytes)
  const curve = CURVES.get(algorithm)
  if (curve === undefined) return false
  const parts = new WireReader(bytes)
  const [r, s] = [parts.mpint(), parts.mpint()]
  parts.end()
  if (r.length > curve.bytes || s.length > curve.bytes) return false
  const plain = Buffer.concat([Buffer.alloc(curve.bytes - r.length), r, Buffer.alloc(curve.bytes - s.length), s])
  return verify(curve.hash, data, { key, dsaEncoding: 'ieee-p1363' }, plain)
}

/** The blob of a key, as a client would offer it without a certificate. */
export function blobOf(algorithm: string, fields: Buffer): Buffer {
  return Buffer.concat([wireString(algorithm), fields])
}
