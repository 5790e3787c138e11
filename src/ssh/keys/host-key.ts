import { createPrivateKey, createPublicKey, randomBytes, type KeyObject } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { wireString } from './wire-reader.ts'

const OPENSSH = 'OPENSSH PRIVATE KEY'
const LINE = 70

/**
 * The text of a host key in a form that ssh2 reads.
 * @param pem  of OpenSSH, PKCS #8, PKCS #1 or SEC 1; Ed25519, ECDSA or RSA, not encrypted
 * @throws GatewayError KEY_INVALID
 */
export function hostKeyText(pem: string): string {
  if (pem.includes(OPENSSH)) return pem.trim()
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (cause) {
    throw new GatewayError('KEY_INVALID', 'a host key of the SSH door is no private key in PEM format', { cause })
  }
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return openSshEd25519(key)
    case 'ec':
      return (key.export({ type: 'sec1', format: 'pem' }) as string).trim()
    case 'rsa':
      return (key.export({ type: 'pkcs1', format: 'pem' }) as string).trim()
    default:
      throw new GatewayError('KEY_INVALID', `a host key of the SSH door is of the type ${key.asymmetricKeyType ?? 'secret'}; use Ed25519`)
  }
}

/** PROTOCOL.key of OpenSSH. */
function openSshEd25519(key: KeyObject): string {
  const { d } = key.export({ format: 'jwk' })
  const { x } = createPublicKey(key).export({ format: 'jwk' })
  const [seed, point] = [Buffer.from(d!, 'base64url'), Buffer.from(x!, 'base64url')]
  const publicKey = Buffer.concat([wireString('ssh-ed25519'), wireString(point)])
  const check = randomBytes(4)
  const open = Buffer.concat([check, check, publicKey, wireString(Buffer.concat([seed, point])), wireString('')])
  const padding = Buffer.from(Array.from({ length: (8 - (open.length % 8)) % 8 }, (_, index) => index + 1))
  const one = Buffer.from([0, 0, 0, 1])
  const none = wireString('none')
  const body = [
    Buffer.from('openssh-key-v1\0'),
    none,
    none,
    wireString(''),
    one,
    wireString(publicKey),
    wireString(Buffer.concat([open, padding])),
  ]
  const base64 = Buffer.concat(body).toString('base64')
  const lines: string[] = []
  for (let at = 0; at < base64.length; at += LINE) lines.push(base64.slice(at, at + LINE))
  return [`-----BEGIN ${OPENSSH}-----`, ...lines, `-----END ${OPENSSH}-----`].join('\n')
}
