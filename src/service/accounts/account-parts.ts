import { randomUUID } from 'node:crypto'
import type { Attempts } from '../core/attempts.ts'
import type { LetterFrame } from '../core/letters.ts'
import type { Parts } from '../core/parts.ts'
import type { Letter } from '../contract.ts'
import { emailKey } from '../input/texts.ts'
import type { Role } from '../model.ts'
import type { Passwords } from '../proofs/passwords.ts'

/** Parts that the rules of accounts share. */
export interface AccountParts extends Parts {
  readonly passwords: Passwords
  readonly attempts: Attempts
}

/** The row of an account that is not confirmed yet. @param email  as it was checked */
export const pendingAccount = (
  email: string,
  given: { readonly name: string; readonly role: Role; readonly password_hash: string | null; readonly created_at: number },
) => ({ id: randomUUID(), email, email_key: emailKey(email), state: 'pending' as const, confirmed_at: null, ...given })

export const frameOf = ({ config, apiUrl }: Parts): LetterFrame => ({ zone: config().zone, apiUrl })

/**
 * Writes and sends a letter without keeping anybody waiting: how long it takes would tell whether there is an account, and a mail server that is
 * away is nothing that the person could change. Few letters to one address.
 * @returns false where that address has had them
 */
export function post(parts: AccountParts, to: string, write: () => Letter | Promise<Letter>): boolean {
  if (!parts.attempts.mayWrite(to)) return false
  void (async () => parts.mail.send(await write()))().catch((err: unknown) => {
    parts.log.warn({ err }, 'a letter could not be sent')
  })
  return true
}
