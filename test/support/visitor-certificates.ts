/** Certificates of visitors, and authorities that sign them. */
import { generateKeyPairSync } from 'node:crypto'
import forge from 'node-forge'

const DAY_MS = 86_400_000

/** A pair of keys, or of an authority with its certificate. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

/** The parts of a certificate; the defaults suit one of a client. */
export interface Wanted {
  readonly commonName?: string
  /** 1: e-mail, 2: DNS, 6: URI. */
  readonly names?: readonly { readonly type: number; readonly value: string }[]
  readonly issuer?: Pair & { readonly name: string }
  readonly fromMs?: number
  readonly toMs?: number
  readonly isAuthority?: boolean
  readonly usage?: object
}

const newKey = (): { readonly publicKey: string; readonly privateKey: string } =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  })
const shared = newKey()
let serial = 100

/** Mints a certificate. */
export function mint({
  commonName = 'x',
  names = [],
  issuer,
  fromMs = -DAY_MS,
  toMs = DAY_MS,
  isAuthority = false,
  usage = { clientAuth: true },
}: Wanted): Pair {
  const keys = isAuthority ? newKey() : shared
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(keys.publicKey)
  certificate.serialNumber = (serial++).toString(16).padStart(4, '0')
  certificate.validity.notBefore = new Date(Date.now() + fromMs)
  certificate.validity.notAfter = new Date(Date.now() + toMs)
  certificate.setSubject([{ name: 'commonName', value: commonName }])
  certificate.setIssuer([{ name: 'commonName', value: issuer?.name ?? commonName }])
  certificate.setExtensions([
    { name: 'basicConstraints', cA: isAuthority, critical: true },
    ...(isAuthority ? [{ name: 'keyUsage', keyCertSign: true, cRLSign: true }] : [{ name: 'extKeyUsage', ...usage }]),
    ...(names.length === 0 ? [] : [{ name: 'subjectAltName', altNames: names }]),
  ])
  certificate.sign(forge.pki.privateKeyFromPem(issuer?.key ?? keys.privateKey), forge.md.sha256.create())
  return { cert: forge.pki.certificateToPem(certificate), key: keys.privateKey }
}
