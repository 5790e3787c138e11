import { createHash } from 'node:crypto'
import type { ExactUses } from '../../peers/peers.ts'
import { Recent } from '../../rates/recent.ts'
import type { Seal } from '../session/seal.ts'
import type { ProviderSession } from '../session/session.ts'

/** The time that a login may take, from the page that wanted it until it is back there. */
export const LOGIN_MS = 600_000
/** The time for the way from the auth host to the host: it is one redirect. */
const CODE_MS = 60_000
const MAX_USED = 50_000

/** The wish of a host to know who somebody is. */
export interface Wish {
  readonly atMs: number
  /** The host that asks, as `parseHost` gives it. */
  readonly host: string
  /** Its origin, such as `https://wiki.example.com`. */
  readonly origin: string
  /** Where to come back to: a path of this host, with its query. */
  readonly path: string
  /** Names of the providers that count; null: all. */
  readonly providers: readonly string[] | null
  /** Hash of what the browser keeps for the host: the answer is for it alone. */
  readonly browser: string
  /** The longest that the session may last; null: as the gateway has it. */
  readonly sessionMs: number | null
  /** Ask who it is, even if that is known. */
  readonly isFresh: boolean
}

/** A login that is under way at a provider. */
export interface Attempt {
  readonly atMs: number
  readonly provider: string
  readonly state: string
  /** Of the provider. */
  readonly secret: string
  /** The wish that it is for, sealed; null: of the auth host itself. */
  readonly wish: string | null
}

/** A session at a provider that somebody may end. */
export interface End {
  readonly atMs: number
  readonly provider: string
  readonly session: ProviderSession
  /** For the log. */
  readonly who: string
}

/** A provider was asked to end a session. */
export interface AskedEnd {
  readonly atMs: number
  readonly provider: string
  readonly state: string
  /** Id of the request. */
  readonly request: string
}

/** The person who has logged in, told to one host and one browser, once. */
export interface Code {
  readonly atMs: number
  readonly id: string
  readonly browser: string
  readonly path: string
  readonly sessionMs: number | null
  /** As `sessionText` makes it. */
  readonly session: string
}

/** Sealed notes by which a login finds its way: nothing of one that is under way is kept here. */
export class Tickets {
  readonly #used: Recent<true>
  /** Proofs of logins that nobody has begun here. Only what was signed gets there, so that nobody can drive others out. */
  readonly #asserted: Recent<true>

  /** @param clock  ms since 1970 @param exact  of all processes; undefined: this one is alone */
  constructor(
    private readonly seal: Seal,
    private readonly clock: () => number,
    private readonly exact?: ExactUses,
  ) {
    this.#used = new Recent(MAX_USED, LOGIN_MS, clock)
    this.#asserted = new Recent(MAX_USED, LOGIN_MS, clock)
  }

  sealWish(wish: Omit<Wish, 'atMs'>, authHost: string): string {
    return this.seal.seal('wish', authHost, JSON.stringify({ atMs: this.clock(), ...wish }))
  }

  openWish(sealed: string | undefined, authHost: string): Wish | undefined {
    return this.#open<Wish>('wish', authHost, sealed, LOGIN_MS)
  }

  sealAttempt(attempt: Omit<Attempt, 'atMs'>, authHost: string): string {
    return this.seal.seal('attempt', authHost, JSON.stringify({ atMs: this.clock(), ...attempt }))
  }

  /** The attempt, which can still be opened. */
  readAttempt(sealed: string | undefined, authHost: string): Attempt | undefined {
    return this.#open<Attempt>('attempt', authHost, sealed, LOGIN_MS)
  }

  /** The attempt, once. */
  async openAttempt(sealed: string | undefined, authHost: string): Promise<Attempt | undefined> {
    const attempt = this.#open<Attempt>('attempt', authHost, sealed, LOGIN_MS)
    return attempt !== undefined && (await this.#use(this.#used, `attempt ${attempt.state}`)) ? attempt : undefined
  }

  sealCode(code: Omit<Code, 'atMs'>, host: string): string {
    return this.seal.seal('code', host, JSON.stringify({ atMs: this.clock(), ...code }))
  }

  /** The code, once, for the browser that it was made for. */
  async openCode(sealed: string | undefined, host: string, browser: string): Promise<Code | undefined> {
    const code = this.#open<Code>('code', host, sealed, CODE_MS)
    return code !== undefined && code.browser === browser && (await this.#use(this.#used, `code ${code.id}`)) ? code : undefined
  }

  sealEnd(end: Omit<End, 'atMs'>, authHost: string): string {
    return this.seal.seal('end', authHost, JSON.stringify({ atMs: this.clock(), ...end }))
  }

  openEnd(sealed: string | undefined, authHost: string): End | undefined {
    return this.#open<End>('end', authHost, sealed, LOGIN_MS)
  }

  sealAsked(asked: Omit<AskedEnd, 'atMs'>, authHost: string): string {
    return this.seal.seal('asked', authHost, JSON.stringify({ atMs: this.clock(), ...asked }))
  }

  openAsked(sealed: string | undefined, authHost: string): AskedEnd | undefined {
    return this.#open<AskedEnd>('asked', authHost, sealed, LOGIN_MS)
  }

  /** Takes a proof once. @returns false for one that was taken. @param id  of a proof that counts for less than ten minutes */
  useAssertion(id: string): Promise<boolean> {
    return this.#use(this.#asserted, `assertion ${id}`)
  }

  #open<T extends { readonly atMs: number }>(
    purpose: string,
    place: string,
    sealed: string | undefined,
    lifetimeMs: number,
  ): T | undefined {
    const text = sealed === undefined ? undefined : this.seal.open(purpose, place, sealed)
    if (text === undefined) return undefined
    const ticket = JSON.parse(text) as T
    const ageMs = this.clock() - ticket.atMs
    return ageMs > lifetimeMs || ageMs < -60_000 ? undefined : ticket
  }

  /** Once here, and once in all processes: where nobody can say what the others have, what was sealed for one browser counts. */
  async #use(used: Recent<true>, id: string): Promise<boolean> {
    if (used.get(id) !== undefined) return false
    used.set(id, true)
    return (await this.exact?.take(id, { max: 1, known: 0, lastsMs: 2 * LOGIN_MS })) !== 0
  }
}

/** The name of a browser for others, without what only it knows. */
export const browserHash = (secret: string): string => createHash('sha256').update(secret).digest('base64url')
