import type { ConnectionStatus } from '../admin/status.ts'
import type { Connector } from '../link/connector.ts'

/** The record of one connection to an outer layer, for operators. */
export class ConnectionRecord {
  connector: Connector | undefined
  #sinceMs: number
  #agent: string | undefined
  #lastFailure: string | undefined

  /** @param nowMs  milliseconds since 1970 */
  constructor(
    readonly outerLayer: string,
    private readonly nowMs: () => number,
  ) {
    this.#sinceMs = nowMs()
  }

  get isUp(): boolean {
    return this.connector?.isUp === true
  }

  /** @param agent  program and release of the outer layer */
  up(agent: string): void {
    this.#sinceMs = this.nowMs()
    this.#agent = agent
  }

  down(reason: string): void {
    this.#sinceMs = this.nowMs()
    this.#lastFailure = reason
  }

  get status(): ConnectionStatus {
    return {
      outerLayer: this.outerLayer,
      isUp: this.isUp,
      since: new Date(this.#sinceMs).toISOString(),
      agent: this.#agent ?? null,
      roundTripMs: this.connector?.session?.roundTripMs ?? 0,
      streams: this.connector?.streamCount ?? 0,
      lastFailure: this.#lastFailure ?? null,
    }
  }
}
