/** Something that happened, how often, and when the last time. */
export interface Sighting<Value> {
  readonly value: Value
  readonly count: number
  /** Milliseconds since 1970. */
  readonly atMs: number
}

/** The last events, the latest first: few entries, whoever makes them up. */
export class LastSeen<Value> {
  readonly #seen = new Map<string, Sighting<Value>>()

  /**
   * @param capacity  entries, at most; the one that was seen longest ago goes first
   * @param nowMs     milliseconds since 1970
   */
  constructor(
    private readonly capacity: number,
    private readonly nowMs: () => number,
  ) {}

  /** Counts one occurrence of `key`; `value` is what is shown of it. */
  see(key: string, value: Value): void {
    const count = (this.#seen.get(key)?.count ?? 0) + 1
    this.#seen.delete(key)
    if (this.#seen.size >= this.capacity) this.#seen.delete(this.#seen.keys().next().value!)
    this.#seen.set(key, { value, count, atMs: this.nowMs() })
  }

  get list(): readonly Sighting<Value>[] {
    return [...this.#seen.values()].reverse()
  }
}
