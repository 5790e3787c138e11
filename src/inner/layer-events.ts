import type { ErrorCode } from '../errors.ts'
import { CertificateWatch, type WatchedCertificate } from '../events/certificate-watch.ts'
import { Events } from '../events/events.ts'
import type { EventBook } from '../events/event-book.ts'
import { guarded } from '../net/guard.ts'
import type { HealthCheck } from '../payload/health-note.ts'
import type { Log } from '../telemetry/log.ts'

const CERTIFICATES_MS = 3_600_000

/** Refusals by an outer layer, rather than ways to it that do not work. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['AUTH', 'AUTH_TIMEOUT', 'TAKEN_OVER', 'RATE_LIMITED', 'PROTOCOL'])

/** The parts of an inner layer that something happens to. */
export interface LayerEventsOptions {
  readonly identifier: string
  /** Those that it needs for its links. */
  readonly certificates: readonly WatchedCertificate[]
  readonly log: Log
  /** Factor of the times in which events are held back, for tests. */
  readonly holdScale?: number | undefined
}

/** Says what happens in an inner layer, in the words of the catalogue, for its own admin port. */
export class LayerEvents {
  readonly #events: Events
  readonly #certificates: CertificateWatch
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly options: LayerEventsOptions) {
    const { holdScale, certificates } = options
    this.#events = new Events({ nowMs: Date.now, onFault: this.#onFault, ...(holdScale !== undefined && { holdScale }) })
    this.#certificates = new CertificateWatch(this.#events, () => certificates, Date.now)
  }

  readonly #onFault = (thrown: unknown): void => this.options.log.error({ err: thrown }, 'internal fault while events were told')

  /** The list of what has happened. */
  get book(): EventBook {
    return this.#events.book
  }

  /** Begins to watch certificates. */
  start(): void {
    this.#certificates.look()
    this.#timer = setInterval(
      guarded(this.#onFault, () => this.#certificates.look()),
      CERTIFICATES_MS,
    ).unref()
  }

  /** The layer ends: nothing that happens from now on is news. Idempotent. */
  close(): void {
    clearInterval(this.#timer)
    this.#events.close()
  }

  /** A link to an outer layer is up. @param identifier  that it has granted */
  connected(url: string, identifier: string, agent: string): void {
    this.#events.turn('outer-layer', true, { subject: url, fields: { url, identifier, agent } })
  }

  /** A link has ended, or could not be made. @param isUp  is another one to it still up? */
  lost(url: string, { code, reason, isUp }: { readonly code: ErrorCode; readonly reason: string; readonly isUp: boolean }): void {
    if (REFUSALS.has(code)) this.#events.tell('outer-layer.refused', { subject: `${url} ${code}`, fields: { url, code, reason } })
    if (!isUp) this.#events.turn('outer-layer', false, { subject: url, fields: { url, reason } })
  }

  /** An origin that is asked whether it is well has turned. */
  readonly originTurned = ({ protocol, host, path }: HealthCheck, isWell: boolean, reason: string): void => {
    const origin = `${protocol}://${host}${path}`
    const { identifier } = this.options
    this.#events.turn('origin', isWell, { subject: origin, fields: { origin, identifier, ...(!isWell && { reason }) } })
  }
}
