/** Public keys as one line of authorized_keys has them. */
import { createHash, createPublicKey } from 'node:crypto'
import { invalid } from '../input/service-error.ts'
import { SshReader } from './wire.ts'

/** A public key of SSH. */
export interface SshPublicKey {
  /** Such as `ssh-ed25519`. */
  readonly algorithm: string
  /** As in the SSH protocol. */
  readonly blob: Buffer
  readonly comment: string
  /** SHA256:… as ssh-keygen -l prints it. */
  readonly fingerprint: string
}

/** More than an RSA key of 16384 bits takes. */
const MAX_LINE_LENGTH = 4_096
const MAX_COMMENT_LENGTH = 200
const MIN_RSA_BITS = 2_048
const MAX_RSA_BITS = 16_384

const CURVES: ReadonlyMap<string, { readonly name: string; readonly crv: string; readonly bytes: number }> = new Map([
  ['ecdsa-sha2-nistp256', { name: 'nistp256', crv: 'P-256', bytes: 32 }],
  ['ecdsa-sha2-nistp384', { name: 'nistp384', crv: 'P-384', bytes: 48 }],
  ['ecdsa-sha2-nistp521', { name: 'nistp521', crv: 'P-521', bytes: 66 }],
])

const EXPECTED = 'expected one line with a public key, such as "ssh-ed25519 AAAA… comment", as in ~/.ssh/id_ed25519.pub'

/** Words with which a line begins whose key is refused for its kind. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['ssh-dss', 'DSA keys are refused, they are too weak; make another key with: ssh-keygen -t ed25519'],
])

/** Keys whose private half is on a security token: the key that they have within, before the text that says whom they sign for. */
const ON_TOKENS: ReadonlyMap<string, string> = new Map([
  ['sk-ssh-ed25519@openssh.com', 'ssh-ed25519'],
  ['sk-ecdsa-sha2-nistp256@openssh.com', 'ecdsa-sha2-nistp256'],
])

/** Returns the fingerprint of a key as ssh-keygen -l prints it. */
export const fingerprintOf = (blob: Buffer): string => `SHA256:${createHash('sha256').update(blob).digest('base64').replaceAll('=', '')}`

/** Returns the key as one line of authorized_keys. */
export const lineOf = ({ algorithm, blob, comment }: Pick<SshPublicKey, 'algorithm' | 'blob' | 'comment'>): string =>
  `${algorithm} ${blob.toString('base64')}${comment === '' ? '' : ` ${comment}`}`

/**
 * Reads one line of authorized_keys: Ed25519, ECDSA, either on a security token as well, or RSA of 2048 bits and more. Options before the key, certificates, several lines and
 * private keys are refused.
 * @param path  member of the request that has it
 * @throws ServiceError INVALID
 */
export function parsePublicKey(text: unknown, path = 'key'): SshPublicKey {
  const refuse = (message: string): never => {
    throw invalid({ path, message })
  }
  if (typeof text !== 'string') return refuse(EXPECTED)
  if (text.length > MAX_LINE_LENGTH) return refuse(`a line of ${text.length} characters is too long for a key; ${EXPECTED}`)
  if (text.includes('PRIVATE KEY')) return refuse(`this is a private key, which nobody else may ever see; ${EXPECTED}`)
  const line = text.trim()
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(line.replaceAll('\t', ' '))) return refuse(`${EXPECTED}; it has control characters or several lines`)
  const [algorithm = '', encoded = '', ...rest] = line.split(/[ \t]+/)
  const refused = REFUSED.get(algorithm)
  if (refused !== undefined) return refuse(refused)
  if (algorithm.includes('-cert-v0')) return refuse(`this is a certificate; ${EXPECTED}`)
  if (algorithm !== 'ssh-ed25519' && algorithm !== 'ssh-rsa' && !CURVES.has(algorithm) && !ON_TOKENS.has(algorithm))
    return refuse(`${EXPECTED}; options before the key and other kinds of keys are refused`)
  const comment = rest.join(' ')
  if (comment.length > MAX_COMMENT_LENGTH) return refuse(`the comment has ${comment.length} characters; at most ${MAX_COMMENT_LENGTH}`)
  const blob = /^[A-Za-z0-9+/]+={0,2}$/.test(encoded) ? Buffer.from(encoded, 'base64') : Buffer.alloc(0)
  const fault = faultOfBlob(algorithm, blob)
  if (fault !== undefined) return refuse(fault)
  return { algorithm, blob, comment, fingerprint: fingerprintOf(blob) }
}

/** Says what is wrong with a key in the form of the protocol. */
function faultOfBlob(algorithm: string, blob: Buffer): string | undefined {
  const reader = new SshReader(blob)
  if (reader.string()?.toString('latin1') !== algorithm) return `the key is damaged, or no ${algorithm} key; ${EXPECTED}`
  const fields: Buffer[] = []
  while (!reader.isAtEnd) {
    const field = reader.string()
    if (field === undefined) return `the key is cut off; ${EXPECTED}`
    fields.push(field)
  }
  try {
    if (algorithm === 'ssh-rsa') return faultOfRsa(fields)
    const inner = ON_TOKENS.get(algorithm)
    if (inner !== undefined && !isApplication(fields.pop())) return `the key is damaged; ${EXPECTED}`
    const plain = inner ?? algorithm
    const jwk = plain === 'ssh-ed25519' ? ed25519(fields) : ecdsa(fields, CURVES.get(plain)!)
    if (jwk !== undefined) createPublicKey({ key: jwk, format: 'jwk' }) // throws for a point that is not on the curve
    return jwk === undefined ? `the key is damaged; ${EXPECTED}` : undefined
  } catch {
    return `the key is damaged; ${EXPECTED}`
  }
}

/** Whom a security token signs for: `ssh:`, unless somebody has said otherwise. One for web sites is none. */
const isApplication = (field: Buffer | undefined): boolean =>
  field !== undefined && field.length <= 256 && field.toString('latin1').startsWith('ssh:')

const ed25519 = (fields: readonly Buffer[]) =>
  fields.length === 1 && fields[0]!.length === 32 ? { kty: 'OKP', crv: 'Ed25519', x: fields[0]!.toString('base64url') } : undefined

function ecdsa(fields: readonly Buffer[], { name, crv, bytes }: { readonly name: string; readonly crv: string; readonly bytes: number }) {
  const [curve, point] = fields
  // 4: an uncompressed point, the only form in SSH (RFC 5656 §3.1)
  if (fields.length !== 2 || curve!.toString('latin1') !== name || point!.length !== 1 + 2 * bytes || point![0] !== 4) return undefined
  return {
    kty: 'EC',
    crv,
    x: point!.subarray(1, 1 + bytes).toString('base64url'),
    y: point!.subarray(1 + bytes).toString('base64url'),
  }
}

function faultOfRsa(fields: readonly Buffer[]): string | undefined {
  if (fields.length !== 2) return `the key is damaged; ${EXPECTED}`
  const [e, n] = fields as [Buffer, Buffer]
  const key = createPublicKey({ key: { kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') }, format: 'jwk' })
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS)
    return `an RSA key of ${modulusLength} bits is refused, ${MIN_RSA_BITS} to ${MAX_RSA_BITS} are accepted; make another key with: ssh-keygen -t ed25519`
  // With an exponent of 1 anybody can sign.
  return publicExponent < 3n ? `the key is damaged; ${EXPECTED}` : undefined
}
