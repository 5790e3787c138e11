import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { cookiesOf, LOGIN_COOKIE } from '../../http/cookies.ts'
import type { AcceptedRequest } from '../../http/admission.ts'
import type { BasicAuth } from '../../route/target.ts'

/** So long after the last renewal a login is over. */
const LIFETIME_MS = 12 * 3_600_000
/** Cookies of the same name that are looked at in one request: each costs a hash. */
const MAX_TRIED = 4
/** One that is older gets a new cookie with its next answer, so that whoever works stays logged in. */
const RENEWED_MS = 3_600_000

/** A user who has logged in before. */
export interface LoginSession {
  readonly user: string
  /** Should the answer bring a new cookie? */
  readonly isOld: boolean
}

/** The parts of a request on which a session depends. */
export interface SessionRequest {
  readonly request: AcceptedRequest
  readonly scheme: string
}

/**
 * Logins that are remembered by the client, in a signed cookie of this host alone. Nothing is kept here: what the cookie says is the name, the
 * time by the clock of this process, and an HMAC over both and the hash of the password. So another password, a user who is gone from the
 * file and a restart each end a session; and another outer layer asks for the password again, unless it is one with this one: a worker, or a node with the same key.
 */
export class LoginSessions {
  readonly #names = new WeakMap<BasicAuth, string>()

  /** @param clock  milliseconds, rising @param secret  key of the HMAC @param skewMs  the clock that has issued a cookie may be ahead by this */
  constructor(
    private readonly clock: () => number,
    private readonly secret: Buffer = randomBytes(32),
    private readonly skewMs = 1,
  ) {}

  /** The session that a cookie of the request proves, an old one may stand before it; undefined when there is none. */
  find(auth: BasicAuth, { request, scheme }: SessionRequest): LoginSession | undefined {
    for (const value of cookiesOf(request, this.#nameOf(auth, scheme), MAX_TRIED)) {
      const session = this.#read(auth, value)
      if (session !== undefined) return session
    }
    return undefined
  }

  #read(auth: BasicAuth, value: string): LoginSession | undefined {
    const [, encoded = '', issued = '', proof = ''] = /^([\w-]{1,1400})\.(\d{1,16})\.([\w-]{43})$/.exec(value) ?? []
    if (proof === '') return undefined
    const user = Buffer.from(encoded, 'base64url').toString('utf8')
    const ageMs = this.clock() - Number(issued)
    const wanted = this.#proofOf(auth, user, `${encoded}.${issued}`)
    if (
      wanted === undefined ||
      !timingSafeEqual(Buffer.from(proof), Buffer.from(wanted)) ||
      !(ageMs >= -this.skewMs && ageMs < LIFETIME_MS)
    )
      return undefined
    return { user, isOld: ageMs > RENEWED_MS }
  }

  /** The cookie for a user who has just been let in, as Set-Cookie has it; undefined for one who is not in the file. */
  issue(auth: BasicAuth, user: string, scheme: string): string | undefined {
    const payload = `${Buffer.from(user).toString('base64url')}.${String(Math.floor(this.clock()))}`
    const proof = this.#proofOf(auth, user, payload)
    if (proof === undefined) return undefined
    const value = `${payload}.${proof}`
    return `${this.#nameOf(auth, scheme)}=${value}; Path=/; HttpOnly; SameSite=Lax${scheme === 'https' ? '; Secure' : ''}`
  }

  #proofOf(auth: BasicAuth, user: string, payload: string): string | undefined {
    const [, hash] = [...auth.users].find(([name]) => name.normalize('NFC') === user) ?? []
    if (hash === undefined) return undefined
    return createHmac('sha256', this.secret)
      .update(JSON.stringify([auth.realm, hash, payload]))
      .digest('base64url')
  }

  /** One for each realm: routes of a host may have other users. `__Host-` keeps neighbouring hosts from setting it. */
  #nameOf(auth: BasicAuth, scheme: string): string {
    let name = this.#names.get(auth)
    if (name === undefined) {
      name = LOGIN_COOKIE + createHash('sha256').update(auth.realm).digest('hex').slice(0, 8)
      this.#names.set(auth, name)
    }
    return scheme === 'https' ? `__Host-${name}` : name
  }
}
