/** Tokens as programs send them. */
import type { AcceptedRequest } from '../http/admission.ts'

/** A text of a request that may be a token. */
export interface Credential {
  readonly text: string
  /** In Authorization, which the application behind may use as well. */
  readonly isInAuthorization: boolean
}

/** The field for tokens of programs that need Authorization for the application. No field of this kind reaches an origin. */
export const TOKEN_FIELD = 'x-sg-token'
/** The limit for credentials that no limit of the edges has cut. */
const MAX_CHARS = 16_384
const AUTHORIZATION = /^(bearer|basic) +([\x21-\x7e]+)$/i

/**
 * The texts of a request that may be tokens, the surest first: the field for tokens, a bearer token (RFC 6750 §2.1), and the password of
 * Basic (RFC 7617), which is all that git and other programs have that know URLs alone.
 */
export function credentialsOf({ fields, names }: Pick<AcceptedRequest, 'fields' | 'names'>): readonly Credential[] {
  const first = names.indexOf('authorization')
  const own = names.indexOf(TOKEN_FIELD)
  if (first < 0 && own < 0) return NONE
  const found: Credential[] = []
  for (let i = own; i >= 0 && i < names.length; i++)
    if (names[i] === TOKEN_FIELD) found.push({ text: fields[2 * i + 1]!.trim(), isInAuthorization: false })
  for (let i = first; i >= 0 && i < names.length; i++) {
    if (names[i] !== 'authorization') continue
    const text = tokenIn(fields[2 * i + 1]!)
    if (text !== undefined) found.push({ text, isInAuthorization: true })
  }
  return found
}

const NONE: readonly Credential[] = Object.freeze([])

function tokenIn(authorization: string): string | undefined {
  if (authorization.length > MAX_CHARS) return undefined
  const [, scheme = '', rest = ''] = AUTHORIZATION.exec(authorization.trim()) ?? []
  if (scheme.toLowerCase() === 'bearer') return rest
  if (scheme === '') return undefined
  const pair = Buffer.from(rest, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon < 0 ? undefined : pair.slice(colon + 1)
}

/**
 * The challenges for such tokens (RFC 9110 §11.6.1). Of Basic only programs are told: a browser would ask its user for a password when a
 * page fetches something.
 */
export function tokenChallenges({ names }: Pick<AcceptedRequest, 'names'>, host: string): readonly string[] {
  const realm = `realm="${host.replace(/[^\w.:[\]-]/g, '')}"`
  return names.includes('sec-fetch-mode') ? [`Bearer ${realm}`] : [`Bearer ${realm}`, `Basic ${realm}, charset="UTF-8"`]
}
