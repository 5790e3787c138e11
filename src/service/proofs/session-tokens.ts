/** Tokens of sessions: JWT, HS256, with the claims that clients of the original read (`user_id`, `exp`). */
import type { KeyObject } from 'node:crypto'
import jwt from 'jsonwebtoken'
import { claimsOf, headerOf, member, textClaim, timeClaim, type TokenType } from '../../identity/signed-token.ts'
import { ServiceError } from '../input/service-error.ts'

/** The life of a token. */
export const SESSION_MINUTES = 300

const TYPE: TokenType = {
  typ: 'JWT',
  members: new Set(['alg', 'typ', 'kid']),
  // The reason is for the log, not for the peer.
  refuse: (reason, cause) => new ServiceError('UNAUTHENTICATED', undefined, { cause: cause ?? new Error(reason) }),
}

/** A key that signs tokens. */
export interface SigningKey {
  readonly id: string
  readonly key: KeyObject
}

/** The claims of a token. */
export interface SessionClaims {
  readonly accountId: string
  /** Tokens of another epoch than the account's are over. */
  readonly epoch: number
}

/** Nodes of one service have the same host and the same keys, but not always the same public port. */
const withoutPort = (origin: string): string => origin.replace(/:\d{1,5}$/, '')

/** Signs and reads tokens of sessions. */
export class SessionTokens {
  readonly #issuer: string

  /**
   * @param keys    the first one signs, all verify
   * @param origin  of the API, less its port the issuer: a token for one service is none for another
   */
  constructor(
    private readonly keys: readonly [SigningKey, ...SigningKey[]],
    origin: string,
    private readonly nowMs: () => number,
  ) {
    this.#issuer = withoutPort(origin)
  }

  sign({ accountId, epoch }: SessionClaims): { readonly token: string; readonly expiresAt: number } {
    const [{ id, key }] = this.keys
    const iat = Math.floor(this.nowMs() / 1_000)
    const exp = iat + SESSION_MINUTES * 60
    const token = jwt.sign({ user_id: accountId, iat, exp, iss: this.#issuer, epoch }, key, {
      algorithm: 'HS256',
      header: { alg: 'HS256', typ: TYPE.typ, kid: id },
    })
    return { token, expiresAt: exp * 1_000 }
  }

  /** @throws ServiceError UNAUTHENTICATED */
  read(token: string): SessionClaims {
    const { refuse } = TYPE
    const header = headerOf(token, TYPE)
    const signing = this.keys.find(({ id }) => id === member(header, 'kid'))
    if (signing === undefined || member(header, 'alg') !== 'HS256') throw refuse('kid or alg is not ours')
    const claims = claimsOf(token, signing.key, ['HS256'], refuse)
    // Earlier releases have written the port.
    if (withoutPort(textClaim(claims, 'iss', refuse)) !== this.#issuer) throw refuse('iss is another service')
    if (timeClaim(claims, 'exp', refuse) * 1_000 <= this.nowMs()) throw refuse('expired')
    return { accountId: textClaim(claims, 'user_id', refuse), epoch: timeClaim(claims, 'epoch', refuse) }
  }
}
