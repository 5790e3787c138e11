/** Shares of one target or route among several origins. */

/** The step of a sequence whose first members are spread evenly however many there are: the golden ratio. */
const STEP = 0.618_033_988_749_895

/** One of several, with its share. */
export interface Share<Part> {
  readonly part: Part
  /** 0 or more. */
  readonly weight: number
  /** The same for as long as it is the same origin, wherever it stands among the others; without a dot. */
  readonly key: string
}

/** Picks one of several by their weights. What is picked does not depend on chance: of 10 in a row with 7 to 3, 7 are the first. */
export class Split<Part> {
  readonly parts: readonly Part[]
  readonly #bounds: readonly number[]
  #at = 0

  /** @param shares  at least one, not all of them with a weight of 0 */
  constructor(private readonly shares: readonly Share<Part>[]) {
    const total = shares.reduce((sum, { weight }) => sum + weight, 0)
    let sum = 0
    this.#bounds = shares.map(({ weight }) => (sum += weight) / total)
    this.parts = shares.map(({ part }) => part)
  }

  /** The part for another request. */
  next(): Part {
    const at = this.#at
    this.#at = (at + STEP) % 1
    const index = this.#bounds.findIndex(bound => at < bound)
    // Rounding may leave the last bound below 1.
    return this.parts[index < 0 ? this.shares.findLastIndex(({ weight }) => weight > 0) : index]!
  }

  /** The part with a key; undefined: none, or none that gets anything. */
  named(key: string): Part | undefined {
    return this.shares.find(share => share.key === key && share.weight > 0)?.part
  }

  /** The part that is always the same for a value; of many values each part has its share, and when weights change, only as many as have to are moved. */
  of(value: string): Part {
    // Weighted rendezvous hashing: a part with the share w is first for w of all values when each draws -w / ln u, u even between 0 and 1.
    const draw = ({ weight, key }: Share<Part>): number => (weight === 0 ? -1 : -weight / Math.log((weightOf(value, key) + 0.5) / 2 ** 32))
    const draws = this.shares.map(draw)
    return this.parts[draws.indexOf(Math.max(...draws))]!
  }

  /** The share of a part, 0 … 1. */
  shareOf(index: number): number {
    return this.#bounds[index]! - (index === 0 ? 0 : this.#bounds[index - 1]!)
  }
}

/** Rendezvous hashing: each place has its own weight for a value, so that when one leaves, only its values move. @returns 32 bits */
export function weightOf(value: string, id: string): number {
  let hash = 0x811c9dc5 // FNV-1a
  for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 0x01000193)
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  // The last characters have to reach every bit (the end of MurmurHash3).
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
