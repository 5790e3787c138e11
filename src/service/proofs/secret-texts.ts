/** Secrets that the service makes up: tokens and one-time links. Only their hash is stored, as in `identity/token.ts`. */
import { createHash, randomBytes } from 'node:crypto'

/** The prefix says what a token is for, to people and to programs that look for leaked ones. */
export type SecretKind = 'sga' | 'sgj' | 'sgo' | 'sgl'

const BYTES = 32

/** Returns a fresh secret: prefix, underscore, 43 characters of base64url. */
export const mintSecret = (kind: SecretKind): string => `${kind}_${randomBytes(BYTES).toString('base64url')}`

/** Returns the text that is stored for a secret: `sha256:` and 43 characters of base64url. */
export const hashSecret = (secret: string): string => `sha256:${createHash('sha256').update(secret).digest('base64url')}`

const FORM = /^sg[ajol]_[A-Za-z0-9_-]{43}$/

/** Has it the form of a secret of this kind? */
export const isSecret = (text: unknown, kind: SecretKind): text is string =>
  typeof text === 'string' && text.startsWith(`${kind}_`) && FORM.test(text)
