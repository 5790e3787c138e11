/**
 * Values that were set not long ago. Two maps take turns, so that forgetting is one assignment and neither a timer nor a list of ages is
 * needed; both are bounded, and when strangers fill them, the oldest entries go first.
 */
export class Recent<Value> {
  #young = new Map<string, Value>()
  #old = new Map<string, Value>()
  #turnedMs: number

  /**
   * @param capacity    entries, at most
   * @param lifetimeMs  an entry stays at least so long after it was set, and at most twice as long
   * @param clock       milliseconds, rising
   */
  constructor(
    private readonly capacity: number,
    private readonly lifetimeMs: number,
    private readonly clock: () => number,
  ) {
    this.#turnedMs = clock()
  }

  get(key: string): Value | undefined {
    this.#turn()
    return this.#young.get(key) ?? this.#old.get(key)
  }

  set(key: string, value: Value): void {
    this.#turn()
    this.#young.set(key, value)
    if (this.#young.size * 2 < this.capacity) return
    this.#old = this.#young
    this.#young = new Map()
  }

  #turn(): void {
    const now = this.clock()
    const elapsed = now - this.#turnedMs
    if (elapsed < this.lifetimeMs) return
    const isOneTurn = elapsed < 2 * this.lifetimeMs
    this.#old = isOneTurn ? this.#young : new Map<string, Value>()
    this.#young = new Map()
    this.#turnedMs = isOneTurn ? this.#turnedMs + this.lifetimeMs : now
  }
}
