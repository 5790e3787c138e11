import type { AuthContext, PublicKeyAuthContext } from 'ssh2'
import { GatewayError, messageOf } from '../errors.ts'
import type { OfferedKey, SshAccess } from '../service/contract.ts'
import type { Actor } from '../service/model.ts'
import { printable } from './greeting.ts'
import { checkCertificate, isCertificate, isSignedBy, parseCertificate } from './keys/certificate.ts'
import { parsePublicKey, verifyBare } from './keys/public-key.ts'

/** A person or program that has proven a key. */
export interface Proven {
  readonly user: string
  /** Undefined: the key is known and may do nothing; `words` say why. */
  readonly actor: Actor | undefined
  readonly words: string
}

/** The part of the door that logins use. */
export interface AuthenticationContext {
  readonly access: Pick<SshAccess, 'identify' | 'authorities'>
  /** Seconds since 1970. */
  readonly now: () => number
  /** Keys and other attempts of one connection. */
  readonly maxAttempts: number
}

/** Events of one login. */
export interface AuthenticationEvents {
  onProven(proven: Proven): void
  /** It is over without a login: the connection has to end. */
  onGivenUp(reason: string): void
  /** Somebody has to do something else than offer this: words for a person. */
  onWords(words: string): void
  /** A key was not taken, for the log. */
  onRefused(user: string, reason: string): void
}

const METHODS: 'publickey'[] = ['publickey']
const MAX_USER_LENGTH = 255
/** Keys of one connection that are explained. */
const MAX_WORDS = 3

/** The login of one connection: by a key of an account, or by a certificate of this service for one. */
export class Authentication {
  #attempts = 0
  #isOver = false
  #words = 0

  constructor(
    private readonly context: AuthenticationContext,
    private readonly address: string,
    private readonly events: AuthenticationEvents,
  ) {}

  /** Judges one attempt of the client. */
  take(attempt: AuthContext): void {
    if (this.#isOver) return
    if (++this.#attempts > this.context.maxAttempts) {
      this.#isOver = true
      return this.events.onGivenUp(`more than ${this.context.maxAttempts} attempts to log in`)
    }
    if (attempt.method !== 'publickey') return attempt.reject(METHODS)
    this.#judge(attempt).then(
      isTaken => {
        if (!isTaken && !this.#isOver) attempt.reject(METHODS)
      },
      (thrown: unknown) => {
        this.events.onRefused(shown(attempt.username), messageOf(thrown))
        if (this.#isOver) return
        this.#explain(thrown)
        attempt.reject(METHODS)
      },
    )
  }

  /** Keys that nobody has are refused without a word, as everywhere; those that cannot be used by anybody with one. */
  #explain(thrown: unknown): void {
    if (!(thrown instanceof GatewayError) || this.#words >= MAX_WORDS) return
    const words = wordsOf(thrown)
    if (words === undefined) return
    this.#words++
    this.events.onWords(words)
  }

  async #judge(attempt: PublicKeyAuthContext): Promise<boolean> {
    const { username: user } = attempt
    if (user.length > MAX_USER_LENGTH) throw new GatewayError('FORBIDDEN', 'a user name that is too long')
    const { offered, isProven } = await this.#read(attempt)
    // A signature is wrong or right without anybody being asked.
    if (attempt.signature !== undefined && !isProven()) throw new GatewayError('FORBIDDEN', 'a signature that is not of the key')
    let actor: Actor | undefined
    let words = ''
    try {
      actor = await this.context.access.identify(user, offered, this.address)
      if (actor === undefined) return false
    } catch (thrown) {
      // The key is known, and its owner has to be told something: that is possible only within a session.
      if (!(thrown instanceof GatewayError) || thrown.code !== 'FORBIDDEN') throw thrown
      words = thrown.message
    }
    if (this.#isOver) return true
    if (attempt.signature === undefined) {
      attempt.accept() // the query form: worth a signature
      return true
    }
    this.#isOver = true
    this.events.onProven({ user, actor, words })
    attempt.accept()
    return true
  }

  /** The key, and a check of the signature, if there is one. @throws GatewayError INVALID, FORBIDDEN */
  async #read({ username: user, key, signature, blob, hashAlgo }: PublicKeyAuthContext): Promise<{
    readonly offered: OfferedKey
    readonly isProven: () => boolean
  }> {
    if (!isCertificate(key.algo)) {
      const parsed = parsePublicKey(key.data)
      const isProven = (): boolean => parsed.algorithm === key.algo && verifyBare(parsed, blob!, { bytes: signature!, hash: hashAlgo })
      return { offered: { algorithm: parsed.algorithm, blob: key.data }, isProven }
    }
    const certificate = parseCertificate(key.data)
    const authorities = await this.context.access.authorities()
    checkCertificate(certificate, { user, authorities, nowSeconds: this.context.now() })
    const isProven = (): boolean => isSignedBy(certificate, key.algo, blob!, signature!)
    return { offered: { algorithm: certificate.algorithm, blob: certificate.blob, certificateOf: user }, isProven }
  }
}

/** Returns why a key or certificate cannot be used, and what to do; undefined where nobody can do anything about it. */
function wordsOf({ code, message }: GatewayError): string | undefined {
  if (code === 'INVALID' || code === 'FORBIDDEN') return `This key was not taken: ${printable(message)}.`
  if (code === 'STORE_UNAVAILABLE') return 'Nobody can log in at the moment; try again in a minute.'
  return undefined
}

/** A name of a stranger, for a log. */
const shown = (user: string): string => JSON.stringify(user.slice(0, 64))
