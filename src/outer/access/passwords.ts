import { createHmac, randomBytes } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { parsePasswordHash, verifyPassword, type PasswordHash } from '../../identity/password-hash.ts'
import type { BasicAuth } from '../../route/target.ts'
import { RateMeter } from '../../rates/rate-meter.ts'
import { Recent } from '../../rates/recent.ts'
import type { SharedCounts } from '../../rates/shared-counts.ts'
import { rateLimited } from './rate-limited.ts'

/** Hashes at a time: the rest of the thread pool of Node (four) is for files and names. */
const MAX_AT_ONCE = 2
const MAX_WAITING = 64
/** The time for which verified credentials are good without another look at the hash, at least; twice as long at most. */
const REMEMBERED_MS = 300_000
const MAX_REMEMBERED = 10_000
/** Wrong passwords of one address: ten, then one each six seconds. */
const FAILURES = { perSecond: 1 / 6, burst: 10 } as const

/** The hashes of one target, parsed once. */
interface Users {
  /** Names and hashes, as one text: the routes of a target share what is known, and another hash makes it worthless. */
  readonly id: string
  readonly hashes: ReadonlyMap<string, PasswordHash>
  /** Stands in for unknown names, which must take as long. */
  readonly dummy: PasswordHash
}

/** Names and passwords of clients (RFC 7617), verified without the same hash twice. */
export class Passwords {
  readonly #secret = randomBytes(32)
  readonly #users = new WeakMap<BasicAuth, Users>()
  readonly #verified: Recent<true>
  /** Credentials that clients with a session have sent, for somebody else. */
  readonly #foreign: Recent<true>
  readonly #failures: RateMeter
  /** A page asks for fifty things at once with the same password. */
  readonly #underWay = new Map<string, Promise<boolean>>()
  readonly #waiting: (() => void)[] = []
  #active = 0

  /**
   * @param clock   milliseconds, rising
   * @param shared  counts of other processes; undefined: this one is alone
   * @param name    of what is counted
   */
  constructor(clock: () => number, shared?: Pick<SharedCounts, 'meter'>, name = 'wrong passwords') {
    this.#verified = new Recent(MAX_REMEMBERED, REMEMBERED_MS, clock)
    this.#foreign = new Recent(MAX_REMEMBERED, REMEMBERED_MS, clock)
    this.#failures = shared?.meter(name, FAILURES) ?? new RateMeter(FAILURES, clock)
  }

  /**
   * @param authorization  value of the Authorization field
   * @param address        key of the client's address, whose failures are counted
   * @returns undefined when the credentials are good, a promise when that has to be found out
   * @throws GatewayError CREDENTIALS_REQUIRED with the challenge, RATE_LIMITED or OVERLOADED, as does the promise
   */
  check(auth: BasicAuth, authorization: string | undefined, address: string): Promise<void> | undefined {
    const users = this.#usersOf(auth)
    const encoded = encodedOf(authorization)
    if (encoded === undefined) throw credentialsRequired(auth, 'no credentials')
    const digest = this.#digestOf(users, encoded)
    if (this.#verified.get(digest) === true) return undefined
    const known = this.#underWay.get(digest)
    if (known === undefined) {
      // Taken before it is known to be wrong: else a hundred guesses at once would all be the first.
      const waitMs = this.#failures.take(address)
      if (waitMs > 0) throw rateLimited('too many wrong passwords from this address', waitMs)
    }
    return (known ?? this.#begin(digest, address, () => this.#verify(users, encoded))).then(isRight => {
      if (!isRight) throw credentialsRequired(auth, 'an unknown name or a wrong password')
    })
  }

  /**
   * Are these credentials for the gateway, rather than for the application behind it? Asked of clients that have been let in before.
   * @returns a promise when a password has to be verified for that; credentials for a name of ours with another password are the application's
   * @throws GatewayError RATE_LIMITED or OVERLOADED, as does the promise
   */
  isOurs(auth: BasicAuth, authorization: string | undefined, address: string): boolean | Promise<boolean> {
    const user = userOf(authorization)
    const users = this.#usersOf(auth)
    if (user === undefined || !users.hashes.has(user)) return false
    const digest = this.#digestOf(users, encodedOf(authorization)!)
    if (this.#foreign.get(digest) === true) return false
    const pending = this.check(auth, authorization, address)
    if (pending === undefined) return true
    return pending.then(
      () => true,
      (thrown: unknown) => {
        if (!(thrown instanceof GatewayError && thrown.code === 'CREDENTIALS_REQUIRED')) throw thrown
        this.#foreign.set(digest, true)
        return false
      },
    )
  }

  #digestOf(users: Users, encoded: string): string {
    return createHmac('sha256', this.#secret).update(`${users.id} ${encoded}`).digest('base64')
  }

  #usersOf(auth: BasicAuth): Users {
    const known = this.#users.get(auth)
    if (known !== undefined) return known
    const hashes = new Map([...auth.users].map(([name, hash]) => [name.normalize('NFC'), parsePasswordHash(hash)]))
    const [first] = hashes.values()
    const dummy = { ...first!, salt: randomBytes(first!.salt.length), hash: randomBytes(first!.hash.length) }
    const users: Users = { id: JSON.stringify([...auth.users]), hashes, dummy }
    this.#users.set(auth, users)
    return users
  }

  #begin(digest: string, address: string, verify: () => Promise<boolean>): Promise<boolean> {
    const verdict = this.#inTurn(verify)
      .then(isRight => {
        if (isRight) {
          this.#verified.set(digest, true)
          this.#failures.giveBack(address)
        }
        return isRight
      })
      .finally(() => this.#underWay.delete(digest))
    this.#underWay.set(digest, verdict)
    return verdict
  }

  async #inTurn(verify: () => Promise<boolean>): Promise<boolean> {
    if (this.#active >= MAX_AT_ONCE) {
      if (this.#waiting.length >= MAX_WAITING) throw new GatewayError('OVERLOADED', 'too many passwords wait to be verified')
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    } else this.#active++
    try {
      return await verify()
    } finally {
      // The place goes to the next one, or is free.
      const next = this.#waiting.shift()
      if (next === undefined) this.#active--
      else next()
    }
  }

  async #verify({ hashes, dummy }: Users, encoded: string): Promise<boolean> {
    const { user, password } = credentialsIn(encoded)
    const hash = user === undefined ? undefined : hashes.get(user)
    const isRight = await verifyPassword(password, hash ?? dummy)
    return isRight && hash !== undefined
  }
}

/** RFC 9110 §11.6.1 wants a challenge with each 401; RFC 7617 has its parameters. */
const credentialsRequired = ({ realm }: BasicAuth, message: string): GatewayError =>
  new GatewayError('CREDENTIALS_REQUIRED', message, {
    fields: ['WWW-Authenticate', `Basic realm="${realm.replace(/["\\]/g, '')}", charset="UTF-8"`],
  })

const encodedOf = (authorization: string | undefined): string | undefined =>
  authorization === undefined ? undefined : /^basic +([A-Za-z0-9+/_=-]{1,2000})\s*$/i.exec(authorization)?.[1]

function credentialsIn(encoded: string): { readonly user: string | undefined; readonly password: string } {
  const credentials = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = credentials.indexOf(':') // RFC 7617 §2: the first one; a password may have more
  return { user: colon < 0 ? undefined : credentials.slice(0, colon).normalize('NFC'), password: credentials.slice(colon + 1) }
}

/** The name in a value of Authorization, whatever the password; undefined when it has none in the form of RFC 7617. */
export const userOf = (authorization: string | undefined): string | undefined => {
  const encoded = encodedOf(authorization)
  return encoded === undefined ? undefined : credentialsIn(encoded).user
}
