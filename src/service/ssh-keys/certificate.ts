/** OpenSSH user certificates: PROTOCOL.certkeys of OpenSSH, version 01. */
import { createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto'
import { SshReader, sshMpint, sshString, sshUint32, sshUint64 } from './wire.ts'
import type { SshPublicKey } from './public-key.ts'

const USER = 1
const NONCE_BYTES = 32

/** A certificate to be made. */
export interface CertificateRequest {
  readonly key: Pick<SshPublicKey, 'algorithm' | 'blob'>
  /** User names that its holder may log in with; never empty, which would mean everybody. */
  readonly principals: readonly [string, ...string[]]
  /** Text by which logs name it. */
  readonly keyId: string
  /** Milliseconds since 1970. */
  readonly validFrom: number
  readonly validUntil: number
  readonly serial: bigint
}

/** Returns the public half of an authority, Ed25519 or ECDSA P-256, as in the SSH protocol. */
export function authorityBlob(authority: KeyObject): Buffer {
  const { crv, x = '', y = '' } = createPublicKey(authority).export({ format: 'jwk' })
  if (crv === 'Ed25519') return Buffer.concat([sshString('ssh-ed25519'), sshString(Buffer.from(x, 'base64url'))])
  if (crv !== 'P-256') throw new TypeError(`an authority with a key of type ${String(crv)}`)
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  return Buffer.concat([sshString('ecdsa-sha2-nistp256'), sshString('nistp256'), sshString(point)])
}

function signatureBlob(authority: KeyObject, bytes: Buffer): Buffer {
  if (authority.asymmetricKeyType === 'ed25519') return Buffer.concat([sshString('ssh-ed25519'), sshString(sign(null, bytes, authority))])
  // RFC 5656 §3.1.2: r and s as numbers
  const signature = sign('sha256', bytes, { key: authority, dsaEncoding: 'ieee-p1363' })
  const numbers = Buffer.concat([sshMpint(signature.subarray(0, 32)), sshMpint(signature.subarray(32))])
  return Buffer.concat([sshString('ecdsa-sha2-nistp256'), sshString(numbers)])
}

/** Names with no value, in the order of the alphabet, as OpenSSH demands. */
const flags = (names: readonly string[]): Buffer =>
  sshString(Buffer.concat([...names].sort().map(name => Buffer.concat([sshString(name), sshString('')]))))

/**
 * Certifies a key for its holder.
 * @param authority  private key, Ed25519 or ECDSA P-256
 * @returns one line, as in id_ed25519-cert.pub
 */
export function signCertificate(
  authority: KeyObject,
  { key, principals, keyId, validFrom, validUntil, serial }: CertificateRequest,
): string {
  // Those of keys on security tokens have the suffix once.
  const type = `${key.algorithm.replace('@openssh.com', '')}-cert-v01@openssh.com`
  const reader = new SshReader(key.blob)
  reader.string() // the algorithm; what follows it is the key
  const seconds = (ms: number): Buffer => sshUint64(BigInt(Math.floor(ms / 1_000)))
  const signed = Buffer.concat([
    sshString(type),
    sshString(randomBytes(NONCE_BYTES)),
    reader.rest,
    sshUint64(serial),
    sshUint32(USER),
    sshString(keyId),
    sshString(Buffer.concat(principals.map(sshString))),
    seconds(validFrom),
    seconds(validUntil),
    sshString(''), // no critical option
    flags(['permit-port-forwarding', 'permit-pty']),
    sshString(''), // reserved
    sshString(authorityBlob(authority)),
  ])
  return `${type} ${Buffer.concat([signed, sshString(signatureBlob(authority, signed))]).toString('base64')}`
}
