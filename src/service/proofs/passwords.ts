/** Passwords of accounts: argon2id where @node-rs/argon2 is installed, else scrypt; both are verified, whichever made the hash. */
import { randomBytes } from 'node:crypto'
import { hashPassword, parsePasswordHash, verifyPassword } from '../../identity/password-hash.ts'
import { ServiceError } from '../input/service-error.ts'

/** The part of @node-rs/argon2 that is used. */
export interface Argon2 {
  hash(password: string, options: { memoryCost: number; timeCost: number; parallelism: number }): Promise<string>
  verify(hash: string, password: string): Promise<boolean>
}

/** 19 MiB, twice: what OWASP recommends. argon2id is the default of the package. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

/** Hashes for logins at the same time: each takes 19 or 32 MiB and a thread of the four that files and names need as well. */
const AT_ONCE = 2
/** Calls that wait for their turn; a flood is refused before it costs memory. */
const WAITING = 64

/** Hashes and verifies passwords, few at a time. */
export class Passwords {
  readonly #logins: HashTurns
  /** Of their own: whoever changes passwords of sockets again and again keeps nobody from logging in. */
  readonly #sockets = new HashTurns(1, 'passwords of sockets are changed')

  private constructor(
    private readonly argon2: Argon2 | undefined,
    /** Verified in the place of the hash of an account that is not there: the same work, so that time tells nothing. */
    private readonly dummy: string,
    atOnce: number,
  ) {
    this.#logins = new HashTurns(atOnce, 'people log in')
  }

  /**
   * @param argon2  the package; undefined: scrypt is used
   * @param cores   of the machine: half of them are for others, the data plane first
   */
  static async create(argon2: Argon2 | undefined, cores = Infinity): Promise<Passwords> {
    const atOnce = Math.max(1, Math.min(AT_ONCE, Math.floor(cores / 2)))
    return new Passwords(argon2, await hashWith(argon2, randomBytes(24).toString('base64url')), atOnce)
  }

  async hash(password: string): Promise<string> {
    return this.#logins.take(() => hashWith(this.argon2, password))
  }

  /** Hashes the password of a socket, which the edge verifies: with scrypt, whatever is installed here. */
  async hashForEdge(password: string): Promise<string> {
    return this.#sockets.take(() => hashPassword(password))
  }

  /**
   * Is it the password of the account? Without an account the same work is done, and the answer is no.
   * @throws ServiceError RATE_LIMITED when too many wait
   */
  async verify(password: string, hash: string | undefined): Promise<boolean> {
    const isRight = await this.#logins.take(() => this.#verify(password, hash ?? this.dummy))
    return isRight && hash !== undefined
  }

  /** Was it made in another way than new ones are? */
  isOutdated(hash: string): boolean {
    const prefix = (text: string): string => text.slice(0, text.lastIndexOf('$', text.lastIndexOf('$') - 1))
    return prefix(hash) !== prefix(this.dummy)
  }

  async #verify(password: string, hash: string): Promise<boolean> {
    if (!hash.startsWith('$argon2')) return verifyPassword(password, parsePasswordHash(hash))
    // A database that was filled where the package is: without it nobody of there can log in, and the operator has to know.
    if (this.argon2 === undefined)
      throw new ServiceError('INTERNAL', 'Passwords of this service need the package @node-rs/argon2; its operator has to install it.')
    return this.argon2.verify(hash, password.normalize('NFC'))
  }
}

/** A few hashes at a time; others wait, first come, first served. */
class HashTurns {
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(
    private readonly atOnce: number,
    /** Completes "Too many …". */
    private readonly what: string,
  ) {}

  /** @throws ServiceError RATE_LIMITED when too many wait */
  async take<T>(action: () => Promise<T>): Promise<T> {
    if (this.#running >= this.atOnce) {
      if (this.#waiting.length >= WAITING)
        throw new ServiceError('RATE_LIMITED', `Too many ${this.what} at the moment; try again in 5 s.`, { fields: ['Retry-After', '5'] })
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    } else this.#running++
    try {
      return await action()
    } finally {
      // The turn goes from hand to hand, so that nobody who comes now can take it from who waits.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}

const hashWith = (argon2: Argon2 | undefined, password: string): Promise<string> =>
  argon2 === undefined ? hashPassword(password) : argon2.hash(password.normalize('NFC'), COST)

/** Loads @node-rs/argon2 where it is installed. */
export async function loadArgon2(): Promise<Argon2 | undefined> {
  try {
    return await import('@node-rs/argon2')
  } catch {
    return undefined
  }
}
