import { X509Certificate, type KeyObject } from 'node:crypto'
import { GatewayError, messageOf } from '../errors.ts'
import { pemBlocksOf, readKeyText } from './key.ts'

/** Authorities of many inner layers may stand in one file. */
const MAX_BUNDLE_BYTES = 1_048_576

/**
 * Reads a PEM file of one or more certificates: an authority to trust, or a certificate with its chain.
 * @param belongsTo  private key that the first certificate has to be for
 * @returns the text of the certificates
 * @throws GatewayError KEY_INVALID or FILE_UNREADABLE
 */
export async function readCertificates(file: string, belongsTo?: KeyObject): Promise<string> {
  const blocks = pemBlocksOf(await readKeyText(file, undefined, MAX_BUNDLE_BYTES))
  const certificates = blocks.filter(({ label }) => label === 'CERTIFICATE')
  if (certificates.length === 0) throw new GatewayError('KEY_INVALID', `${file}: no certificate found; expected one in PEM format`)
  const [first] = certificates.map(({ pem }) => {
    try {
      return new X509Certificate(pem)
    } catch (cause) {
      throw new GatewayError('KEY_INVALID', `${file}: the certificate cannot be read: ${messageOf(cause)}`, { cause })
    }
  })
  if (belongsTo !== undefined && first?.checkPrivateKey(belongsTo) !== true) {
    throw new GatewayError(
      'KEY_INVALID',
      `${file}: the certificate is for another key; expected the one that was minted with the private key`,
    )
  }
  return certificates.map(({ pem }) => pem).join('')
}

/** Reads a PEM file of one or more lists of revoked certificates. @throws GatewayError KEY_INVALID or FILE_UNREADABLE */
export async function readRevocationLists(file: string): Promise<readonly string[]> {
  const lists = revocationListsIn(await readKeyText(file, undefined, MAX_BUNDLE_BYTES))
  if (lists.length === 0)
    throw new GatewayError(
      'KEY_INVALID',
      `${file}: no list of revoked certificates found; expected PEM that begins with -----BEGIN X509 CRL-----`,
    )
  return lists
}

/** The lists in a text, each by itself. */
export const revocationListsIn = (text: string): readonly string[] =>
  pemBlocksOf(text)
    .filter(({ label }) => label === 'X509 CRL')
    .map(({ pem }) => pem)
