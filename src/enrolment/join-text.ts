/** The text by which an inner layer joins an outer layer: `wss://gw.example.com:3001#lan-a:SECRET:PIN`. */
import { createHash, type KeyObject } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { isIdentifier } from '../identity/identifier.ts'

/** The parts of such a text. */
export interface JoinText {
  /** Of the socket port: ws: or wss:. */
  readonly url: string
  /** Identifier of the inner layer, for its certificate. */
  readonly identifier: string
  /** Counts once. */
  readonly secret: string
  /** SHA-256 of the public key of the TLS server, base64url; undefined: its certificate is one that everybody can check. */
  readonly pin: string | undefined
}

/** Path of the socket port where an inner layer hands in its certificate. */
export const JOIN_PATH = '/.sg/join'
/** A name without what URLs or shells read as something else, 24 random bytes and a SHA-256 in base64url. */
const JOIN = /^([\w.!~*()%-]{1,600}):([\w-]{32})(?::([\w-]{43}))?$/

export const formatJoinText = ({ url, identifier, secret, pin }: JoinText): string =>
  [`${url}#${encodeURIComponent(identifier).replaceAll("'", '%27')}`, secret, ...(pin === undefined ? [] : [pin])].join(':')

/** Returns the fingerprint of a public key by which a TLS server is known, as RFC 7469 §2.4 has it. */
export const pinOf = (key: KeyObject): string =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url')

/** Reads the text. Says nothing of what was given, which is a secret. @throws GatewayError USAGE */
export function parseJoinText(text: string): JoinText {
  const [url = '', given = '', ...rest] = text.split('#')
  const [, name = '', secret, pin] = JOIN.exec(given) ?? []
  const identifier = decoded(name)
  if (secret === undefined || !isIdentifier(identifier) || rest.length > 0 || !isLinkUrl(url))
    throw new GatewayError(
      'USAGE',
      'expected what "outer-layer --invite NAME" prints, whole and in quotes: wss://HOST:PORT#NAME:SECRET:PIN',
    )
  return { url, identifier, secret, pin }
}

function decoded(name: string): string | undefined {
  try {
    return decodeURIComponent(name)
  } catch {
    return undefined
  }
}

function isLinkUrl(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, username, password, search } = new URL(url)
  return (protocol === 'wss:' || protocol === 'ws:') && username === '' && password === '' && search === ''
}
