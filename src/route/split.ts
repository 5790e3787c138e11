/** Shares of one target or route among several origins. */

/** The step of a sequence whose first members are spread evenly however many there are: the golden ratio. */
const STEP = 0.618_033_988_749_895

/** Picks one of several by their weights. What is picked does not depend on chance: of 10 in a row with 7 to 3, 7 are the first. */
export class Split<Part> {
  readonly #bounds: readonly number[]
  #at = 0

  /**
   * @param parts    at least one
   * @param weights  one for each, 0 or more, not all of them 0
   */
  constructor(
    readonly parts: readonly Part[],
    readonly weights: readonly number[],
  ) {
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    let sum = 0
    this.#bounds = weights.map(weight => (sum += weight) / total)
  }

  /** The part for another request. */
  next(): Part {
    const at = this.#at
    this.#at = (at + STEP) % 1
    const index = this.#bounds.findIndex(bound => at < bound)
    // Rounding may leave the last bound below 1.
    return this.parts[index < 0 ? this.weights.findLastIndex(weight => weight > 0) : index]!
  }

  /** The share of a part, 0 … 1. */
  shareOf(index: number): number {
    return this.#bounds[index]! - (index === 0 ? 0 : this.#bounds[index - 1]!)
  }
}
