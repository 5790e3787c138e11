/** A long targets file in pieces, each of which is a document of some hosts: together they mean the same as the whole. */

/** A part of a file that is read as a document of its own. */
export interface Piece {
  readonly text: string
  /** Number of its first line in the file; 1 for the file as a whole. */
  readonly firstLine: number
}

/** Below it, a file is read in one piece: characters. */
const WHOLE = 32_768
/** Hosts are collected up to this, characters. */
const PIECE = 8_192

/** Lines that are looked at in one go. */
const LINES = 4_096

/** Syntax that may reach from one host into another, or make several documents of the file: anchors, markers and directives. */
const ACROSS = /(?:^|[\s,[{:])&[^\s&]|^(?:---|\.\.\.|%)/m
const HEADING = /^targets:[ \t]*(?:#.*)?\r?$/
const BLANK = /^[ \t]*(?:#.*)?\r?$/

const indentOf = (line: string): number => line.length - line.trimStart().length

/** Where the section `targets` stands, and where each of its hosts begins: indexes of lines. */
interface HostLines {
  readonly heading: number
  readonly end: number
  readonly starts: readonly number[]
}

/** Finds the lines of the hosts; undefined unless all of them are plain block style. Pauses now and then. */
function* hostLines(lines: readonly string[]): Generator<undefined, HostLines | undefined> {
  const heading = lines.findIndex(line => HEADING.test(line))
  if (heading < 0) return undefined
  const starts: number[] = []
  let indent = 0
  let end = heading + 1
  for (; end < lines.length; end++) {
    if (end % LINES === 0) yield
    const line = lines[end]!
    const own = indentOf(line)
    // Most lines are keys of a host.
    if ((own > indent && indent > 0) || BLANK.test(line)) continue
    if (own === 0) break
    if (indent === 0) indent = own
    // Whatever stands at the column of the hosts is one: all that belongs to a host stands further in (YAML 1.2 §8.2.2). Else it is no plain one.
    if (own < indent || /^[-?}\]]/.test(line.trimStart())) return undefined
    starts.push(end)
  }
  return starts.length < 2 ? undefined : { heading, end, starts }
}

/** The file in one piece, or what is beside the hosts and then the hosts, some at a time. Between pieces there are pauses, undefined. */
export function* piecesOf(text: string): Generator<Piece | undefined> {
  const lines = text.length < WHOLE || ACROSS.test(text) ? [] : text.split('\n')
  yield
  const found = yield* hostLines(lines)
  if (found === undefined) {
    yield { text, firstLine: 1 }
    return
  }
  const { heading, end, starts } = found
  // Lines stay where they are, so that faults have their places.
  const gap = '\n'.repeat(end - heading - 1)
  yield { text: [...lines.slice(0, heading), `targets: {}${gap}`, ...lines.slice(end)].join('\n'), firstLine: 1 }
  let first = starts[0]!
  let size = 0
  for (const [i, start] of starts.entries()) {
    const next = starts[i + 1] ?? end
    for (let line = start; line < next; line++) size += lines[line]!.length + 1
    if (size < PIECE && next !== end) continue
    // The heading takes the place of the line before the first host.
    yield { text: `targets:\n${lines.slice(first, next).join('\n')}\n`, firstLine: first }
    first = next
    size = 0
  }
}
