/** One line of a comparison; a side that does not have it is undefined. */
export interface DiffLine {
  readonly a: string | undefined
  readonly b: string | undefined
}

/** Changed lines that are compared with each other in full; longer stretches are put side by side as they are. */
const MAX_CELLS = 4_000_000

/** Puts the lines of two texts side by side: the same beside the same, what one side lacks beside nothing. */
export function diffLines(a: readonly string[], b: readonly string[]): readonly DiffLine[] {
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++
  const same = (lines: readonly string[]): DiffLine[] => lines.map(line => ({ a: line, b: line }))
  const middle = between(a.slice(start, a.length - end), b.slice(start, b.length - end))
  return [...same(a.slice(0, start)), ...middle, ...same(a.slice(a.length - end))]
}

/** The longest common subsequence, by the table of its lengths. */
function between(a: readonly string[], b: readonly string[]): readonly DiffLine[] {
  const width = b.length + 1
  if ((a.length + 1) * width > MAX_CELLS) return pair([...a], [...b])
  const lengths = new Uint32Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i * width + j] =
        a[i] === b[j] ? lengths[(i + 1) * width + j + 1]! + 1 : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!)
  const lines: DiffLine[] = []
  let [i, j] = [0, 0]
  let [removed, added]: [string[], string[]] = [[], []]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(...pair(removed, added), { a: a[i++], b: b[j++] })
      removed = []
      added = []
    } else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!)) removed.push(a[i++]!)
    else added.push(b[j++]!)
  }
  return [...lines, ...pair(removed, added)]
}

const pair = (a: readonly string[], b: readonly string[]): DiffLine[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, i) => ({ a: a[i], b: b[i] }))
