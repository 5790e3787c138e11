import type { BodyRecord } from '../body-record.ts'
import { mediaType, type ExchangeRecord } from '../exchange-record.ts'
import { namedValues } from '../kept/fields-text.ts'
import type { RequestSummary } from '../kept/record.ts'

/** The part of a request that a line belongs to. */
export type ComparedPart = 'request-line' | 'request-fields' | 'request-body' | 'status' | 'response-fields' | 'response-body' | 'trailers'

/** One line of a comparison. */
export interface ComparedLine {
  readonly part: ComparedPart
  readonly kind: 'same' | 'changed' | 'removed' | 'added'
  readonly a: string | null
  readonly b: string | null
}

/** Two records, side by side. */
export interface Comparison {
  readonly a: RequestSummary
  readonly b: RequestSummary
  readonly lines: readonly ComparedLine[]
  /** There were more lines than are compared. */
  readonly isCut: boolean
}

/** Most lines of a body that are compared, and most work on them: the product of what differs. */
const MAX_LINES = 5_000
const MAX_CELLS = 4_000_000
const MAX_LINE = 2_000
/** Most of a body that is put in order before it is compared, bytes. */
const MAX_JSON = 1_048_576

/** The texts of one record that are compared, part by part. */
export interface ComparedTexts {
  readonly summary: RequestSummary
  readonly parts: readonly { readonly part: ComparedPart; readonly lines: readonly string[] }[]
}

/** The texts of a record, for a comparison with one that may be kept elsewhere. */
export function comparedTexts(record: ExchangeRecord): ComparedTexts {
  const part = (name: ComparedPart, lines: readonly string[]): ComparedTexts['parts'][number] => ({
    part: name,
    // One more says that there were more.
    lines: lines.slice(0, MAX_LINES + 1),
  })
  return {
    summary: record.summary,
    parts: [
      part('request-line', [requestLine(record)]),
      part('request-fields', fieldLines(record.start.fields)),
      part('request-body', bodyLines(record.requestBody)),
      part('status', [statusLine(record)]),
      part('response-fields', fieldLines(record.answer?.fields ?? '')),
      part('response-body', bodyLines(record.responseBody)),
      part('trailers', fieldLines(record.responseTrailers)),
    ],
  }
}

/** Compares the texts of two records, part by part. */
export function compareTexts(a: ComparedTexts, b: ComparedTexts): Comparison {
  let isCut = false
  const lines = a.parts.flatMap(({ part, lines: left }, index) => {
    const right = b.parts[index]?.lines ?? []
    isCut ||= left.length > MAX_LINES || right.length > MAX_LINES
    return diff(left.slice(0, MAX_LINES), right.slice(0, MAX_LINES)).map((line): ComparedLine => ({ part, ...line }))
  })
  return { a: a.summary, b: b.summary, lines, isCut }
}

/** Compares two records, part by part. */
export const compareRecords = (a: ExchangeRecord, b: ExchangeRecord): Comparison => compareTexts(comparedTexts(a), comparedTexts(b))

const requestLine = ({ start }: ExchangeRecord): string => `${start.method} ${start.scheme}://${start.authority}${start.path}`
const statusLine = ({ answer }: ExchangeRecord): string => (answer === undefined ? 'no answer' : `${answer.status} ${answer.reason}`)

/** By name, since order says little. */
const fieldLines = (fields: string): string[] =>
  namedValues(fields)
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .sort()

function bodyLines(body: BodyRecord | undefined): string[] {
  if (body === undefined || body.held.length === 0) return []
  const { bytes } = body.held
  if (bytes.subarray(0, 1_000).includes(0)) return [`${bytes.length} bytes`]
  const type = mediaType(body.type ?? undefined) ?? ''
  const text = bytes.toString('utf8')
  const ordered = type.includes('json') && bytes.length <= MAX_JSON ? orderedJson(text) : undefined
  return (ordered ?? text).split('\n').map(line => line.slice(0, MAX_LINE))
}

function orderedJson(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text), inOrder, 2)
  } catch {
    return undefined
  }
}

/** Members by name. */
function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
}

type Line = Omit<ComparedLine, 'part'>

/** The lines of both: the longest common subsequence of what lies between equal begins and ends, as far as that is not too much work. */
function diff(a: readonly string[], b: readonly string[]): Line[] {
  let first = 0
  while (first < a.length && first < b.length && a[first] === b[first]) first++
  let last = 0
  while (last < a.length - first && last < b.length - first && a[a.length - 1 - last] === b[b.length - 1 - last]) last++
  const [left, right] = [a.slice(first, a.length - last), b.slice(first, b.length - last)]
  const same = (line: string): Line => ({ kind: 'same', a: line, b: line })
  const middle = left.length * right.length > MAX_CELLS ? replaced(left, right) : common(left, right)
  return [...a.slice(0, first).map(same), ...paired(middle), ...a.slice(a.length - last).map(same)]
}

const replaced = (a: readonly string[], b: readonly string[]): Line[] => [
  ...a.map((line): Line => ({ kind: 'removed', a: line, b: null })),
  ...b.map((line): Line => ({ kind: 'added', a: null, b: line })),
]

function common(a: readonly string[], b: readonly string[]): Line[] {
  const width = b.length + 1
  const lengths = new Uint16Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j
      lengths[at] = a[i] === b[j] ? lengths[at + width + 1]! + 1 : Math.max(lengths[at + width]!, lengths[at + 1]!)
    }
  }
  const lines: Line[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) lines.push({ kind: 'same', a: a[i++]!, b: b[j++]! })
    else if (j >= b.length || (i < a.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!))
      lines.push({ kind: 'removed', a: a[i++]!, b: null })
    else lines.push({ kind: 'added', a: null, b: b[j++]! })
  }
  return lines
}

/** Lines that were removed and added in the same place, as changed ones. */
function paired(lines: readonly Line[]): Line[] {
  const result: Line[] = []
  for (let i = 0; i < lines.length;) {
    if (lines[i]!.kind === 'same') {
      result.push(lines[i++]!)
      continue
    }
    const removed: Line[] = []
    const added: Line[] = []
    for (; i < lines.length && lines[i]!.kind !== 'same'; i++) (lines[i]!.kind === 'removed' ? removed : added).push(lines[i]!)
    for (let k = 0; k < Math.max(removed.length, added.length); k++) {
      const [a, b] = [removed[k], added[k]]
      if (a !== undefined && b !== undefined) result.push({ kind: 'changed', a: a.a, b: b.b })
      else result.push((a ?? b)!)
    }
  }
  return result
}
