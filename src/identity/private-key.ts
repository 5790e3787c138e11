import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { platform } from 'node:os'
import { GatewayError, messageOf } from '../errors.ts'
import type { RegisteredKey } from './key-registry.ts'
import { algorithmsOf, pemBlocksOf, readKeyText, thumbprintOf } from './key.ts'

/** The key that an inner layer proves itself with. */
export interface PrivateKey {
  readonly key: KeyObject
  /** RFC 7638 SHA-256 thumbprint of its public half, base64url. */
  readonly kid: string
  readonly algorithm: 'RS256' | 'ES256'
}

const OTHERS = 0o077

const quote = (file: string): string => (/^[\w./@%+:,-]+$/.test(file) ? file : `'${file.replaceAll("'", String.raw`'\''`)}'`)

const invalid = (message: string, cause?: unknown): GatewayError => new GatewayError('KEY_INVALID', message, { cause })

/**
 * Reads the private key of an inner layer: RSA of 2048 bits or more or EC P-256.
 * @throws GatewayError KEY_INVALID or FILE_UNREADABLE, as `readPrivateKeyObject`
 */
export async function readPrivateKey(file: string): Promise<PrivateKey> {
  const key = await readPrivateKeyObject(file)
  const [algorithm] = algorithmsOf(key, file)
  return { key, kid: thumbprintOf(createPublicKey(key)), algorithm }
}

/** The public half of a key, as one that proofs are held against. @param source  the file that it was read from */
export const registeredHalfOf = ({ key, kid, algorithm }: PrivateKey, source: string): RegisteredKey => ({
  kid,
  key: createPublicKey(key),
  algorithms: algorithm === 'ES256' ? ['ES256'] : ['RS256', 'PS256'],
  identifiers: undefined,
  source,
})

/**
 * Reads a private key of any type in PEM (PKCS #8, PKCS #1 or SEC 1).
 * @throws GatewayError KEY_INVALID (also when group or others may read, write or execute it) or FILE_UNREADABLE
 */
export async function readPrivateKeyObject(file: string): Promise<KeyObject> {
  const text = await readKeyText(file, (content, { mode }) => {
    // on Windows every mode reads 0666 and means nothing; a certificate given by mistake gets its own message below
    if ((mode & OTHERS) === 0 || platform() === 'win32' || !content.includes('PRIVATE KEY')) return
    const shown = (mode & 0o777).toString(8).padStart(4, '0')
    throw invalid(`${file}: the private key can be used by other accounts (mode ${shown}); run: chmod 600 ${quote(file)}`)
  })
  return parsePrivateKey(text, file)
}

function parsePrivateKey(text: string, file: string): KeyObject {
  const blocks = pemBlocksOf(text).filter(({ label }) => label !== 'EC PARAMETERS') // openssl ecparam -genkey writes them first
  const labels = blocks.map(({ label }) => label)
  const [block] = blocks
  if (block === undefined) throw invalid(`${file}: no PEM block found; expected a private key in PEM format`)
  if (labels.includes('CERTIFICATE') && !labels.some(label => label.endsWith('PRIVATE KEY'))) {
    throw invalid(`${file}: this is a certificate; expected the private key that belongs to it`)
  }
  if (labels.some(label => label.endsWith('PUBLIC KEY'))) throw invalid(`${file}: this is a public key; expected the private one`)
  if (blocks.length > 1) throw invalid(`${file}: ${blocks.length} PEM blocks; expected one private key`)
  if (block.label === 'ENCRYPTED PRIVATE KEY' || block.pem.includes('Proc-Type: 4,ENCRYPTED')) {
    throw invalid(`${file}: the private key is encrypted; decrypt it with "openssl pkey" and protect it by its file mode instead`)
  }
  if (!['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY'].includes(block.label)) {
    throw invalid(`${file}: PEM block of type ${block.label}; expected PRIVATE KEY`)
  }
  try {
    return createPrivateKey(block.pem)
  } catch (cause) {
    throw invalid(`${file}: the private key cannot be read: ${messageOf(cause)}`, cause)
  }
}
