import { GatewayError } from '../../errors.ts'
import { blobOf, parsePublicKey, readKey, verifyWhole, type Verifier } from './public-key.ts'
import { keyAlgorithmOf } from './token-key.ts'
import { WireReader } from './wire-reader.ts'

/** A certificate of OpenSSH for a user's key (PROTOCOL.certkeys), its authority not judged yet. */
export interface UserCertificate extends Verifier {
  /** The key inside, as it would be offered without a certificate. */
  readonly blob: Buffer
  readonly keyId: string
  readonly principals: readonly string[]
  /** Seconds since 1970. */
  readonly validAfter: bigint
  readonly validBefore: bigint
  readonly criticalOptions: readonly string[]
  readonly authority: Buffer
  /** The bytes that the authority has signed, and its signature. */
  readonly signed: Buffer
  readonly signature: Buffer
}

const SUFFIX = '-cert-v01@openssh.com'
const USER = 1
const MAX_BYTES = 16_384
const MAX_PRINCIPALS = 256
/** RFC 8332 has names of their own for certificates of RSA keys. */
const RSA = new Set(['rsa-sha2-256', 'rsa-sha2-512', 'ssh-rsa'])

/** True when `algorithm`, as a client says it, is that of a certificate. */
export const isCertificate = (algorithm: string): boolean => algorithm.endsWith(SUFFIX)

/** Parses a certificate. @throws GatewayError INVALID */
export function parseCertificate(bytes: Buffer): UserCertificate {
  const invalid = (text: string): GatewayError => new GatewayError('INVALID', `the certificate ${text}`)
  if (bytes.length > MAX_BYTES) throw invalid('is too long')
  const reader = new WireReader(bytes)
  const type = reader.text()
  if (!isCertificate(type)) throw invalid('is none')
  const algorithm = keyAlgorithmOf(type)
  reader.string() // a nonce, against collisions of hashes
  const start = reader.position
  const verifier = readKey(algorithm, reader)
  const blob = blobOf(algorithm, bytes.subarray(start, reader.position))
  reader.u64() // serial number
  if (reader.u32() !== USER) throw invalid('is not one of a user')
  const keyId = reader.text()
  const principals = strings(reader.string(), MAX_PRINCIPALS)
  const [validAfter, validBefore] = [reader.u64(), reader.u64()]
  const criticalOptions = strings(reader.string(), MAX_PRINCIPALS).filter((_, index) => index % 2 === 0)
  reader.string() // extensions: what they allow, this server does not have or allows anyhow
  reader.string() // reserved
  const authority = reader.string()
  const signed = bytes.subarray(0, reader.position)
  const signature = reader.string()
  reader.end()
  return { ...verifier, blob, keyId, principals, validAfter, validBefore, criticalOptions, authority, signed, signature }
}

/**
 * Judges a certificate: its authority, principal and time, and that nothing in it is critical and not understood.
 * @param nowSeconds  since 1970
 * @throws GatewayError FORBIDDEN with the reason
 */
export function checkCertificate(
  certificate: UserCertificate,
  { user, authorities, nowSeconds }: { readonly user: string; readonly authorities: readonly Buffer[]; readonly nowSeconds: number },
): void {
  const refuse = (text: string): GatewayError => new GatewayError('FORBIDDEN', `the certificate ${text}`)
  const { authority, signed, signature } = certificate
  if (!authorities.some(known => known.equals(authority))) throw refuse('is not of an authority of this server')
  if (!verifyWhole(parsePublicKey(authority), signed, signature, false)) throw refuse('has a signature that is not right')
  const now = BigInt(Math.floor(nowSeconds))
  if (now < certificate.validAfter) throw refuse('is not valid yet; is a clock wrong?')
  if (now >= certificate.validBefore) throw refuse('has expired')
  // One without principals would be one for everybody.
  if (!certificate.principals.includes(user)) throw refuse('is for another user')
  const [option] = certificate.criticalOptions
  if (option !== undefined) throw refuse(`has the critical option ${JSON.stringify(option.slice(0, 64))}, which this server does not know`)
}

/** True when `data` was signed by the key inside. @param said  the algorithm that the client names */
export function isSignedBy(certificate: UserCertificate, said: string, data: Buffer, signature: Buffer): boolean {
  const name = isCertificate(said) ? keyAlgorithmOf(said) : said
  const isSame = certificate.algorithm === 'ssh-rsa' ? RSA.has(name) : name === certificate.algorithm
  return isSame && verifyWhole(certificate, data, signature, true)
}

function strings(bytes: Buffer, limit: number): string[] {
  const reader = new WireReader(bytes)
  const list: string[] = []
  while (!reader.isDone) {
    if (list.length >= limit) throw new GatewayError('INVALID', 'the certificate has too many names')
    list.push(reader.text())
  }
  return list
}
