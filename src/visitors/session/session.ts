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
]

/** The session as a text, to be sealed. */
export function sessionText({ person, loginId, id, loggedInMs, seenMs }: Session): string {
  const { provider, subject, email, name, groups, claims } = person
  const stored: Stored = [1, provider, subject, email ?? null, name ?? null, groups, [...claims], loginId, id, loggedInMs, seenMs]
  return JSON.stringify(stored)
}

/** @param text  as `sessionText` makes it: it was sealed, so nobody else has made it. @returns undefined for one of another release */
export function readSession(text: string): Session | undefined {
  const stored = JSON.parse(text) as Stored
  if (stored[0] !== 1 || stored.length !== 11) return undefined
  const [, provider, subject, email, name, groups, claims, loginId, id, loggedInMs, seenMs] = stored
  const person = { provider, subject, email: email ?? undefined, name: name ?? undefined, groups, claims: new Map(claims) }
  return { person, loginId, id, loggedInMs, seenMs }
}

/** The visitor of a session. */
export const visitorOf = ({ person, id }: Session, lane: LaneName): Visitor => Object.freeze({ lane, ...person, sessionId: id })
