import { GatewayError } from '../../errors.ts'
import type { AcceptedRequest } from '../../http/admission.ts'
import type { BasicAuth, RateLimit, Target, Treatment } from '../../route/target.ts'
import { Interstitial } from './interstitial.ts'
import { LoginSessions } from './login-sessions.ts'
import { Passwords, userOf } from './passwords.ts'
import { rateLimited } from './rate-limited.ts'
import { addressKey } from '../../address/address-key.ts'
import { RateMeter } from '../../rates/rate-meter.ts'
import type { ExactUses, Peers } from '../../peers/peers.ts'
import type { SharedCounts, Tally } from '../../rates/shared-counts.ts'

/** A request, with the client that sends it. */
export interface AccessRequest {
  readonly address: string
  readonly scheme: string
  readonly request: AcceptedRequest
}

/** The consequences for a request of having been let in by a password, now or before. */
export interface Login {
  /** Authorization was meant for the gateway; else it is the application's own. */
  readonly dropsAuthorization: boolean
  /** A cookie that the answer brings, as Set-Cookie has it. */
  readonly cookie: string | undefined
}

/** The counts of one target. */
interface Counts {
  readonly meter: RateMeter | undefined
  active: number
}

/** The share of other processes in who may come. */
export interface SharedAccess {
  readonly counts: SharedCounts
  /** Key of the cookies of those who have logged in by a password, 32 bytes. */
  readonly secret: Buffer
  /** Milliseconds, rising, the same in all processes. */
  readonly clock: () => number
  /** The most by which the clock of one process may be behind that of another, milliseconds. */
  readonly skewMs: number
  /** Messages between them beside counts. */
  readonly peers: Peers
  /** Numbers that are exact over all of them; undefined: files of this machine, which all of them have. */
  readonly exact: ExactUses | undefined
}

/** Decides which clients may come: addresses, rates, passwords and how many at once. Asked only where a target says something of these. */
export class AccessCheck {
  readonly #passwords: Passwords
  readonly #sessions: LoginSessions
  readonly #counts = new WeakMap<Treatment, Counts>()

  readonly #meter: RateMeter | undefined
  readonly #active: Tally | undefined
  /** The page before a first visit. */
  readonly interstitial: Interstitial

  /**
   * @param clock   milliseconds, rising
   * @param rate    requests of one address for all targets together
   * @param shared  what other processes count together with this one; undefined: it is alone
   */
  constructor(
    private readonly clock: () => number,
    private readonly rate?: Pick<RateLimit, 'perSecond' | 'burst'>,
    private readonly shared?: SharedAccess,
  ) {
    this.#passwords = new Passwords(clock, shared?.counts)
    this.#sessions = new LoginSessions(shared?.clock ?? clock, shared?.secret, shared?.skewMs)
    this.interstitial = new Interstitial(shared?.clock ?? clock, shared?.secret, shared?.skewMs)
    this.#active = shared?.counts.tally('requests of a target')
    this.#meter = rate === undefined ? undefined : this.#meterOf('rate of an address', rate)
  }

  #meterOf(name: string, rate: Pick<RateLimit, 'perSecond' | 'burst'>): RateMeter {
    return this.shared?.counts.meter(name, rate) ?? new RateMeter(rate, this.clock)
  }

  /** Counts a request of `address`, whatever it is for. @throws GatewayError RATE_LIMITED */
  count(address: string): void {
    const waitMs = this.#meter?.take(addressKey(address)) ?? 0
    if (waitMs > 0) throw rateLimited(`more than ${this.rate!.perSecond} requests a second of ${address} (--rate)`, waitMs)
  }

  /**
   * Lets a visitor in, or says why not.
   * @returns undefined where no password is asked for; a promise when one has to be verified first
   * @throws GatewayError ADDRESS_REFUSED, RATE_LIMITED, CREDENTIALS_REQUIRED or OVERLOADED, as does the promise
   */
  admit({ name }: Target, treatment: Treatment, visitor: AccessRequest): Promise<Login> | Login | undefined {
    const { deny, allow, rate, basicAuth } = treatment
    const { address, request } = visitor
    if (deny?.has(address) === true || allow?.has(address) === false)
      throw new GatewayError('ADDRESS_REFUSED', `${name} does not take requests from ${address}`)
    if (rate !== undefined) {
      const value = rate.header === undefined ? undefined : valueOf(request, rate.header)
      // Long values are cut: they are a key in memory, and clients choose them.
      const key = rate.isShared === true ? '' : value === undefined ? addressKey(address) : `= ${value.slice(0, 200)}`
      const waitMs = this.#countsOf(name, treatment).meter!.take(key)
      if (waitMs > 0) throw rateLimited(`more than ${rate.perSecond} requests a second for ${name}`, waitMs)
    }
    return basicAuth && this.#logIn(basicAuth, visitor)
  }

  #logIn(auth: BasicAuth, visitor: AccessRequest): Promise<Login> | Login {
    const authorization = valueOf(visitor.request, 'authorization')
    const address = addressKey(visitor.address)
    const session = auth.session ? this.#sessions.find(auth, visitor) : undefined
    const cookieFor = (user: string | undefined): string | undefined =>
      auth.session && user !== undefined && session?.isOld !== false ? this.#sessions.issue(auth, user, visitor.scheme) : undefined
    if (session === undefined) {
      const login = (): Login => ({ dropsAuthorization: !auth.forwards, cookie: cookieFor(userOf(authorization)) })
      const pending = this.#passwords.check(auth, authorization, address)
      return pending === undefined ? login() : pending.then(login)
    }
    const loginWith = (isOurs: boolean): Login => ({ dropsAuthorization: isOurs && !auth.forwards, cookie: cookieFor(session.user) })
    // A browser goes on sending the password that it was asked for; the application's own credentials are not ours to judge.
    const isOurs = this.#passwords.isOurs(auth, authorization, address)
    return typeof isOurs === 'boolean' ? loginWith(isOurs) : isOurs.then(loginWith)
  }

  /** Counts a request that goes on to the origin. @returns to be called once it is over @throws GatewayError OVERLOADED */
  enter({ name }: Target, treatment: Treatment): () => void {
    const counts = this.#countsOf(name, treatment)
    const { concurrency } = treatment
    const tally = concurrency === undefined ? undefined : this.#active
    if (concurrency !== undefined && counts.active + (tally?.others(name) ?? 0) >= concurrency)
      throw new GatewayError('OVERLOADED', `${concurrency} requests for ${name} are under way`)
    counts.active++
    tally?.add(name, 1)
    return () => {
      counts.active--
      tally?.add(name, -1)
    }
  }

  #countsOf(name: string, treatment: Treatment): Counts {
    const known = this.#counts.get(treatment)
    if (known !== undefined) return known
    const { rate } = treatment
    const counts: Counts = { meter: rate === undefined ? undefined : this.#meterOf(`rate of ${name}`, rate), active: 0 }
    this.#counts.set(treatment, counts)
    return counts
  }
}

/** The only value of a field, or all of them: two Authorization fields are not one that is good. */
function valueOf({ fields, names }: AcceptedRequest, wanted: string): string | undefined {
  let value: string | undefined
  for (let i = 0; i < names.length; i++)
    if (names[i] === wanted) value = value === undefined ? fields[2 * i + 1]! : `${value}, ${fields[2 * i + 1]!}`
  return value
}
