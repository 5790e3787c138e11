import type { LaneName, Visitor } from '../../route/access.ts'

/** Somebody who has logged in, as the provider vouches for them. */
export interface Person {
  readonly provider: string
  readonly subject: string
  readonly email: string | undefined
  readonly name: string | undefined
  readonly groups: readonly string[]
  readonly claims: ReadonlyMap<string, readonly string[]>
}

/** The session of somebody at a provider, as both sides name it when it ends (SAML Core §2.2.3, §2.7.2). Texts of the provider; empty ones are absent. */
export interface ProviderSession {
  readonly nameId: string
  readonly format: string
  readonly nameQualifier: string
  readonly spNameQualifier: string
  readonly index: string
}

/** A login of a person, at one host or at the auth host. Times are in ms since 1970. */
export interface Session {
  readonly person: Person
  /** Of the login at the provider: the sessions of all hosts that came of it have the same. */
  readonly loginId: string
  /** Of this session alone. */
  readonly id: string
  readonly loggedInMs: number
  /** When the cookie was made: somebody was there at that time. */
  readonly seenMs: number
  /** Absent where the provider names none. */
  readonly atProvider?: ProviderSession | undefined
}

type Stored = readonly [
  version: 1,
  provider: string,
  subject: string,
  email: string | null,
  name: string | null,
  groups: readonly string[],
  claims: readonly (readonly [string, readonly string[]])[],
  loginId: string,
  id: string,
  loggedInMs: number,
  seenMs: number,
  ...atProvider: [] | [readonly [nameId: string, format: string, nameQualifier: string, spNameQualifier: string, index: string]],
]

/** The session as a text, to be sealed. */
export function sessionText({ person, loginId, id, loggedInMs, seenMs, atProvider: at }: Session): string {
  const { provider, subject, email, name, groups, claims } = person
  const own = at === undefined ? ([] as const) : ([[at.nameId, at.format, at.nameQualifier, at.spNameQualifier, at.index]] as const)
  const stored: Stored = [1, provider, subject, email ?? null, name ?? null, groups, [...claims], loginId, id, loggedInMs, seenMs, ...own]
  return JSON.stringify(stored)
}

/** @param text  as `sessionText` makes it: it was sealed, so nobody else has made it. @returns undefined for one of another release */
export function readSession(text: string): Session | undefined {
  const stored = JSON.parse(text) as Stored
  if (stored[0] !== 1 || stored.length < 11 || stored.length > 12) return undefined
  const [, provider, subject, email, name, groups, claims, loginId, id, loggedInMs, seenMs, at] = stored
  const person = { provider, subject, email: email ?? undefined, name: name ?? undefined, groups, claims: new Map(claims) }
  if (at === undefined) return { person, loginId, id, loggedInMs, seenMs }
  const [nameId, format, nameQualifier, spNameQualifier, index] = at
  return { person, loginId, id, loggedInMs, seenMs, atProvider: { nameId, format, nameQualifier, spNameQualifier, index } }
}

/** The visitor of a session. */
export const visitorOf = ({ person, id }: Session, lane: LaneName): Visitor => Object.freeze({ lane, ...person, sessionId: id })
