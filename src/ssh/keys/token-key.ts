/** Keys whose private half is on a security token: PROTOCOL.u2f of OpenSSH. */
import { createHash } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { WireReader } from './wire-reader.ts'

const INNER: ReadonlyMap<string, string> = new Map([
  ['sk-ssh-ed25519@openssh.com', 'ssh-ed25519'],
  ['sk-ecdsa-sha2-nistp256@openssh.com', 'ecdsa-sha2-nistp256'],
])
const CERTIFICATE = '-cert-v01@openssh.com'
const SUFFIX = '@openssh.com'
/** The flags and the counter of the token, behind its signature. */
const SAID_BYTES = 5
const TOUCHED = 0x01

/** Returns the algorithm with which the token signs; undefined for a key that is on none. */
export const innerAlgorithm = (algorithm: string): string | undefined => INNER.get(algorithm)

/** Returns the algorithm of the key in a certificate of this type: those of tokens lose their own suffix in it. */
export function keyAlgorithmOf(certificateType: string): string {
  const name = certificateType.slice(0, -CERTIFICATE.length)
  return INNER.has(name + SUFFIX) ? name + SUFFIX : name
}

/** The facts that a token sends along with its signature. */
export interface TokenSignature {
  readonly signature: Buffer
  /** Somebody has touched it. */
  readonly isTouched: boolean
  /** Flags and counter, which are signed as well. */
  readonly said: Buffer
}

/** Takes apart what follows the name of the algorithm, without the length before the signature. @throws GatewayError INVALID */
export function readTokenSignature(bytes: Buffer): TokenSignature {
  if (bytes.length <= SAID_BYTES) throw new GatewayError('INVALID', 'a signature of a security token that is none')
  const said = bytes.subarray(bytes.length - SAID_BYTES)
  const isTouched = (new WireReader(said).byte() & TOUCHED) !== 0
  return { signature: bytes.subarray(0, bytes.length - SAID_BYTES), isTouched, said }
}

/** Returns what the token has signed in order to sign `data`. */
export function signedByToken(application: Buffer, said: Buffer, data: Buffer): Buffer {
  const sha256 = (of: Buffer): Buffer => createHash('sha256').update(of).digest()
  return Buffer.concat([sha256(application), said, sha256(data)])
}
