import { StateFile, stateFileOf } from '../../config/visitors/state-file.ts'
import type { GatewayError } from '../../errors.ts'
import type { LaneParts } from '../../visitors/check/create-visitors.ts'
import { CertificateLane } from '../../visitors/certificates/certificate-lane.ts'
import { Failures } from '../../visitors/failures.ts'
import type { Lane } from '../../visitors/lane.ts'
import { JwtLane } from '../../visitors/jwt/jwt-lane.ts'
import { readShares, type StoredShare } from '../../visitors/shares/share.ts'
import { ShareLane } from '../../visitors/shares/share-lane.ts'
import { ShareUses } from '../../visitors/shares/share-uses.ts'
import { readServiceTokens, type ServiceToken } from '../../visitors/tokens/service-token.ts'
import { TokenLane } from '../../visitors/tokens/token-lane.ts'

/** The ways in beside the logins of people, with the files that they follow. */
export class VisitorLanes {
  readonly #failures = new Failures(() => performance.now())
  readonly #tokens: StateFile<readonly ServiceToken[]>
  readonly #shares: StateFile<readonly StoredShare[]>
  readonly #uses: ShareUses
  #tokenLane: TokenLane | undefined
  #shareLane: ShareLane | undefined

  /**
   * @param file     of visitors
   * @param onFault  a file of theirs cannot be used
   */
  constructor(file: string, onFault: (fault: GatewayError) => void) {
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
    this.#uses = new ShareUses(stateFileOf(file, 'uses'), () => performance.now())
  }

  /** Makes the lanes, in the order in which they are asked. */
  create({ watch, seal, sessions }: LaneParts): readonly Lane[] {
    const shared = { watch, failures: this.#failures, clock: Date.now }
    const steady = (): number => performance.now()
    this.#tokenLane = new TokenLane(shared)
    this.#shareLane = new ShareLane({ ...shared, seal, sessions, uses: this.#uses, steady })
    return [this.#tokenLane, new JwtLane({ ...shared, steady }), this.#shareLane, new CertificateLane(shared)]
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
