import { GatewayError, messageOf } from '../../errors.ts'
import { parseAuthorization } from '../../identity/token.ts'
import { isTunnelProof, TUNNEL_PROOF_LIFETIME_MS, verifyTunnelProof, type TunnelProof } from '../../identity/tunnel-proof.ts'
import type { Tunnel, Tunnels } from '../../route/tunnel.ts'
import { Passwords } from '../access/passwords.ts'
import { addressKey } from '../../address/address-key.ts'
import { RateMeter } from '../../rates/rate-meter.ts'
import { Recent } from '../../rates/recent.ts'

/** Wrong credentials of one address: ten, then one each six seconds. */
const FAILURES = { perSecond: 1 / 6, burst: 10 } as const
const MAX_REMEMBERED_PROOFS = 100_000

/** The tunnel that a client asks for, and the credentials that it sends. */
export interface TunnelRequest {
  /** HOST:PORT, canonical; undefined for what is none. */
  readonly name: string | undefined
  readonly authorization: string | undefined
  readonly address: string
}

/** Decides which client may open which tunnel. */
export class TunnelCredentials {
  readonly #passwords: Passwords
  readonly #failures: RateMeter
  readonly #proofs: Recent<true>

  /**
   * @param linkNames  as for links: names of this outer layer that a proof may be for; none: any
   * @param clock      milliseconds, rising
   * @param now        milliseconds since 1970
   */
  constructor(
    private readonly linkNames: readonly string[],
    clock: () => number,
    private readonly now: () => number,
  ) {
    this.#passwords = new Passwords(clock)
    this.#failures = new RateMeter(FAILURES, clock)
    this.#proofs = new Recent(MAX_REMEMBERED_PROOFS, TUNNEL_PROOF_LIFETIME_MS, clock)
  }

  /**
   * The tunnel that is asked for.
   * @throws GatewayError TUNNEL_UNAUTHORIZED, whether there is such a tunnel or not; UNKNOWN_TUNNEL or TUNNEL_FORBIDDEN to whoever may open
   *   another one; TUNNEL_ATTEMPTS after too many failures of an address
   */
  async check(tunnels: Tunnels, request: TunnelRequest): Promise<Tunnel> {
    const address = addressKey(request.address)
    if (this.#failures.wait(address) > 0) throw tooManyAttempts(request.address)
    const opens = await this.#judge(tunnels, request)
    const tunnel = request.name === undefined ? undefined : tunnels.get(request.name)
    if (tunnel === undefined) throw new GatewayError('UNKNOWN_TUNNEL', 'there is no such tunnel')
    if (!opens(tunnel)) throw new GatewayError('TUNNEL_FORBIDDEN', 'the credentials are those of another tunnel')
    if (tunnel.allow?.has(request.address) === false)
      throw new GatewayError('TUNNEL_FORBIDDEN', `the tunnel is not open to ${request.address}`)
    return tunnel
  }

  /** Finds out what the credentials open; they have to open something. */
  async #judge(tunnels: Tunnels, { name, authorization, address }: TunnelRequest): Promise<(tunnel: Tunnel) => boolean> {
    const credentials = parseAuthorization(authorization)
    const all = [...tunnels.values()]
    try {
      if (credentials === undefined) throw unauthorized('no credentials')
      if (credentials.kind === 'bearer' && isTunnelProof(credentials.token)) return this.#judgeProof(all, credentials.token, name ?? '')
      const token = credentials.kind === 'bearer' ? credentials.token : credentials.password
      const byToken = all.filter(tunnel => tunnel.tokens.has(token))
      if (byToken.length > 0) return tunnel => byToken.includes(tunnel)
      if (credentials.kind === 'bearer') throw unauthorized('the token is not known')
    } catch (error) {
      // Nothing of this takes any time, so that nobody can have many attempts judged at once.
      this.#failures.take(addressKey(address))
      throw error
    }
    return this.#judgeUser(tunnels, credentials.user, { name, authorization, address })
  }

  #judgeProof(all: readonly Tunnel[], token: string, name: string): (tunnel: Tunnel) => boolean {
    const { thumbprint, jti } = this.#verify(token, name)
    if (!all.some(({ keys }) => keys.has(thumbprint)))
      throw unauthorized(`key ${thumbprint} is not known; add the thumbprint to publicKeys of the tunnel`)
    const use = `${thumbprint} ${jti}`
    if (this.#proofs.get(use) === true) throw unauthorized('the proof was used before')
    this.#proofs.set(use, true)
    return tunnel => tunnel.keys.has(thumbprint)
  }

  #verify(token: string, name: string): TunnelProof {
    try {
      return verifyTunnelProof(token, { tunnel: name, linkNames: this.linkNames, nowSeconds: this.now() / 1_000 })
    } catch (cause) {
      throw unauthorized(messageOf(cause), cause)
    }
  }

  /**
   * Passwords are slow to verify, and their failures are counted while that goes on. They are tried once: at the tunnel that is asked for, else at
   * the first that has the user.
   */
  async #judgeUser(tunnels: Tunnels, user: string, request: TunnelRequest): Promise<(tunnel: Tunnel) => boolean> {
    const { name, authorization, address } = request
    const asked = name === undefined ? undefined : tunnels.get(name)
    const candidates = [asked, ...tunnels.values()].filter(tunnel => tunnel?.users?.users.has(user))
    const [first] = candidates
    // Somebody who is nobody takes as long.
    const judged = first ?? [...tunnels.values()].find(({ users }) => users !== undefined)
    if (judged?.users === undefined) throw unauthorized('the token is not known')
    try {
      await this.#passwords.check(judged.users, authorization, addressKey(address))
    } catch (cause) {
      const isLimit = cause instanceof GatewayError && cause.code === 'RATE_LIMITED'
      if (isLimit) throw tooManyAttempts(address, cause)
      if (cause instanceof GatewayError && cause.code === 'OVERLOADED') throw cause
      throw unauthorized('an unknown user or a wrong password', cause)
    }
    const { users } = judged
    return tunnel => tunnel.users === users
  }
}

/** RFC 9110 §11.6.1 wants a challenge with each 401. */
const unauthorized = (message: string, cause?: unknown): GatewayError =>
  new GatewayError('TUNNEL_UNAUTHORIZED', message, { cause, fields: ['WWW-Authenticate', 'Bearer realm="tunnels"'] })

/** As long as its text says. */
const tooManyAttempts = (address: string, cause?: unknown): GatewayError =>
  new GatewayError('TUNNEL_ATTEMPTS', `too many wrong credentials from ${address}`, { cause, fields: ['Retry-After', '60'] })
