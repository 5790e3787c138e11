import type { VisitorCount } from './visitor-check.ts'

type Counting = { -readonly [Key in keyof VisitorCount]: VisitorCount[Key] }

/** Verdicts by lane and outcome. */
export class VisitorCounts implements Iterable<VisitorCount> {
  readonly #lanes = new Map<VisitorCount['lane'], Map<VisitorCount['outcome'], Counting>>()

  add(lane: VisitorCount['lane'], outcome: VisitorCount['outcome'], count = 1): void {
    const known = this.#lanes.get(lane)?.get(outcome)
    if (known === undefined) this.#begin(lane, outcome, count)
    else known.count += count
  }

  /** The sums of several. */
  static sum(parts: readonly Iterable<VisitorCount>[]): VisitorCounts {
    const sum = new VisitorCounts()
    for (const part of parts) for (const { lane, outcome, count } of part) sum.add(lane, outcome, count)
    return sum
  }

  *[Symbol.iterator](): Iterator<VisitorCount> {
    for (const outcomes of this.#lanes.values()) yield* outcomes.values()
  }

  #begin(lane: VisitorCount['lane'], outcome: VisitorCount['outcome'], count: number): void {
    const outcomes = this.#lanes.get(lane) ?? new Map<VisitorCount['outcome'], Counting>()
    this.#lanes.set(lane, outcomes.set(outcome, { lane, outcome, count }))
  }
}
