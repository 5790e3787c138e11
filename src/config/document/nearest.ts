/** Letters to insert, delete or replace to get from one word to the other. */
const distance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}

/**
 * The candidate that a mistyped or cut word most likely means.
 * @returns undefined when none is near: more than a third of its letters, or more than three, would have to change
 */
export const nearest = (word: string, candidates: readonly string[]): string | undefined => {
  if (word.length > 100) return undefined
  const longer = word.length < 3 ? undefined : candidates.find(candidate => candidate.toLowerCase().startsWith(word.toLowerCase()))
  if (longer !== undefined) return longer
  const ranked = candidates.map(candidate => ({ candidate, steps: distance(word.toLowerCase(), candidate.toLowerCase()) }))
  const best = ranked.sort((a, b) => a.steps - b.steps)[0]
  return best && best.steps <= Math.min(3, Math.ceil(best.candidate.length / 3)) ? best.candidate : undefined
}
