import { formatHostPort } from '../address/host-port.ts'
import type { ErrorCode } from '../errors.ts'
import type { RequestHead } from '../http/message.ts'
import type { Log } from '../telemetry/log.ts'
import { mutedText, Repeats } from '../telemetry/repeats.ts'

/** The shortest time between two log lines of the same failure of the same origin, milliseconds. */
const PERIOD_MS = 10_000

/** A request that failed at its origin. */
export interface Failure {
  readonly origin: string
  readonly code: ErrorCode
  readonly reason: string
  readonly at: Date
}

/** Tells whoever looks at this inner layer what goes wrong at its origins; clients and the outer layer's log hear of it anyhow. */
export class FailureLog {
  readonly #repeats: Repeats
  readonly #counts = new Map<ErrorCode, number>()
  #last: Failure | undefined

  /**
   * @param isOpen  no allow-list was given, so only guarded addresses are forbidden
   * @param clock   milliseconds, rising
   */
  constructor(
    private readonly log: Log,
    private readonly isOpen: boolean,
    clock: () => number,
  ) {
    this.#repeats = new Repeats(PERIOD_MS, clock)
  }

  /** Failures so far, by code. */
  get counts(): ReadonlyMap<ErrorCode, number> {
    return this.#counts
  }

  /** The latest failure of an origin. */
  get last(): Failure | undefined {
    return this.#last
  }

  /** Takes every failure of a request or a connection, and warns of those of origins. */
  report({ hostname, port }: Pick<RequestHead, 'hostname' | 'port'>, code: ErrorCode, reason: string): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1)
    if (!code.startsWith('ORIGIN_') && code !== 'INNER_EXHAUSTED') return
    const origin = formatHostPort({ host: hostname, port })
    this.#last = { origin, code, reason, at: new Date() }
    const muted = this.#repeats.take(`${code} ${origin}`)
    if (muted === undefined) return
    const fields = { origin, code, reason, ...(muted > 0 && { muted }) }
    this.log.warn(fields, `origin ${origin}: ${reason}${code === 'ORIGIN_FORBIDDEN' ? this.#remedy(origin) : ''}${mutedText(muted)}`)
  }

  #remedy(origin: string): string {
    // With the first --allow everything else is forbidden, which would be a surprise.
    if (this.isOpen)
      return '; a link-local or cloud-metadata address has to be named: --allow ADDRESS:PORT, and then every other origin, too'
    return `; to allow it: --allow ${origin}`
  }
}
