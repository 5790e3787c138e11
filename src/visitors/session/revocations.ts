import { createHash } from 'node:crypto'
import { emailKey } from '../../route/access.ts'
import type { Session } from './session.ts'

/** Sessions that end before their time: those that were begun up to `atMs` and that are named. */
export type Revocation = { readonly atMs: number } & (
  | { readonly kind: 'all' }
  /** Of one e-mail address, whoever vouches for it. */
  | { readonly kind: 'email'; readonly email: string }
  /** Of one account at a provider. */
  | { readonly kind: 'account'; readonly provider: string; readonly subject: string }
  /** One session, all that came of one login, or of one session at a provider: its id, or what `providerSessionId` makes of it. */
  | { readonly kind: 'session'; readonly id: string }
)

/** Logins by an account of the service of this gateway that are over: those that were begun until then. */
export interface EndedLogins {
  readonly accountId: string
  readonly atMs: number
}

/** No session is older. */
const LONGEST_MS = 720 * 3_600_000

/** The sessions that were ended. */
export class Revocations {
  readonly #emails = new Map<string, number>()
  readonly #accounts = new Map<string, number>()
  readonly #sessions = new Map<string, number>()
  /** By the id of an account, which no other provider gives to anybody. */
  readonly #ofService = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  #allMs = -Infinity
  #revision = 0

  /** @param clock  ms since 1970 */
  constructor(private readonly clock: () => number) {}

  /** A number that is another one after each change. */
  get revision(): number {
    return this.#revision
  }

  /** Calls `listener` after each change, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Puts revocations in force, beside those that are. */
  add(revocations: readonly Revocation[]): void {
    for (const each of revocations) this.#add(each)
    this.#changed()
  }

  /** Ends logins by accounts of the service. */
  endLogins(ended: readonly EndedLogins[]): void {
    for (const { accountId, atMs } of ended) raise(this.#ofService, accountId, atMs)
    this.#changed()
  }

  isRevoked({ person, loginId, id, loggedInMs, atProvider }: Session): boolean {
    if (loggedInMs <= this.#allMs || this.#sessions.has(id) || this.#sessions.has(loginId)) return true
    const { email, provider, subject } = person
    const key = email === undefined ? undefined : emailKey(email)
    return (
      (key !== undefined && loggedInMs <= (this.#emails.get(key) ?? -Infinity)) ||
      loggedInMs <= (this.#accounts.get(accountKey(provider, subject)) ?? -Infinity) ||
      loggedInMs <= (this.#ofService.get(subject) ?? -Infinity) ||
      (atProvider !== undefined &&
        (this.#isEnded(providerSessionId(provider, atProvider.nameId), loggedInMs) ||
          this.#isEnded(providerSessionId(provider, atProvider.nameId, atProvider.index), loggedInMs)))
    )
  }

  /** Providers may use a name again, which is then that of somebody who has logged in later. */
  #isEnded(id: string, loggedInMs: number): boolean {
    return loggedInMs <= (this.#sessions.get(id) ?? -Infinity)
  }

  #changed(): void {
    this.#forget()
    this.#revision++
    for (const listener of this.#listeners) listener()
  }

  #add(revocation: Revocation): void {
    const { atMs } = revocation
    switch (revocation.kind) {
      case 'all':
        this.#allMs = Math.max(this.#allMs, atMs)
        break
      case 'email':
        raise(this.#emails, emailKey(revocation.email) ?? revocation.email, atMs)
        break
      case 'account':
        raise(this.#accounts, accountKey(revocation.provider, revocation.subject), atMs)
        break
      case 'session':
        raise(this.#sessions, revocation.id, atMs)
    }
  }

  /** The age that no session reaches: revocations are kept no longer. */
  #forget(): void {
    const oldestMs = this.clock() - LONGEST_MS
    for (const map of [this.#emails, this.#accounts, this.#sessions, this.#ofService])
      for (const [key, atMs] of map) if (atMs < oldestMs) map.delete(key)
  }
}

/**
 * The id by which sessions end that came of a session at a provider; of a hash, since names of people may stand in it.
 * @param index  of one of them; absent: all that have the name
 */
export const providerSessionId = (provider: string, nameId: string, index?: string): string =>
  `saml-${createHash('sha256')
    .update(JSON.stringify(index === undefined ? [provider, nameId] : [provider, nameId, index]))
    .digest('base64url')}`

const accountKey = (provider: string, subject: string): string => `${provider} ${subject}`

function raise(map: Map<string, number>, key: string, atMs: number): void {
  map.set(key, Math.max(map.get(key) ?? -Infinity, atMs))
}

/** The line of a file of revocations. */
export const revocationLine = (revocation: Revocation): string => `${JSON.stringify(revocation)}\n`

/** Reads such a file. @returns undefined for a line that is none, whatever the others are */
export function readRevocations(text: string): readonly Revocation[] | undefined {
  const read: Revocation[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const one = readLine(line)
    if (one === undefined) return undefined
    read.push(one)
  }
  return read
}

function readLine(line: string): Revocation | undefined {
  let value: Partial<Record<string, unknown>>
  try {
    value = JSON.parse(line) as Partial<Record<string, unknown>>
  } catch {
    return undefined
  }
  const { kind, atMs, email, provider, subject, id } = value
  if (typeof atMs !== 'number' || !Number.isFinite(atMs)) return undefined
  if (kind === 'all') return { kind, atMs }
  if (kind === 'email' && typeof email === 'string') return { kind, atMs, email }
  if (kind === 'session' && typeof id === 'string') return { kind, atMs, id }
  if (kind === 'account' && typeof provider === 'string' && typeof subject === 'string') return { kind, atMs, provider, subject }
  return undefined
}
