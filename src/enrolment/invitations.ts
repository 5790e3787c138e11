/** Invitations of inner layers: a secret counts once, for a while, and turns into the key of whoever has it. */
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { addressKey } from '../address/address-key.ts'
import { GatewayError, messageOf } from '../errors.ts'
import { isIdentifier } from '../identity/identifier.ts'
import { algorithmsOf, thumbprintOf } from '../identity/key.ts'
import { parsePublicKey } from '../identity/read-public-key.ts'
import { TokenBucket } from '../rates/token-bucket.ts'

/** The validity of an invitation. */
export const INVITATION_MS = 600_000
const SECRET_BYTES = 24
/** RFC 5280 appendix A.1, ub-common-name. */
const MAX_NAME = 64
/** Attempts with wrong secrets, of one address and of all: in a minute, and at once. Nobody guesses 24 bytes; this keeps the log short. */
const ATTEMPTS = 10
const ATTEMPTS_OF_ALL = 100
const MINUTE_S = 60
/** Addresses whose attempts are counted at a time. */
const MAX_ADDRESSES = 1_000

/** An inner layer that has joined. */
export interface Joined {
  readonly identifier: string
  /** Thumbprint of its key. */
  readonly kid: string
  /** Its certificate in PEM, and nothing else. */
  readonly pem: string
}

/** Options of the invitations. */
export interface InvitationsOptions {
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Keeps the key, and resolves when it is in force. */
  readonly accept: (joined: Joined) => Promise<void>
  /** An invitation ended without anybody having come. */
  readonly onExpired: (identifier: string) => void
}

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url')

const invalid = (message: string): GatewayError => new GatewayError('INVALID', `the certificate of the inner layer: ${message}`)

/** @throws GatewayError INVALID */
function readCertificate(text: string, identifier: string): { readonly kid: string; readonly pem: string } {
  try {
    const { key, commonName } = parsePublicKey(text, 'it')
    algorithmsOf(key, 'it')
    if (commonName !== identifier) throw invalid(`not for ${JSON.stringify(identifier)}`)
    // Written anew: what else the text has is nobody's.
    return { kid: thumbprintOf(key), pem: new X509Certificate(text).toString() }
  } catch (error) {
    throw error instanceof GatewayError && error.code === 'INVALID' ? error : invalid(messageOf(error))
  }
}

/** All invitations of one process. */
export class Invitations {
  /** By the hash of the secret: a look-up by the secret itself would take longer the more of it is right. */
  readonly #open = new Map<string, { readonly identifier: string; readonly endMs: number; readonly timer: NodeJS.Timeout }>()
  readonly #attempts = new Map<string, TokenBucket>()
  readonly #attemptsOfAll: TokenBucket

  constructor(private readonly options: InvitationsOptions) {
    this.#attemptsOfAll = new TokenBucket(ATTEMPTS_OF_ALL / MINUTE_S, ATTEMPTS_OF_ALL, options.clock)
  }

  /** Makes a secret for an inner layer of this name. @throws GatewayError USAGE */
  invite(identifier: string): string {
    if (!isIdentifier(identifier) || identifier.length > MAX_NAME)
      throw new GatewayError(
        'USAGE',
        `cannot invite ${JSON.stringify(identifier)}: expected a name of 1 to ${MAX_NAME} printable characters`,
      )
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    const hash = hashOf(secret)
    const expire = (): void => {
      this.#open.delete(hash)
      this.options.onExpired(identifier)
    }
    const timer = setTimeout(expire, INVITATION_MS).unref()
    this.#open.set(hash, { identifier, endMs: this.options.clock() + INVITATION_MS, timer })
    return secret
  }

  /**
   * Takes the certificate of whoever has a secret.
   * @param address  of the inner layer, whose attempts are counted
   * @throws GatewayError INVITATION_INVALID, RATE_LIMITED; INVALID for a certificate that is none for this name, and the secret stays good
   */
  async join(secret: string, pem: string, address: string): Promise<Joined> {
    const hash = hashOf(secret)
    const invitation = this.#open.get(hash)
    if (invitation === undefined || invitation.endMs <= this.options.clock()) {
      if (!this.#mayTry(address)) throw new GatewayError('RATE_LIMITED', `too many attempts of ${address} to join`)
      throw new GatewayError('INVITATION_INVALID', `a secret of ${address} that is no invitation, or not any more`)
    }
    const { identifier, timer } = invitation
    const joined = { identifier, ...readCertificate(pem, identifier) }
    // Before anything is awaited: of two that come at once one is too late.
    this.#open.delete(hash)
    try {
      await this.options.accept(joined)
    } catch (error) {
      this.#open.set(hash, invitation)
      throw error
    }
    clearTimeout(timer)
    return joined
  }

  /** Nothing is open any more. */
  close(): void {
    for (const { timer } of this.#open.values()) clearTimeout(timer)
    this.#open.clear()
  }

  #mayTry(address: string): boolean {
    const key = addressKey(address)
    let bucket = this.#attempts.get(key)
    if (bucket === undefined) {
      const [oldest] = this.#attempts.size >= MAX_ADDRESSES ? this.#attempts.keys() : []
      if (oldest !== undefined) this.#attempts.delete(oldest)
      bucket = new TokenBucket(ATTEMPTS / MINUTE_S, ATTEMPTS, this.options.clock)
      this.#attempts.set(key, bucket)
    }
    return bucket.take() && this.#attemptsOfAll.take()
  }
}
