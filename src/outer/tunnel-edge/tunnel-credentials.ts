import { ERRORS, GatewayError, messageOf, type ErrorCode } from '../../errors.ts'
import { parseAuthorization } from '../../identity/token.ts'
import { isTunnelProof, TUNNEL_PROOF_LIFETIME_MS, verifyTunnelProof, type TunnelProof } from '../../identity/tunnel-proof.ts'
import type { TargetTable } from '../../route/table.ts'
import type { Tunnel, Tunnels } from '../../route/tunnel.ts'
import type { Peer } from '../../http/client.ts'
import { visitorName } from '../../route/access.ts'
import type { ConnectionAdmittance, ConnectionCheck, ConnectionDecision, ConnectionRefusal } from '../access/visitor-check.ts'
import { Passwords } from '../access/passwords.ts'
import { addressKey } from '../../address/address-key.ts'
import { RateMeter } from '../../rates/rate-meter.ts'
import { Recent } from '../../rates/recent.ts'
import type { SharedCounts } from '../../rates/shared-counts.ts'

/** Wrong credentials of one address: ten, then one each six seconds. */
const FAILURES = { perSecond: 1 / 6, burst: 10 } as const
const MAX_REMEMBERED_PROOFS = 100_000

/** The tunnel that a client asks for, and the credentials that it sends. */
export interface TunnelRequest {
  /** HOST:PORT, canonical; undefined for what is none. */
  readonly name: string | undefined
  readonly authorization: string | undefined
  readonly address: string
  /** Of the request, names and values in turn. */
  readonly fields: readonly string[]
  readonly peer: Peer
}

/** A tunnel that somebody may open, and who it is where they have proven that. */
export interface OpenedTunnel {
  readonly tunnel: Tunnel
  readonly admittance: ConnectionAdmittance | undefined
}

/** Decides which client may open which tunnel. */
export class TunnelCredentials {
  readonly #passwords: Passwords
  readonly #failures: RateMeter
  readonly #proofs: Recent<true>

  /**
   * @param linkNames  as for links: names of this outer layer that a proof may be for; none: any
   * @param visitors   undefined: nobody proves here who they are
   * @param clock      milliseconds, rising
   * @param now        milliseconds since 1970
   * @param shared     counts of other processes; undefined: this one is alone
   */
  constructor(
    private readonly linkNames: readonly string[],
    private readonly visitors: ConnectionCheck | undefined,
    clock: () => number,
    private readonly now: () => number,
    shared?: Pick<SharedCounts, 'meter'>,
  ) {
    this.#passwords = new Passwords(clock, shared, 'wrong passwords of tunnels')
    this.#failures = shared?.meter('wrong credentials of tunnels', FAILURES) ?? new RateMeter(FAILURES, clock)
    this.#proofs = new Recent(MAX_REMEMBERED_PROOFS, TUNNEL_PROOF_LIFETIME_MS, clock)
  }

  /**
   * The tunnel that is asked for.
   * @throws GatewayError TUNNEL_UNAUTHORIZED, whether there is such a tunnel or not; UNKNOWN_TUNNEL or TUNNEL_FORBIDDEN to whoever may open
   *   another one; TUNNEL_ATTEMPTS after too many failures of an address
   */
  async check(table: Pick<TargetTable, 'tunnels' | 'socketTunnel'>, request: TunnelRequest): Promise<OpenedTunnel> {
    const { tunnels } = table
    const tunnel = request.name === undefined ? undefined : (tunnels.get(request.name) ?? table.socketTunnel?.(request.name))
    const admittance = tunnel === undefined ? undefined : await this.#ask(tunnel, request)
    if (admittance === undefined) await this.#checkOthers(tunnels, tunnel, request)
    if (tunnel!.allow?.has(request.address) === false)
      throw new GatewayError('TUNNEL_FORBIDDEN', `the tunnel is not open to ${request.address}`)
    return { tunnel: tunnel!, admittance }
  }

  /** Asks who it is, where the tunnel wants to know; undefined: nobody who has proven that, so that other credentials decide. */
  async #ask(tunnel: Tunnel, { fields, address, peer }: TunnelRequest): Promise<ConnectionAdmittance | undefined> {
    const { access, name } = tunnel
    if (access === undefined || this.visitors === undefined) return undefined
    const client = { address, host: name, scheme: peer.scheme }
    const decision = (await this.visitors.admit({ access, name, client, fields, peer })) ?? this.#askHolder(tunnel, address, peer)
    if (decision?.kind === 'refuse') throw refusalOf(decision, access.login === undefined ? [] : loginAt(this.visitors))
    return decision
  }

  /** Asks whether somebody may come to a socket by the certificate that they got when they had logged in; undefined: they have shown none. */
  #askHolder({ access, name, authorities }: Tunnel, address: string, { tls }: Peer): ConnectionDecision | undefined {
    const { asked, client: certificate } = tls ?? {}
    if (access === undefined || certificate === undefined || authorities === undefined || asked?.ca !== authorities) return undefined
    return this.visitors?.admitHolder({ access, name, address, certificate })
  }

  /** Judges tokens, keys and passwords of the targets file. */
  async #checkOthers(tunnels: Tunnels, tunnel: Tunnel | undefined, request: TunnelRequest): Promise<void> {
    if (this.#failures.wait(addressKey(request.address)) > 0) throw tooManyAttempts(request.address)
    const opens = await this.#judge(tunnels, request).catch((thrown: unknown) => {
      throw this.#withLogin(tunnel?.owner === undefined ? [...tunnels.values()] : [tunnel], thrown)
    })
    if (tunnel === undefined) throw new GatewayError('UNKNOWN_TUNNEL', 'there is no such tunnel')
    if (!opens(tunnel)) throw new GatewayError('TUNNEL_FORBIDDEN', 'the credentials are those of another tunnel')
  }

  /** Says where people log in, when some tunnel lets them: whether it is this one is not for everybody to know. */
  #withLogin(tunnels: readonly Tunnel[], thrown: unknown): unknown {
    if (!(thrown instanceof GatewayError) || thrown.code !== 'TUNNEL_UNAUTHORIZED') return thrown
    if (!tunnels.some(({ access }) => access?.login !== undefined)) return thrown
    if (this.visitors === undefined)
      return new GatewayError(thrown.code, `${thrown.message}; nobody can log in either, without --visitors`, { fields: thrown.fields })
    return new GatewayError(thrown.code, thrown.message, { cause: thrown.cause, fields: [...thrown.fields, ...loginAt(this.visitors)] })
  }

  /** Finds out what the credentials open; they have to open something. */
  async #judge(tunnels: Tunnels, request: TunnelRequest): Promise<(tunnel: Tunnel) => boolean> {
    const { name, authorization, address } = request
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
    return this.#judgeUser(tunnels, credentials.user, request)
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

/** For programs whose user can log in: where they begin (RFC 8628). */
const loginAt = ({ deviceUrl }: ConnectionCheck): readonly string[] => ['WWW-Authenticate', `SG-Login device="${deviceUrl}"`]

const CHALLENGE = ['WWW-Authenticate', 'Bearer realm="tunnels"'] as const

/** RFC 9110 §11.6.1 wants a challenge with each 401. */
const unauthorized = (message: string, cause?: unknown): GatewayError =>
  new GatewayError('TUNNEL_UNAUTHORIZED', message, { cause, fields: [...CHALLENGE] })

/** The code of tunnels for a visitor whom a lane knows and does not let in. */
function refusalOf({ code, reason, visitor, fields }: ConnectionRefusal, login: readonly string[]): GatewayError {
  const who = visitor === undefined ? '' : ` (${visitorName(visitor)})`
  const known = CODES.get(code) ?? code
  const challenges = ERRORS[known].status === 401 ? [...CHALLENGE, ...login] : []
  return new GatewayError(known, `${reason}${who}`, { fields: [...challenges, ...fields] })
}

const CODES: ReadonlyMap<ErrorCode, ErrorCode> = new Map([
  ['VISITOR_CREDENTIALS', 'TUNNEL_UNAUTHORIZED'],
  ['VISITOR_FORBIDDEN', 'TUNNEL_FORBIDDEN'],
  ['RATE_LIMITED', 'TUNNEL_ATTEMPTS'],
])

/** As long as its text says. */
const tooManyAttempts = (address: string, cause?: unknown): GatewayError =>
  new GatewayError('TUNNEL_ATTEMPTS', `too many wrong credentials from ${address}`, { cause, fields: ['Retry-After', '60'] })
