const MAX_KEYS = 1_000

/** Mutes what repeats itself: it is said once, then at most once a period, with the number of times that were not said. */
export class Repeats {
  /** In the order in which they were said. */
  readonly #said = new Map<string, { readonly atMs: number; muted: number }>()

  /** @param clock  milliseconds, rising */
  constructor(
    private readonly periodMs: number,
    private readonly clock: () => number,
  ) {}

  /**
   * Counts one occurrence of `key`.
   * @returns how often it was muted since it was said last, when it is to be said now; undefined when not. Beyond 1,000 different keys in
   *   one period nothing is said: strangers choose them
   */
  take(key: string): number | undefined {
    const now = this.clock()
    const last = this.#said.get(key)
    if (last !== undefined && now - last.atMs < this.periodMs) {
      last.muted++
      return undefined
    }
    this.#said.delete(key)
    if (this.#said.size >= MAX_KEYS) this.#forget(now)
    if (this.#said.size >= MAX_KEYS) return undefined
    this.#said.set(key, { atMs: now, muted: 0 })
    return last?.muted ?? 0
  }

  #forget(now: number): void {
    for (const [key, { atMs }] of this.#said) {
      if (now - atMs < this.periodMs) return
      this.#said.delete(key)
    }
  }
}

/** ` (3 more like it since the last such line)`, or nothing. */
export const mutedText = (muted: number): string => (muted === 0 ? '' : ` (${muted} more like it since the last such line)`)
