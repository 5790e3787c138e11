import { GatewayError } from '../errors.ts'

const PROBE_MS = 1_000

export interface HealthOptions {
  /** Writes to the database. */
  readonly probe: () => Promise<void>
  /** Once for each time that it goes away, and when it turns out that it is there and cannot be used. */
  readonly onAway: (fault: GatewayError) => void
  readonly onBack: () => void
}

/** Whether the database can be read and written, as far as is known. It is back when a probe has been written: on a full disk, reading works. */
export class Health {
  readonly #options: HealthOptions
  #isHealthy = true
  #isClosed = false
  #isInvalid = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: HealthOptions) {
    this.#options = options
  }

  get isHealthy(): boolean {
    return this.#isHealthy
  }

  /** Somebody could not have it. */
  away(fault: GatewayError): void {
    const turnsOutInvalid = !this.#isInvalid && fault.cause instanceof GatewayError && fault.cause.code === 'STORE_INVALID'
    if (this.#isClosed || (!this.#isHealthy && !turnsOutInvalid)) return
    this.#isInvalid = turnsOutInvalid
    if (this.#isHealthy) this.#plan()
    this.#isHealthy = false
    try {
      this.#options.onAway(fault)
    } catch {
      // Whoever writes the log must not stop the one that looks whether it is back.
    }
  }

  #plan(): void {
    this.#timer = setTimeout(() => void this.#look(), PROBE_MS).unref()
  }

  async #look(): Promise<void> {
    try {
      await this.#options.probe()
      if (this.#isClosed) return
      this.#isHealthy = true
      this.#options.onBack()
    } catch {
      if (!this.#isHealthy && !this.#isClosed) this.#plan()
    }
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }
}
