import { createPublicKey, X509Certificate, type JsonWebKey, type KeyObject } from 'node:crypto'
import { GatewayError, messageOf } from '../errors.ts'
import { isIdentifier } from './identifier.ts'
import type { RegisteredKey } from './key-registry.ts'
import { algorithmsOf, pemBlocksOf, readKeyText, thumbprintOf } from './key.ts'

/** A public key file: the key, and of a certificate its common name and validity (ms since 1970). */
export interface PublicKeyFile {
  readonly key: KeyObject
  readonly commonName: string | undefined
  readonly notBefore: number
  readonly notAfter: number
}

/** One value of `--public-key`: a file or directory, and the identifier that its keys are bound to. */
export interface PublicKeyValue {
  readonly path: string
  readonly identifier: string | undefined
}

const invalid = (message: string, cause?: unknown): GatewayError => new GatewayError('KEY_INVALID', message, { cause })

/**
 * Splits `IDENTIFIER=PATH`. A value whose part before the first `=` has a slash or backslash is a path altogether, so `./a=b.crt` can be said.
 * @throws GatewayError USAGE for an empty path or an impossible identifier
 */
export function parsePublicKeyValue(value: string): PublicKeyValue {
  const [, name, rest] = /^([^=/\\]*)=(.*)$/s.exec(value) ?? []
  const path = rest ?? value
  if (path === '') throw new GatewayError('USAGE', `public key ${JSON.stringify(value)}: expected PATH or IDENTIFIER=PATH`)
  if (name !== undefined && !isIdentifier(name)) {
    throw new GatewayError(
      'USAGE',
      `public key ${JSON.stringify(value)}: expected an identifier of 1 to 255 printable characters before "=" (a path with "=" is written ./PATH)`,
    )
  }
  return { path, identifier: name }
}

/**
 * The common name in the subject of a certificate as node:crypto writes it: an attribute a line, several values of one joined by ` + `,
 * special characters escaped as in RFC 2253. Undefined for none, and for two: the one that is bound and the one that a person reads
 * could differ. (`toLegacyObject()` would be shorter, but breaks every later TLS connection when it is called before node:tls is loaded;
 * seen in Node 20.20.)
 */
export function commonNameOf(subject: string): string | undefined {
  const names = Array.from(subject.matchAll(/(?:^|\n| \+ )CN=((?:\\.|[^\\\n+])*)/g), match => match[1] ?? '')
  if (names.length !== 1) return undefined
  return names[0]?.replace(/\\([0-9A-F]{2})|\\(.)/g, (_, hex?: string, character = '') =>
    hex === undefined ? String(character) : String.fromCharCode(parseInt(hex, 16)),
  )
}

function fromCertificate(pem: string): PublicKeyFile {
  const certificate = new X509Certificate(pem)
  return {
    key: certificate.publicKey,
    commonName: commonNameOf(certificate.subject),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  }
}

/**
 * The public key in the text of a certificate or a PEM public key. Nothing but the key, the common name and the dates of a certificate
 * counts: trust comes from the operator who named the file, not from who signed it.
 * @throws GatewayError KEY_INVALID
 */
export function parsePublicKey(text: string, file: string): PublicKeyFile {
  const blocks = pemBlocksOf(text)
  const [block] = blocks
  // before anything else, because node:crypto would take a private key and derive the public one
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY/.test(text)) {
    throw invalid(`${file}: this is a private key, which stays with its inner layer; expected its certificate or public key`)
  }
  if (block === undefined) throw invalid(`${file}: no PEM block found; expected a certificate or a public key in PEM format`)
  if (blocks.length > 1) throw invalid(`${file}: ${blocks.length} PEM blocks; expected one certificate or public key a file`)
  try {
    if (block.label === 'CERTIFICATE') return fromCertificate(block.pem)
    if (block.label === 'PUBLIC KEY' || block.label === 'RSA PUBLIC KEY') {
      return { key: createPublicKey(block.pem), commonName: undefined, notBefore: -Infinity, notAfter: Infinity }
    }
  } catch (cause) {
    throw invalid(`${file}: the ${block.label.toLowerCase()} cannot be read: ${messageOf(cause)}`, cause)
  }
  throw invalid(`${file}: PEM block of type ${block.label}; expected CERTIFICATE or PUBLIC KEY`)
}

/** The source of the identifiers of a key: a name, the common name of its certificate, or undefined for any identifier. */
export type Binding = { readonly identifier: string } | 'common name' | undefined

/** A key that is in force, and when (ms since 1970) it will expire. */
export interface ReadKey {
  readonly key: RegisteredKey
  readonly notAfter: number
}

/**
 * Reads one file as a registered key.
 * @param nowMs  certificates that are not valid at this time are refused
 * @throws GatewayError FILE_UNREADABLE or KEY_INVALID
 */
export async function readPublicKey(file: string, binding: Binding, nowMs: number): Promise<ReadKey> {
  const { key, commonName, notBefore, notAfter } = parsePublicKey(await readKeyText(file), file)
  const algorithms = algorithmsOf(key, file)
  if (nowMs < notBefore) throw invalid(`${file}: the certificate is not valid before ${new Date(notBefore).toISOString()}; check the clock`)
  if (nowMs > notAfter) throw invalid(`${file}: the certificate expired at ${new Date(notAfter).toISOString()}; mint a new pair`)
  const identifier = binding === 'common name' ? commonName : binding?.identifier
  if (binding !== undefined && !isIdentifier(identifier)) {
    throw invalid(`${file}: no usable common name to bind the key to; give it as --public-key IDENTIFIER=${file}`)
  }
  const identifiers = identifier === undefined ? undefined : Object.freeze([identifier])
  return { key: { kid: thumbprintOf(key), key, algorithms, identifiers, source: file }, notAfter }
}

/**
 * A public key as a JWK (RFC 7517), as a registry takes it.
 * @throws GatewayError KEY_INVALID, which names `source`
 */
export function registeredJwk(jwk: Readonly<Record<string, string>>, identifiers: readonly string[], source: string): RegisteredKey {
  if ('d' in jwk) throw invalid(`${source}: this is a private key, which stays with its inner layer`)
  let key: KeyObject
  try {
    key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  } catch (cause) {
    throw invalid(`${source}: the public key cannot be read: ${messageOf(cause)}`, cause)
  }
  return { kid: thumbprintOf(key), key, algorithms: algorithmsOf(key, source), identifiers, source }
}

/**
 * A certificate or a public key in PEM, as a registry takes it. The dates of a certificate are not looked at.
 * @param identifiers  that the key may claim; undefined: any
 * @throws GatewayError KEY_INVALID, which names `source`
 */
export function registeredKey(text: string, identifiers?: readonly string[], source = 'made in code'): RegisteredKey {
  const { key } = parsePublicKey(text, source)
  return { kid: thumbprintOf(key), key, algorithms: algorithmsOf(key, source), identifiers, source }
}
