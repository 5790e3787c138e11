import { addressKey } from '../../address/address-key.ts'
import { RateMeter } from '../../rates/rate-meter.ts'
import { Recent } from '../../rates/recent.ts'
import { rateLimited } from '../input/service-error.ts'

/** Ten at once, then one each six seconds. */
const OF_ADDRESS = { perSecond: 1 / 6, burst: 10 }
/** Five at once, then one each half minute, for one account from one address: nobody can lock out somebody who is elsewhere. */
const OF_ACCOUNT = { perSecond: 1 / 30, burst: 5 }
/**
 * A hundred at once, then one each ten seconds, for one account from all addresses at which it has not logged in lately: so many machines
 * guess no faster than that, and its owner gets in where they usually are.
 */
const OF_ACCOUNT_ELSEWHERE = { perSecond: 1 / 10, burst: 100 }
/** An address at which an account has logged in is known for a week, at most two. */
const KNOWN_MS = 7 * 86_400_000
const MAX_KNOWN = 100_000
/** Passwords of sockets that one account has hashed: each costs as much as a login. */
const OF_HASHES = { perSecond: 1 / 6, burst: 20 }
/** Letters to one person, whoever asks for them. */
const OF_RECIPIENT = { perSecond: 3 / 3_600, burst: 3 }

/** Counts of several processes of one service together; each decides by itself, and hears of the others a moment later. */
export interface SharedAttempts {
  /** The meter of this name and rate, from which all of them take. */
  meter(name: string, rate: { readonly perSecond: number; readonly burst: number }): RateMeter
  /** Tells the others of an address and an account that has logged in there. */
  tellKnown(place: string): void
  /** Has `listener` hear what others tell. */
  hearKnown(listener: (place: string) => void): void
}

/** Counts attempts at what a stranger may try, by address and by account and address. */
export class Attempts {
  readonly #addresses: RateMeter
  readonly #accounts: RateMeter
  readonly #elsewhere: RateMeter
  readonly #known: Recent<true>
  readonly #hashes: RateMeter
  readonly #recipients: RateMeter

  /** @param now  milliseconds @param shared  undefined: this process is alone */
  constructor(
    now: () => number,
    private readonly shared?: SharedAttempts,
  ) {
    const meter = (name: string, rate: typeof OF_ADDRESS): RateMeter => shared?.meter(name, rate) ?? new RateMeter(rate, now)
    this.#addresses = meter('attempts of addresses', OF_ADDRESS)
    this.#accounts = meter('attempts at accounts of an address', OF_ACCOUNT)
    this.#elsewhere = meter('attempts at accounts', OF_ACCOUNT_ELSEWHERE)
    this.#known = new Recent(MAX_KNOWN, KNOWN_MS, now)
    this.#hashes = meter('passwords of sockets', OF_HASHES)
    this.#recipients = meter('letters to people', OF_RECIPIENT)
    shared?.hearKnown(place => this.#known.set(place, true))
  }

  /**
   * Counts an attempt. @param account  key of the account that is meant
   * @returns a function that takes the attempt back, as it has succeeded
   * @throws ServiceError RATE_LIMITED
   */
  take(address: string, account?: string): () => void {
    const from = addressKey(address)
    const both = account === undefined ? undefined : `${from} ${account}`
    // Only what is asked for at an address that is not known counts for the account as a whole.
    const elsewhere = both === undefined || this.#known.get(both) === true ? undefined : account
    const waitMs = Math.max(
      this.#addresses.wait(from),
      both === undefined ? 0 : this.#accounts.wait(both),
      elsewhere === undefined ? 0 : this.#elsewhere.wait(elsewhere),
    )
    if (waitMs > 0) throw rateLimited(waitMs)
    this.#addresses.take(from)
    if (both !== undefined) this.#accounts.take(both)
    if (elsewhere !== undefined) this.#elsewhere.take(elsewhere)
    return () => {
      this.#addresses.giveBack(from)
      if (both === undefined) return
      this.#accounts.giveBack(both)
      // Again, too: it is remembered from the last time on.
      this.#known.set(both, true)
      this.shared?.tellKnown(both)
      if (elsewhere !== undefined) this.#elsewhere.giveBack(elsewhere)
    }
  }

  /** Counts a password of a socket that an account wants hashed. @throws ServiceError RATE_LIMITED */
  takeHash(accountId: string): void {
    const waitMs = this.#hashes.take(accountId)
    if (waitMs > 0) throw rateLimited(waitMs, 'Too many passwords')
  }

  /** May another letter go to this address? */
  mayWrite(to: string): boolean {
    return this.#recipients.take(to) === 0
  }
}
