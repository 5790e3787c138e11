import { placeOf, type Layout } from './json.ts'

/** Levels that are indented. */
const MAX_DEPTH = 200

/** Lays out XML: a line for each element, two spaces a level; texts stay as they came. Says where elements do not fit into each other. */
export function formatXml(text: string): Layout {
  const lines: string[] = []
  const open: { readonly name: string; readonly at: number }[] = []
  let at = 0
  let line = ''
  const indent = (): string => '  '.repeat(Math.min(open.length, MAX_DEPTH))
  const flush = (): void => {
    if (line.trim() !== '') lines.push(line)
    line = ''
  }
  const fault = (index: number, message: string): Layout => ({ text, fault: placeOf(text, index, message) })
  while (at < text.length) {
    const start = text.indexOf('<', at)
    const content = text.slice(at, start < 0 ? text.length : start)
    if (content.trim() !== '') line += line === '' ? indent() + content.trim() : content
    if (start < 0) break
    const special = SPECIAL.find(([begin]) => text.startsWith(begin, start))
    const end = special === undefined ? endOfTag(text, start) : text.indexOf(special[1], start)
    if (end < 0) return fault(start, special === undefined ? 'this tag is not closed' : `there is no ${special[1]}`)
    at = end + (special?.[1].length ?? 1)
    const tag = text.slice(start, at)
    if (special !== undefined) {
      if (special[0] === '<![CDATA[') line += line === '' ? indent() + tag : tag
      else {
        flush()
        lines.push(indent() + tag)
      }
      continue
    }
    const [, slash = '', name] = /^<(\/?)([^\s/>]+)/.exec(tag) ?? []
    if (name === undefined) return fault(start, 'a tag needs a name')
    if (slash === '/') {
      const last = open.pop()
      if (last === undefined) return fault(start, `</${name}> closes nothing`)
      if (last.name !== name) return fault(start, `</${name}> where </${last.name}> has to be`)
      // An element with a text alone stays on one line.
      if (line === '') lines.push(indent() + tag)
      else lines.push(line + tag)
      line = ''
    } else {
      flush()
      line = indent() + tag
      if (!tag.endsWith('/>')) open.push({ name, at: start })
    }
  }
  flush()
  const unclosed = open.at(-1)
  return unclosed === undefined ? { text: lines.join('\n') } : fault(unclosed.at, `<${unclosed.name}> is never closed`)
}

const SPECIAL = [
  ['<!--', '-->'],
  ['<![CDATA[', ']]>'],
  ['<?', '?>'],
  ['<!', '>'],
] as const

/** The `>` that ends a tag: not one within quotes. */
function endOfTag(text: string, start: number): number {
  let quote = ''
  for (let i = start; i < text.length; i++) {
    const character = text[i]!
    if (quote !== '') {
      if (character === quote) quote = ''
    } else if (character === '"' || character === "'") quote = character
    else if (character === '>') return i
  }
  return -1
}
