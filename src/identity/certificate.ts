import { generateKeyPair, sign, X509Certificate, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import { GatewayError } from '../errors.ts'
import { readCertificates } from './certificate-file.ts'
import { isIdentifier } from './identifier.ts'
import { thumbprintOf } from './key.ts'
import { readPrivateKeyObject } from './private-key.ts'
import { certificatePem, parseIssuer, nameOf, signatureAlgorithm, toBeSigned, toBytes, type Purpose } from './x509.ts'

export type { Purpose } from './x509.ts'

/** A pair to mint: RSA 4096 or EC P-256, certified for `validityYears` from `now`. */
export interface MintOptions {
  readonly type: 'rsa' | 'ec'
  /** Subject of the certificate, 1 to 64 printable characters. */
  readonly commonName: string
  /** 1 to 1000; cut at the end of the issuer. */
  readonly validityYears: number
  readonly now?: Date
  /** Default: an inner layer, `client`. */
  readonly purpose?: Purpose
  /** Of a server: DNS names in A-labels (the first label may be `*`) and IP addresses without brackets. */
  readonly names?: readonly string[]
  /** The issuer that signs; default: the pair itself. */
  readonly issuer?: Issuer
}

/** A certificate authority that signs. */
export interface Issuer {
  readonly certificate: X509Certificate
  readonly key: KeyObject
}

/** A fresh pair: PKCS #8 and X.509 PEM, the RFC 7638 thumbprint that names the key, and the end of the certificate's validity. */
export interface MintedPair {
  readonly privateKeyPem: string
  readonly certificatePem: string
  readonly thumbprint: string
  readonly notAfter: Date
}

const MAX_COMMON_NAME_LENGTH = 64 // RFC 5280 appendix A.1, ub-common-name
const MAX_VALIDITY_YEARS = 1000
const BACKDATE_MS = 3_600_000 // so that an outer layer whose clock is behind takes the certificate at once

const DNS_NAME = /^(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/

function checkOptions({ commonName, validityYears, names = [] }: MintOptions): void {
  if (!isIdentifier(commonName) || commonName.length > MAX_COMMON_NAME_LENGTH) {
    throw new GatewayError(
      'USAGE',
      `common name ${JSON.stringify(commonName)}: expected 1 to ${MAX_COMMON_NAME_LENGTH} printable characters`,
    )
  }
  if (!Number.isInteger(validityYears) || validityYears < 1 || validityYears > MAX_VALIDITY_YEARS) {
    throw new GatewayError('USAGE', `validity of ${validityYears} years: expected a whole number from 1 to ${MAX_VALIDITY_YEARS}`)
  }
  const odd = names.find(name => isIP(name) === 0 && (!DNS_NAME.test(name) || name.length > 253))
  if (odd !== undefined) {
    throw new GatewayError(
      'USAGE',
      `server name ${JSON.stringify(odd)}: expected a host name, a wildcard such as *.example.com, or an IP address`,
    )
  }
}

const generate = promisify(generateKeyPair)

const generatePair = (type: MintOptions['type']): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> =>
  type === 'rsa' ? generate('rsa', { modulusLength: 4096 }) : generate('ec', { namedCurve: 'P-256' })

/**
 * Mints a key pair by node:crypto and its X.509 v3 certificate by node-forge's ASN.1, signed by itself or by `issuer`.
 * @throws GatewayError USAGE for an impossible name or validity
 */
export async function mintKeyPair(options: MintOptions): Promise<MintedPair> {
  checkOptions(options)
  const { issuer, purpose = 'client', names = [] } = options
  const { publicKey, privateKey } = await generatePair(options.type)
  const now = options.now ?? new Date()
  const wanted = new Date(now)
  wanted.setUTCFullYear(now.getUTCFullYear() + options.validityYears)
  // What outlives its issuer cannot be verified then, and some programs refuse it from the start.
  const notAfter = new Date(Math.min(wanted.getTime(), issuer === undefined ? Infinity : Date.parse(issuer.certificate.validTo)))
  const pem = signed(
    { purpose, commonName: options.commonName, names, publicKey, notBefore: new Date(now.getTime() - BACKDATE_MS), notAfter },
    issuer?.key ?? privateKey,
    issuer,
  )
  return {
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    certificatePem: pem,
    thumbprint: thumbprintOf(publicKey),
    notAfter,
  }
}

/** The words of a certificate for the key of somebody else, who is a TLS client. */
export interface CertifiedClient {
  readonly publicKey: KeyObject
  readonly commonName: string
  /** DNS names, e-mail addresses and URIs, in ASCII. */
  readonly names: readonly string[]
  readonly notBefore: Date
  readonly notAfter: Date
}

/** Certifies the key of a TLS client. @returns PEM */
export const certifyClient = (client: CertifiedClient, issuer: Issuer): string =>
  signed({ purpose: 'client', ...client }, issuer.key, issuer)

function signed(
  { commonName, ...facts }: CertifiedClient & { readonly purpose: Purpose },
  signer: KeyObject,
  issuer: Issuer | undefined,
): string {
  const algorithm = signatureAlgorithm(signer.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec')
  const unsigned = toBeSigned({
    ...facts,
    subject: nameOf(commonName),
    algorithm,
    issuer: issuer === undefined ? undefined : parseIssuer(issuer.certificate.raw),
  })
  const signature = sign('sha256', Buffer.from(toBytes(unsigned), 'latin1'), signer).toString('latin1')
  return certificatePem(unsigned, algorithm, signature)
}

/**
 * Reads the authority that is to sign a certificate.
 * @param now  an authority that is not valid then is refused
 * @throws GatewayError KEY_INVALID or FILE_UNREADABLE
 */
export async function readIssuer(certificateFile: string, keyFile: string, now: Date = new Date()): Promise<Issuer> {
  const key = await readPrivateKeyObject(keyFile)
  if (key.asymmetricKeyType !== 'rsa' && key.asymmetricKeyType !== 'ec')
    throw new GatewayError('KEY_INVALID', `${keyFile}: key of type ${key.asymmetricKeyType}; expected RSA or EC to sign with`)
  const certificate = new X509Certificate(await readCertificates(certificateFile, key))
  if (!certificate.ca)
    throw new GatewayError('KEY_INVALID', `${certificateFile}: not the certificate of an authority; mint one with --ca, and sign with that`)
  if (now.getTime() > Date.parse(certificate.validTo))
    throw new GatewayError('KEY_INVALID', `${certificateFile}: the authority expired at ${certificate.validTo}; mint a new one`)
  return { certificate, key }
}
