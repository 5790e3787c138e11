import { LastSeen } from '../rates/last-seen.ts'
import type { AccessRecord } from '../telemetry/access-log.ts'
import type { RefusedInnerLayer } from './inner-layers/link-port.ts'

/** Entries of each list. */
const MAX_LISTED = 20
/** Characters of a host that a client made up. */
const MAX_HOST = 100

/** Events of late that belong to nothing known: mostly a name that somebody has misspelt, in a configuration or in DNS. */
export class Sightings {
  readonly #refused: LastSeen<RefusedInnerLayer>
  readonly #unknownHosts: LastSeen<string>

  /** @param nowMs  milliseconds since 1970 */
  constructor(nowMs: () => number) {
    this.#refused = new LastSeen(MAX_LISTED, nowMs)
    this.#unknownHosts = new LastSeen(MAX_LISTED, nowMs)
  }

  /** Takes an inner layer that was not let in. */
  readonly sawRefused = (refused: RefusedInnerLayer): void => this.#refused.see(`${refused.address} ${refused.code}`, refused)

  /** Takes a request that has ended. */
  sawRequest({ error, host }: Pick<AccessRecord, 'error' | 'host'>): void {
    if (error !== 'UNKNOWN_HOST') return
    const name = host.slice(0, MAX_HOST)
    this.#unknownHosts.see(name, name)
  }

  /** Inner layers that were refused, the latest first. */
  get refused(): LastSeen<RefusedInnerLayer>['list'] {
    return this.#refused.list
  }

  /** Hosts that clients asked for and that have no target, the latest first. */
  get unknownHosts(): LastSeen<string>['list'] {
    return this.#unknownHosts.list
  }
}
