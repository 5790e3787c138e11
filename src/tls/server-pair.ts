import { X509Certificate, type KeyObject } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { GatewayError, messageOf } from '../errors.ts'
import { pemBlocksOf, readKeyText } from '../identity/key.ts'
import { readPrivateKeyObject } from '../identity/private-key.ts'
import { commonNameOf } from '../identity/read-public-key.ts'
import { TLS_SETTINGS } from './settings.ts'

/** A server certificate with its key, ready for handshakes. */
export interface ServerPair {
  /** File of the certificate. */
  readonly source: string
  /** DNS names that it is for, in lower case; wildcards as `*.x`. */
  readonly names: readonly string[]
  /** Milliseconds since 1970. */
  readonly notAfter: number
  /** PEM of the certificate with its chain, and of the key. */
  readonly cert: string
  readonly key: string
  readonly context: SecureContext
  /** Is the certificate for this host? @param host  as `parseHost` gives it: lower case, IPv6 in brackets */
  readonly covers: (host: string) => boolean
}

const MIN_RSA_BITS = 2048

const invalid = (message: string, cause?: unknown): GatewayError => new GatewayError('KEY_INVALID', message, { cause })

/** The DNS names that node:crypto writes into one text; a value with special characters is quoted there, and names no host. */
function namesOf(certificate: X509Certificate): readonly string[] {
  const alternatives = certificate.subjectAltName?.replace(/"(?:[^"\\]|\\.)*"/g, '')
  // RFC 9525 §2: the common name does not count, but a client of old that believes it is to get the certificate that it expects.
  const names =
    alternatives === undefined ? [commonNameOf(certificate.subject) ?? ''] : alternatives.split(', ').map(each => each.replace(/^DNS:/, ''))
  return names.map(name => name.toLowerCase()).filter(name => /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(name))
}

function certificatesIn(text: string, file: string): { readonly pem: string; readonly certificate: X509Certificate }[] {
  const blocks = pemBlocksOf(text)
  if (blocks.some(({ label }) => label.endsWith('PRIVATE KEY')))
    throw invalid(`${file}: holds a private key beside the certificate; keep the key in a file of its own, readable by its owner only`)
  const certificates = blocks.filter(({ label }) => label === 'CERTIFICATE')
  if (certificates.length === 0) throw invalid(`${file}: no certificate found; expected one in PEM format, with its chain behind it`)
  return certificates.map(({ pem }, index) => {
    try {
      return { pem, certificate: new X509Certificate(pem) }
    } catch (cause) {
      throw invalid(`${file}: certificate ${index + 1} cannot be read: ${messageOf(cause)}`, cause)
    }
  })
}

const isKeyAlone = (text: string): boolean => {
  const labels = pemBlocksOf(text).map(({ label }) => label)
  return labels.some(label => label.endsWith('PRIVATE KEY')) && !labels.includes('CERTIFICATE')
}

function checkKey(key: KeyObject, file: string): void {
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < MIN_RSA_BITS) throw invalid(`${file}: RSA key of ${bits} bits; expected ${MIN_RSA_BITS} or more`)
}

/**
 * Reads a certificate with its chain, and its key.
 * @param clientCa    PEM of the authorities whose clients a server with this pair lets in
 * @param clientCrls  PEM of lists of what these have revoked
 * @param nowMs  certificates that are not valid at this time are refused
 * @throws GatewayError FILE_UNREADABLE or KEY_INVALID, naming the file and what to do
 */
export async function readServerPair(
  certificateFile: string,
  keyFile: string,
  {
    clientCa,
    clientCrls,
    nowMs,
  }: { readonly clientCa: string | undefined; readonly clientCrls?: readonly string[] | undefined; readonly nowMs: number },
): Promise<ServerPair> {
  const text = await readKeyText(certificateFile)
  if (isKeyAlone(text) && !isKeyAlone(await readKeyText(keyFile)))
    throw invalid(
      `${certificateFile} holds the key and ${keyFile} the certificate: the two are swapped; give each to the option of the other`,
    )
  const pair = checkPair(text, await readPrivateKeyObject(keyFile), { certificateFile, keyFile, nowMs })
  const { cert, key } = pair
  try {
    const context = createSecureContext({
      ...TLS_SETTINGS,
      ...{ cert, key },
      ...(clientCa !== undefined && { ca: clientCa }),
      ...(clientCrls !== undefined && { crl: [...clientCrls] }),
    })
    return { source: certificateFile, ...pair, context }
  } catch (cause) {
    throw invalid(`${certificateFile} with ${keyFile}: TLS cannot use them: ${messageOf(cause)}`, cause)
  }
}

/**
 * Holds a certificate against its key.
 * @param text  PEM of the certificate with its chain
 * @param place  names for messages, and the time at which it has to be valid; undefined: whenever
 * @throws GatewayError KEY_INVALID
 */
export function checkPair(
  text: string,
  privateKey: KeyObject,
  { certificateFile, keyFile, nowMs }: { readonly certificateFile: string; readonly keyFile: string; readonly nowMs: number | undefined },
): Omit<ServerPair, 'source' | 'context'> {
  const chain = certificatesIn(text, certificateFile)
  checkKey(privateKey, keyFile)
  const { certificate } = chain[0]!
  if (!certificate.checkPrivateKey(privateKey)) {
    const isBehind = chain.some(each => each.certificate.checkPrivateKey(privateKey))
    throw invalid(
      isBehind
        ? `${certificateFile}: the certificate of the server has to be the first in the file, its chain behind it`
        : `${certificateFile} and ${keyFile} do not belong together: the certificate is for another key`,
    )
  }
  const [notBefore, notAfter] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  if (nowMs !== undefined && nowMs < notBefore)
    throw invalid(`${certificateFile}: the certificate is not valid before ${isoOf(notBefore)}; check the clock`)
  if (nowMs !== undefined && nowMs > notAfter) throw invalid(`${certificateFile}: the certificate expired at ${isoOf(notAfter)}; renew it`)
  const cert = chain.map(({ pem }) => pem).join('')
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return { names: namesOf(certificate), notAfter, cert, key, covers: host => covers(certificate, host) }
}

const isoOf = (ms: number): string => new Date(ms).toISOString()

const covers = (certificate: X509Certificate, host: string): boolean =>
  host.startsWith('[') || /^[\d.]+$/.test(host)
    ? certificate.checkIP(host.replace(/^\[|\]$/g, '')) !== undefined
    : certificate.checkHost(host) !== undefined
