import type { VisitorCount } from '../../outer/access/visitor-check.ts'

type Counting = { -readonly [Key in keyof VisitorCount]: VisitorCount[Key] }

/** Verdicts by lane and outcome. */
export class VisitorCounts implements Iterable<VisitorCount> {
  readonly #lanes = new Map<VisitorCount['lane'], Map<VisitorCount['outcome'], Counting>>()

  add(lane: VisitorCount['lane'], outcome: VisitorCount['outcome']): void {
    const known = this.#lanes.get(lane)?.get(outcome)
    if (known === undefined) this.#begin(lane, outcome)
    else known.count++
  }

  *[Symbol.iterator](): Iterator<VisitorCount> {
    for (const outcomes of this.#lanes.values()) yield* outcomes.values()
  }

  #begin(lane: VisitorCount['lane'], outcome: VisitorCount['outcome']): void {
    const outcomes = this.#lanes.get(lane) ?? new Map<VisitorCount['outcome'], Counting>()
    this.#lanes.set(lane, outcomes.set(outcome, { lane, outcome, count: 1 }))
  }
}
