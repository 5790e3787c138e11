import type { VisitorCount } from '../../outer/access/visitor-check.ts'

/** Verdicts by lane and outcome. */
export class VisitorCounts implements Iterable<VisitorCount> {
  readonly #counts = new Map<string, { -readonly [Key in keyof VisitorCount]: VisitorCount[Key] }>()

  add(lane: VisitorCount['lane'], outcome: VisitorCount['outcome']): void {
    const key = `${lane} ${outcome}`
    const known = this.#counts.get(key)
    if (known !== undefined) known.count++
    else this.#counts.set(key, { lane, outcome, count: 1 })
  }

  [Symbol.iterator](): Iterator<VisitorCount> {
    return this.#counts.values()
  }
}
