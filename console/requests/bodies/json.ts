/** A place in a text, counted from 1, and what is wrong there. */
export interface Fault {
  readonly line: number
  readonly column: number
  readonly message: string
}

/** A body that was laid out for reading. */
export interface Layout {
  readonly text: string
  /** Where the body breaks the syntax; then `text` is as it came. */
  readonly fault?: Fault
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const SPACE = /[ \t\r\n]*/y
const WORDS = ['true', 'false', 'null'] as const
/** Levels, beyond which nobody reads it. */
const MAX_DEPTH = 500

class SyntaxFault extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message)
  }
}

/** Lays out JSON, or several values in a row (NDJSON), two spaces a level. Numbers, escapes and the order of keys stay as they came. */
export function formatJson(text: string): Layout {
  let at = 0
  const space = (): void => {
    SPACE.lastIndex = at
    SPACE.exec(text)
    at = SPACE.lastIndex
  }
  const fail = (expected: string): never => {
    const found = at >= text.length ? 'the end' : JSON.stringify(text[at])
    throw new SyntaxFault(`expected ${expected}, found ${found}`, at)
  }
  const string = (): string => {
    const start = at++
    for (;;) {
      const character = text[at]
      if (character === undefined) throw new SyntaxFault('the text has no closing quote', start)
      if (character < ' ') throw new SyntaxFault('a control character in a text has to be escaped', at)
      if (character === '"') return text.slice(start, ++at)
      if (character === '\\') {
        if (!/^\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/.test(text.slice(at, at + 6))) throw new SyntaxFault('there is no such escape', at)
        at++
      }
      at++
    }
  }
  const value = (depth: number): string => {
    space()
    if (depth > MAX_DEPTH) throw new SyntaxFault(`more than ${MAX_DEPTH} levels`, at)
    const character = text[at]
    if (character === '"') return string()
    if (character === '{' || character === '[') return group(depth, character)
    for (const word of WORDS)
      if (text.startsWith(word, at)) {
        at += word.length
        return word
      }
    NUMBER.lastIndex = at
    const number = NUMBER.exec(text)?.[0]
    if (number === undefined) return fail('a value')
    at += number.length
    return number
  }
  const group = (depth: number, open: '{' | '['): string => {
    const close = open === '{' ? '}' : ']'
    const inner = '  '.repeat(depth + 1)
    const items: string[] = []
    at++
    space()
    if (text[at] === close) {
      at++
      return open + close
    }
    for (;;) {
      space()
      let key = ''
      if (open === '{') {
        if (text[at] !== '"') fail('a key in quotes')
        key = `${string()}: `
        space()
        if (text[at] !== ':') fail('a colon')
        at++
      }
      items.push(inner + key + value(depth + 1))
      space()
      if (text[at] === close) break
      if (text[at] !== ',') fail(`a comma or ${close}`)
      at++
    }
    at++
    return `${open}\n${items.join(',\n')}\n${'  '.repeat(depth)}${close}`
  }
  try {
    const values: string[] = []
    do {
      values.push(value(0))
      space()
    } while (at < text.length && /[\s]/.test(text[at - 1]!))
    if (at < text.length) fail('the end')
    return { text: values.join('\n') }
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    return { text, fault: placeOf(text, error.at, error.message) }
  }
}

/** Line and column of an index. */
export function placeOf(text: string, index: number, message: string): Fault {
  const before = text.slice(0, index)
  const line = before.split('\n').length
  return { line, column: index - (before.lastIndexOf('\n') + 1) + 1, message }
}
