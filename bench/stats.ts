/** Figures from samples. */

/** The smallest sample that at least `share` (0 … 1) of all samples do not exceed: nearest rank. NaN without samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const rank = Math.max(1, Math.ceil(share * sorted.length))
  return sorted[rank - 1] ?? NaN
}

/** The middle sample, or the mean of the two in the middle. NaN without samples. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2
}

/**
 * Median of `samples[i] / base[i]`: each round is compared with the base of the same round, so that what slows the machine down for
 * a while slows both. NaN without samples.
 */
export const medianRatio = (samples: readonly number[], base: readonly number[]): number =>
  median(samples.slice(0, base.length).map((sample, round) => sample / (base[round] ?? NaN)))
