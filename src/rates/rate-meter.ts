import { Recent } from './recent.ts'

/** Keys that are counted at the same time. */
const CAPACITY = 20_000

/** So many in a second in the long run, some more at once (the cell rate algorithm of ITU-T I.371: one number for each key). */
export class RateMeter {
  readonly #intervalMs: number
  readonly #burstMs: number
  /** When the last of what was taken would be due at an even pace. */
  readonly #dueMs: Recent<number>

  /** @param takers  so many may each take a burst before they hear of each other, and all of it is owed then */
  constructor(
    { perSecond, burst }: { readonly perSecond: number; readonly burst: number },
    private readonly clock: () => number,
    takers = 1,
  ) {
    this.#intervalMs = 1_000 / perSecond
    this.#burstMs = this.#intervalMs * burst
    // After this time nothing is left of a burst, so that forgetting the key changes nothing.
    this.#dueMs = new Recent(CAPACITY, Math.max(1_000, this.#burstMs * takers), clock)
  }

  /** Milliseconds until the next may be taken; 0: now. */
  wait(key: string): number {
    const due = this.#dueMs.get(key)
    if (due === undefined) return 0
    return Math.max(0, due + this.#intervalMs - this.#burstMs - this.clock())
  }

  /** Takes one, or says how many milliseconds are left until that is possible. */
  take(key: string): number {
    const waitMs = this.wait(key)
    if (waitMs === 0) this.#dueMs.set(key, Math.max(this.#dueMs.get(key) ?? 0, this.clock()) + this.#intervalMs)
    return waitMs
  }

  /** Others have taken so many, whether there were any left or not: what is too much is waited for. @param count  below zero: given back */
  absorb(key: string, count: number): void {
    this.#dueMs.set(key, Math.max(this.#dueMs.get(key) ?? 0, this.clock()) + count * this.#intervalMs)
  }

  /** Gives back what was taken. */
  giveBack(key: string): void {
    const due = this.#dueMs.get(key)
    if (due !== undefined) this.#dueMs.set(key, due - this.#intervalMs)
  }
}
