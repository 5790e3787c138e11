/** The login of a person for a program of theirs that speaks TLS: as a token, with which the program asks for a certificate, and in that certificate. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { readSession, sessionText, type Session } from '../session/session.ts'
import type { Seal } from '../session/seal.ts'

/** The part of the sockets of a service that somebody has logged in for. */
export type HolderScope =
  /** One socket, by HOST:PORT. */
  | { readonly kind: 'socket'; readonly name: string }
  /** Every socket of an account, as far as its list lets them in. */
  | { readonly kind: 'account'; readonly id: string }

/** The session of a person, for a program on the machine of their browser. */
export interface HolderGrant {
  readonly session: Session
  readonly scope: HolderScope
}

/** A token asks for certificates, and a certificate opens connections: neither of them does what the other does. */
type Purpose = 'holder-token' | 'holder-certificate'

const URI_PREFIX = 'sg-holder:'
/** No token of ours is longer: a session fits into a cookie. */
const MAX_TOKEN = 16_384

const seal = (by: Seal, purpose: Purpose, authHost: string, { session, scope }: HolderGrant): string =>
  by.seal(purpose, authHost, JSON.stringify([sessionText(session), scope]))

function open(by: Seal, purpose: Purpose, authHost: string, sealed: string): HolderGrant | undefined {
  const text = by.open(purpose, authHost, sealed)
  if (text === undefined) return undefined
  const [stored, scope] = JSON.parse(text) as readonly [string, HolderScope]
  const session = readSession(stored)
  return session === undefined ? undefined : { session, scope }
}

/** The name in a certificate that says whose it is. It tells nobody else anything, and is worth nothing without the key of the certificate. */
export const holderUri = (by: Seal, authHost: string, grant: HolderGrant): string =>
  URI_PREFIX + seal(by, 'holder-certificate', authHost, grant)

/** @returns undefined where a certificate has no such name, or one that was sealed by a key that is gone */
export function openHolderUri(by: Seal, authHost: string, uris: readonly string[]): HolderGrant | undefined {
  const uri = uris.find(each => each.startsWith(URI_PREFIX))
  return uri === undefined ? undefined : open(by, 'holder-certificate', authHost, uri.slice(URI_PREFIX.length))
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const macOf = (secret: Buffer, text: string): Buffer =>
  createHmac('sha256', createHmac('sha256', secret).update('holder token').digest()).update(text).digest()

/** The token, as a JWT: clients of MySocket read from its claims whose it is, and until when. @param claims  for them */
export function mintHolderToken(by: Seal, authHost: string, grant: HolderGrant, claims: Readonly<Record<string, string | number>>): string {
  const { id, secret } = by.ring.newest
  const header = encode({ alg: 'HS256', typ: 'JWT', kid: id })
  const text = `${header}.${encode({ ...claims, grant: seal(by, 'holder-token', authHost, grant) })}`
  return `${text}.${macOf(secret, text).toString('base64url')}`
}

/** @returns undefined for one that is forged, or by a key that is gone; whether it is too old, its session says */
export function openHolderToken(by: Seal, authHost: string, token: string): HolderGrant | undefined {
  const [header = '', payload = '', proof = '', more] = token.length > MAX_TOKEN ? [] : token.split('.')
  const key = by.ring.find(String(memberOf(header, 'kid')))
  if (key === undefined || more !== undefined) return undefined
  const [expected, given] = [macOf(key.secret, `${header}.${payload}`), Buffer.from(proof, 'base64url')]
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
  const sealed = memberOf(payload, 'grant')
  return typeof sealed === 'string' ? open(by, 'holder-token', authHost, sealed) : undefined
}

function memberOf(part: string, name: 'kid' | 'grant'): unknown {
  try {
    return (JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Readonly<Record<string, unknown>> | null)?.[name]
  } catch {
    return undefined
  }
}
