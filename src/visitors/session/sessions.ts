import { randomBytes } from 'node:crypto'
import { Recent } from '../../rates/recent.ts'
import type { AcceptedRequest } from '../../http/admission.ts'
import type { Peer } from '../../http/client.ts'
import type { AccessRequestOfVisitor } from '../../outer/access/visitor-check.ts'
import type { LoginRule, Visitor } from '../../route/access.ts'
import type { VisitorsConfig } from '../config.ts'
import type { Admission, Rejection } from '../lane.ts'
import type { KeyRing } from './key-ring.ts'
import type { Revocations } from './revocations.ts'
import type { Seal } from './seal.ts'
import { readSession, sessionText, visitorOf, type Session } from './session.ts'
import { cookieValues, isSafe, setCookie } from './session-cookie.ts'

/** Sessions whose cookies were opened lately. */
const MAX_KNOWN = 20_000
const KNOWN_MS = 600_000
/** The last characters of a cookie are the tag of its seal: no two cookies have the same, and a short key is found sooner. */
const KEY_CHARS = 24
/** Longer fields are looked into each time. */
const MAX_LATELY = 4_096

/** A cookie that was opened. */
export interface KnownSession {
  /** The cookie. */
  readonly value: string
  readonly host: string
  /** Of the seal. */
  readonly purpose: string
  readonly session: Session
  /** The same object for all requests with this cookie. */
  readonly visitor: Visitor
  /** The credentials that it was judged by last, the same for most of its requests. Here, and in no weak map: each look into one costs more. */
  judged: Judged | undefined
  /** Not revoked by what there was at this revision. */
  goodAt: number
}

/** Judged for a target: what is the same for all of its requests with one session. */
export interface Judged {
  readonly rule: LoginRule
  readonly sessionMs: number | undefined
  readonly verdict: Admission | Rejection
}

/** The kind of the cookie, and what seals it. */
export interface SessionPlace {
  /** Of the cookie. */
  readonly kind: string
  /** Of the seal. */
  readonly purpose: string
}

/** On hosts with logins. */
export const AT_TARGETS: SessionPlace = Object.freeze({ kind: 'visitor', purpose: 'session' })

/** At the auth host: one for each provider, so that who needs two is not asked again and again. */
export const atAuthHost = (provider: string): SessionPlace => ({ kind: `auth-${provider}`, purpose: `auth ${provider}` })

/** The Cookie field of a connection, and the session that it has proven. */
interface Lately {
  readonly field: string
  readonly scheme: string
  /** The keys by which it was opened. */
  readonly ring: KeyRing
  readonly known: KnownSession
}

/** The parts that sessions depend on. */
export interface SessionParts {
  readonly seal: Seal
  readonly revocations: Revocations
  readonly config: () => Pick<VisitorsConfig, 'sessionMs' | 'idleMs'>
  /** ms since 1970 */
  readonly clock: () => number
}

/** Sessions, which browsers keep for us: nothing of one is stored here, but for those that were opened lately. */
export class Sessions {
  #known: Recent<KnownSession>
  /** The keys by which those were opened. */
  #ring: KeyRing | undefined
  /** The session that the Cookie field of a connection has proven last: most requests of one have the same. */
  readonly #lately = new WeakMap<Peer, Lately>()
  /** Not revoked by what there was then. */
  readonly #good = new WeakMap<Session, number>()

  constructor(private readonly parts: SessionParts) {
    this.#known = new Recent(MAX_KNOWN, KNOWN_MS, parts.clock)
  }

  /** Other keys: what was opened by a key that is gone is open no longer. */
  #forgetOldKeys(): void {
    const { ring } = this.parts.seal
    if (ring === this.#ring) return
    this.#ring = ring
    this.#known = new Recent(MAX_KNOWN, KNOWN_MS, this.parts.clock)
  }

  /**
   * The session that a cookie of the request proves; undefined when there is none, or it is over.
   * @param maxMs  the longest that it may last; undefined: as the gateway has it
   */
  find(
    { request, host, scheme }: { readonly request: AcceptedRequest; readonly host: string; readonly scheme: string },
    place: SessionPlace,
    maxMs?: number,
  ): KnownSession | undefined {
    if (!isSafe(scheme, host)) return undefined
    for (const value of cookieValues(request, place.kind, scheme)) {
      const known = this.#open(value, host, place)
      if (known !== undefined && this.#isGood(known, maxMs)) return known
    }
    return undefined
  }

  /**
   * The same, for a session at targets: most requests of a connection have the very Cookie field of the one before, and need not be searched.
   * The session is judged anew in any case: the host, the keys, the time, and what was revoked.
   * @param visit  its `peer` is the same object for all requests of one connection
   */
  findAgain(
    { request, host, client: { scheme }, peer }: Pick<AccessRequestOfVisitor, 'request' | 'host' | 'client' | 'peer'>,
    maxMs?: number,
  ): KnownSession | undefined {
    const field = onlyCookie(request)
    const { ring } = this.parts.seal
    const lately = this.#lately.get(peer)
    if (lately?.field === field && lately?.ring === ring && lately.scheme === scheme && lately.known.host === host)
      return this.#isGood(lately.known, maxMs) ? lately.known : undefined
    const known = this.find({ request, host, scheme }, AT_TARGETS, maxMs)
    if (known === undefined || field === undefined || field.length > MAX_LATELY) return known
    // One of several depends on how long each of them may last.
    if (cookieValues(request, AT_TARGETS.kind, scheme).length === 1) this.#lately.set(peer, { field: own(field), scheme, ring, known })
    return known
  }

  /** Has a browser kept the cookie of a session, be that over or not? */
  isKept(
    { request, host, scheme }: { readonly request: AcceptedRequest; readonly host: string; readonly scheme: string },
    place: SessionPlace,
  ): boolean {
    return cookieValues(request, place.kind, scheme).some(value => this.#open(value, host, place) !== undefined)
  }

  #isGood(known: KnownSession, maxMs?: number): boolean {
    const { session } = known
    const { sessionMs, idleMs } = this.parts.config()
    const now = this.parts.clock()
    if (whyOld(session, maxMs ?? sessionMs, now) !== undefined) return false
    if (idleMs > 0 && now - session.seenMs > idleMs) return false
    const { revocations } = this.parts
    const { revision } = revocations
    if (known.goodAt === revision) return true
    if (revocations.isRevoked(session)) return false
    known.goodAt = revision
    return true
  }

  /** Says why a session is over for what is open, which is a sign of life by itself; undefined: it is not. */
  whyEnded(session: Session, maxMs?: number): string | undefined {
    const old = whyOld(session, maxMs ?? this.parts.config().sessionMs, this.parts.clock())
    return old ?? (this.#isRevoked(session) ? 'the session was ended' : undefined)
  }

  #isRevoked(session: Session): boolean {
    const { revocations } = this.parts
    const { revision } = revocations
    if (this.#good.get(session) === revision) return false
    if (revocations.isRevoked(session)) return true
    this.#good.set(session, revision)
    return false
  }

  /** A cookie for a session, for this host alone. @param maxMs  the longest that it may last */
  issue(session: Session, host: string, scheme: string, place: SessionPlace, maxMs?: number): string {
    const lastsMs = session.loggedInMs + (maxMs ?? this.parts.config().sessionMs) - this.parts.clock()
    const value = this.parts.seal.seal(place.purpose, host, sessionText(session))
    return setCookie(place.kind, scheme, value, Math.max(1, Math.ceil(lastsMs / 1000)))
  }

  /**
   * A newer cookie for a session, so that whoever works stays logged in; undefined while the one that is there will do.
   * @param maxMs  the longest that it may last
   */
  renew(session: Session, host: string, scheme: string, place: SessionPlace, maxMs?: number): string | undefined {
    const { idleMs } = this.parts.config()
    if (idleMs === 0) return undefined
    const now = this.parts.clock()
    if (now - session.seenMs < idleMs / 8) return undefined
    return this.issue({ ...session, seenMs: now }, host, scheme, place, maxMs)
  }

  #open(value: string, host: string, place: SessionPlace): KnownSession | undefined {
    this.#forgetOldKeys()
    // Who could find such a text in the time that a map takes could find the key of the seal.
    const key = value.slice(-KEY_CHARS)
    const known = this.#known.get(key)
    if (known?.value === value) return known.host === host && known.purpose === place.purpose ? known : undefined
    const text = this.parts.seal.open(place.purpose, host, value)
    const session = text === undefined ? undefined : readSession(text)
    if (session === undefined) return undefined
    const kept = own(value)
    const opened = {
      value: kept,
      host,
      purpose: place.purpose,
      session,
      visitor: visitorOf(session, 'login'),
      judged: undefined,
      goodAt: -1,
    }
    this.#known.set(kept.slice(-KEY_CHARS), opened)
    return opened
  }
}

/** A copy: a part of a field would keep all of it in memory. */
const own = (text: string): string => Buffer.from(text, 'latin1').toString('latin1')

/** The Cookie field of a request that has one alone. */
function onlyCookie({ fields, names }: AcceptedRequest): string | undefined {
  const first = names.indexOf('cookie')
  return first < 0 || names.lastIndexOf('cookie') !== first ? undefined : fields[2 * first + 1]
}

function whyOld({ loggedInMs }: Session, maxMs: number, now: number): string | undefined {
  const ageMs = now - loggedInMs
  if (ageMs > maxMs) return 'the session has lasted as long as it may'
  // The clock was set back, or that of another process is ahead; a session of the future would never end.
  return ageMs < -60_000 ? 'the session begins in the future' : undefined
}

/** An id for a session, without a meaning. */
export const newSessionId = (): string => randomBytes(12).toString('base64url')
