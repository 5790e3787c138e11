import { StateFile, stateFileOf } from '../../config/visitors/state-file.ts'
import type { GatewayError } from '../../errors.ts'
import { Recent } from '../../rates/recent.ts'
import { visitorName, type Visitor } from '../../route/access.ts'
import type { LoginEvent } from '../../visitors/login-event.ts'
import type { LaneParts } from '../../visitors/check/create-visitors.ts'
import { CertificateLane } from '../../visitors/certificates/certificate-lane.ts'
import { Failures } from '../../visitors/failures.ts'
import type { SharedByVisitors } from '../../visitors/shared.ts'
import type { Lane } from '../../visitors/lane.ts'
import { JwtLane } from '../../visitors/jwt/jwt-lane.ts'
import { readShares, type StoredShare } from '../../visitors/shares/share.ts'
import { ShareLane, type SharedSocket } from '../../visitors/shares/share-lane.ts'
import { ShareUses } from '../../visitors/shares/share-uses.ts'
import { readServiceTokens, type ServiceToken } from '../../visitors/tokens/service-token.ts'
import { TokenLane } from '../../visitors/tokens/token-lane.ts'

/** A use is told once in so long, for each token or link and address. */
const USE_MS = 3_600_000
const MAX_TOLD = 10_000

/** The ways in beside the logins of people, with the files that they follow. */
export class VisitorLanes {
  readonly #failures: Failures
  /** Uses that were told lately, by token or link and by address. */
  readonly #told = new Recent<true>(MAX_TOLD, USE_MS, () => performance.now())
  readonly #tokens: StateFile<readonly ServiceToken[]>
  readonly #shares: StateFile<readonly StoredShare[]>
  readonly #uses: ShareUses
  #tokenLane: TokenLane | undefined
  #shareLane: ShareLane | undefined

  /**
   * @param file     of visitors
   * @param onFault  a file of theirs cannot be used
   * @param onEvent  told of what is refused, and of tokens and links that are used
   * @param shared   of all processes; undefined: this one is alone
   */
  constructor(
    file: string,
    onFault: (fault: GatewayError) => void,
    private readonly onEvent: (event: LoginEvent) => void,
    shared?: SharedByVisitors,
  ) {
    this.#failures = new Failures(
      () => performance.now(),
      undefined,
      (address, reason) => onEvent({ kind: 'refused', reason, address }),
      shared && { counts: shared.counts, name: 'wrong credentials' },
    )
    this.#tokens = new StateFile({
      file: stateFileOf(file, 'tokens'),
      read: readServiceTokens,
      apply: tokens => this.#tokenLane?.set(tokens),
      onFault,
    })
    this.#shares = new StateFile({
      file: stateFileOf(file, 'shares'),
      read: readShares,
      apply: shares => this.#shareLane?.set(shares),
      onFault,
    })
    const { exact, peers } = shared ?? {}
    const ofAll = exact === undefined || peers === undefined ? undefined : { exact, peers, nowMs: Date.now }
    this.#uses = new ShareUses(stateFileOf(file, 'uses'), () => performance.now(), ofAll)
  }

  /** Makes the lanes, in the order in which they are asked. */
  create({ watch, seal, sessions }: LaneParts): readonly Lane[] {
    const shared = { watch, failures: this.#failures, clock: Date.now, onUse: this.#used }
    const steady = (): number => performance.now()
    this.#tokenLane = new TokenLane(shared)
    this.#shareLane = new ShareLane({ ...shared, seal, sessions, uses: this.#uses, steady })
    return [this.#tokenLane, new JwtLane({ ...shared, steady }), this.#shareLane, new CertificateLane(shared)]
  }

  readonly #used = (visitor: Visitor, target: string, address: string, ofSocket?: SharedSocket): void => {
    const { lane, subject: id } = visitor
    const key = `${id} ${address}`
    // Of those that may be used so often, each use is told: its owner counts them.
    if (ofSocket?.isLimited !== true && this.#told.get(key) === true) return
    this.#told.set(key, true)
    const { socketId, by } = ofSocket ?? {}
    const at = socketId === undefined ? {} : { socketId, ...(by !== undefined && { by }) }
    this.onEvent({ kind: lane === 'token' ? 'token-used' : 'share-used', id, who: visitorName(visitor), target, address, ...at })
  }

  /** Reads the files, then follows them. @throws GatewayError CONFIG_INVALID, FILE_UNREADABLE */
  async start(): Promise<void> {
    await this.#tokens.start()
    try {
      await this.#shares.start()
    } catch (error) {
      await this.#tokens.close()
      throw error
    }
    await this.#uses.tidy(Date.now())
  }

  async close(): Promise<void> {
    await Promise.all([this.#tokens.close(), this.#shares.close()])
  }
}
