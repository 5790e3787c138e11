/** The part of Server-Timing that only the inner layer knows: how long the connection took, and how long the origin. */
export class OriginTiming {
  readonly #startedMs: number
  #connectedMs: number | undefined

  /** @param clock  milliseconds, rising */
  constructor(private readonly clock: () => number) {
    this.#startedMs = clock()
  }

  /** A connection is there: a new one, or one that was kept. */
  connected(): void {
    this.#connectedMs ??= this.clock()
  }

  /** The fields of an answer with ours behind them. */
  addTo(fields: readonly string[]): readonly string[] {
    const connected = this.#connectedMs ?? this.#startedMs
    const connect = (connected - this.#startedMs).toFixed(1)
    const origin = (this.clock() - connected).toFixed(1)
    return [...fields, 'Server-Timing', `connect;dur=${connect}, origin;dur=${origin}`]
  }
}
