import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { SamlKeys } from '../../visitors/config.ts'

const MIN_BITS = 2_048

/**
 * Reads the key of this gateway at a SAML provider, and the certificate that tells the provider of it.
 * @throws Error that says which of them is wrong; never with what is in the key
 */
export function readSamlKeys(keyPem: string, certificatePem: string): SamlKeys {
  const key = privateKeyOf(keyPem)
  if (key.asymmetricKeyType !== 'rsa') throw new Error('keyFile: expected a key of RSA: SAML knows no other that encrypts')
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_BITS) throw new Error(`keyFile: expected a key of at least ${MIN_BITS} bits`)
  const certificate = certificateOf(certificatePem)
  if (!certificate.checkPrivateKey(key)) throw new Error('certificateFile: the certificate is for another key than that of keyFile')
  const privateKey = key.export({ type: 'pkcs8', format: 'pem' }) as string
  return Object.freeze({ privateKey, certificate: certificate.raw.toString('base64') })
}

function privateKeyOf(pem: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new Error('keyFile: expected a private key in PEM, without a passphrase')
  }
}

function certificateOf(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new Error('certificateFile: expected a certificate in PEM')
  }
}
