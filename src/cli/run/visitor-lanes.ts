import { StateFile, stateFileOf } from '../../config/visitors/state-file.ts'
import type { GatewayError } from '../../errors.ts'
import type { LaneParts } from '../../visitors/check/create-visitors.ts'
import { Failures } from '../../visitors/failures.ts'
import type { Lane } from '../../visitors/lane.ts'
import { JwtLane } from '../../visitors/jwt/jwt-lane.ts'
import { readServiceTokens, type ServiceToken } from '../../visitors/tokens/service-token.ts'
import { TokenLane } from '../../visitors/tokens/token-lane.ts'

/** The ways in beside the logins of people, with the files that they follow. */
export class VisitorLanes {
  readonly #failures = new Failures(() => performance.now())
  readonly #tokens: StateFile<readonly ServiceToken[]>
  #tokenLane: TokenLane | undefined

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
  }

  /** Makes the lanes, in the order in which they are asked. */
  create({ watch }: LaneParts): readonly Lane[] {
    const shared = { watch, failures: this.#failures, clock: Date.now }
    this.#tokenLane = new TokenLane(shared)
    return [this.#tokenLane, new JwtLane({ ...shared, steady: () => performance.now() })]
  }

  /** Reads the files, then follows them. @throws GatewayError CONFIG_INVALID, FILE_UNREADABLE */
  async start(): Promise<void> {
    await this.#tokens.start()
  }

  async close(): Promise<void> {
    await this.#tokens.close()
  }
}
