import type { VisitorCount } from './visitor-check.ts'

type Counting = { -readonly [Key in keyof VisitorCount]: VisitorCount[Key] }

/** Verdicts by lane and outcome. */
export class VisitorCounts implements Iterable<VisitorCount> {
  #latest: Counting | undefined
  readonly #lanes = new Map<VisitorCount['lane'], Map<VisitorCount['outcome'], Counting>>()

  add(lane: VisitorCount['lane'], outcome: VisitorCount['outcome'], count = 1): void {
    const latest = this.#latest
    // Most are as the one before.
    if (latest?.lane === lane && latest.outcome === outcome) {
      latest.count += count
      return
    }
    const known = this.#lanes.get(lane)?.get(outcome) ?? this.#begin(lane, outcome)
    known.count += count
    this.#latest = known
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

  #begin(lane: VisitorCount['lane'], outcome: VisitorCount['outcome']): Counting {
    const begun = { lane, outcome, count: 0 }
    const outcomes = this.#lanes.get(lane) ?? new Map<VisitorCount['outcome'], Counting>()
    this.#lanes.set(lane, outcomes.set(outcome, begun))
    return begun
  }
}
