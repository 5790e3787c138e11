/** Certificates in Secrets. https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { GatewayError } from '../../../errors.ts'
import { checkPair } from '../../../tls/server-pair.ts'
import type { KubeObject } from '../objects.ts'

export interface Secret extends KubeObject {
  readonly type?: string
  /** Values in Base64. */
  readonly data?: Readonly<Record<string, unknown>>
}

/** The type of Secrets with certificates, and the query that lists no others. */
export const TLS_TYPE = 'kubernetes.io/tls'
export const TLS_SECRETS = `fieldSelector=${encodeURIComponent(`type=${TLS_TYPE}`)}`

/** A certificate with its key, as it is to be served. */
export interface SecretPair {
  readonly namespace: string
  /** Of the Secret. */
  readonly name: string
  /** DNS names that it is for, in lower case; wildcards as `*.x`. */
  readonly names: readonly string[]
  /** PEM of the certificate with its chain, and of the key. */
  readonly cert: string
  readonly key: string
  readonly covers: (host: string) => boolean
}

const invalid = (message: string): GatewayError => new GatewayError('KEY_INVALID', message)

/** Names of objects: those of files come of them. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ */
const NAME = /^[a-z0-9][a-z0-9.-]{0,251}$/

/** Longest text of a value, characters: the API server takes no Secret of more than 1 MiB. */
const MAX_VALUE = 1_400_000

function textOf({ data = {} }: Secret, key: string, place: string): string {
  const value = Object.hasOwn(data, key) ? data[key] : undefined
  if (typeof value !== 'string' || value === '') throw invalid(`${place} has no ${key}`)
  if (value.length > MAX_VALUE) throw invalid(`${place}: ${key} is too long`)
  return Buffer.from(value, 'base64').toString('latin1')
}

/** Nothing of the key is ever said: neither its text nor what the parser thinks of it. */
function keyOf(text: string, place: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch {
    throw invalid(`${place}: tls.key is no private key without a passphrase, in PEM format`)
  }
}

/**
 * Reads the certificate of a Secret. One that has expired counts: whoever serves it says so, and goes on with what it has.
 * @throws GatewayError KEY_INVALID
 */
export function pairOf(secret: Secret): SecretPair {
  const { name, namespace = '' } = secret.metadata
  const place = `the Secret ${namespace}/${name}`
  if (secret.type !== TLS_TYPE) throw invalid(`${place} is not of the type ${TLS_TYPE}`)
  if (!NAME.test(name) || !NAME.test(namespace)) throw invalid(`${place} has another name than Kubernetes gives`)
  const places = { certificateFile: `${place}, tls.crt`, keyFile: `${place}, tls.key`, nowMs: undefined }
  const certificate = textOf(secret, 'tls.crt', place)
  const { names, cert, key, covers } = checkPair(certificate, keyOf(textOf(secret, 'tls.key', place), place), places)
  return { namespace, name, names, cert, key, covers }
}
