import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../telemetry/log.ts'
import type { IssuedPair } from './authority.ts'
import type { CertificateExchange, OrderLock } from './exchange.ts'
import { lifetimeOf } from './renewal.ts'

/** A place that keeps certificates for all who share it, and outlives them. Nothing of it rejects. */
export interface CertificateShelf {
  /** @returns undefined: there is none */
  find(name: string): Promise<IssuedPair | undefined | Away>
  /** @param untilMs  the end of the certificate, milliseconds since 1970 */
  keep(name: string, pair: IssuedPair, untilMs: number): Promise<'kept' | Away>
}

/** The place cannot be asked now. */
export interface Away {
  readonly why: string
}

/** Between two questions to a shelf that is not there yet, and how many there are at the start: it begins together with this process. */
const PAUSE_MS = 250
const PATIENT_ASKS = 40

const ALONE: OrderLock = { release: () => Promise.resolve(), hold: () => Promise.resolve() }

const isAway = (answer: IssuedPair | undefined | Away): answer is Away => answer !== undefined && 'why' in answer

/** Certificates that are kept on a shelf beside what nodes of a cluster tell each other, if this is one. */
export class KeptExchange implements CertificateExchange {
  #asksLeft = PATIENT_ASKS
  #told: string | undefined

  /**
   * @param others  the exchange of nodes; undefined: there is none
   * @param signal  nothing is waited for any more
   */
  constructor(
    private readonly shelf: CertificateShelf,
    private readonly others: CertificateExchange | undefined,
    private readonly signal: AbortSignal,
    private readonly log: Log,
  ) {}

  async start(): Promise<void> {
    await this.others?.start()
  }

  lock(name: string): Promise<OrderLock | undefined> {
    return this.others?.lock(name) ?? Promise.resolve(ALONE)
  }

  /** The newer one of those that are kept and told. */
  async find(name: string): Promise<IssuedPair | undefined> {
    const [kept, told] = await Promise.all([this.#find(name), this.others?.find(name)])
    if (kept === undefined || told === undefined) return kept ?? told
    return lifetimeOf(kept.cert).notBeforeMs >= lifetimeOf(told.cert).notBeforeMs ? kept : told
  }

  async give(name: string, pair: IssuedPair, untilMs: number): Promise<boolean> {
    const [answer] = await Promise.all([this.shelf.keep(name, pair, untilMs), this.others?.give(name, pair, untilMs)])
    if (answer === 'kept') return this.#answered()
    this.#tell(answer)
    return false
  }

  answerAt(place: string): Promise<string | undefined> {
    return this.others?.answerAt(place) ?? Promise.resolve(undefined)
  }

  async publish(place: string, keyAuthorization: string): Promise<void> {
    await this.others?.publish(place, keyAuthorization)
  }

  async withdraw(place: string): Promise<void> {
    await this.others?.withdraw(place)
  }

  close(): void {
    this.others?.close()
  }

  /** Waits for the shelf at the start, and never again: what cannot be found is ordered. */
  async #find(name: string): Promise<IssuedPair | undefined> {
    for (;;) {
      const answer = await this.shelf.find(name)
      if (!isAway(answer)) {
        this.#answered()
        return answer
      }
      if (this.#asksLeft === 0 || this.signal.aborted) {
        this.#tell(answer)
        return undefined
      }
      this.#asksLeft--
      await delay(PAUSE_MS, undefined, { ref: false })
    }
  }

  #answered(): true {
    this.#asksLeft = 0
    this.#told = undefined
    return true
  }

  #tell({ why }: Away): void {
    if (why === this.#told || this.signal.aborted) return
    this.#told = why
    this.log.warn({ reason: why }, `certificates are neither found nor kept in the database of the service: ${why}; it is tried again`)
  }
}
