import type { RequestSummary } from './records.ts'

/** A filter as it was typed, ready to be asked; or what is wrong with it. */
export interface Filter {
  readonly matches: (record: RequestSummary) => boolean
  readonly fault: string | undefined
}

type Test = (record: RequestSummary) => boolean

/** Names that stand before a colon. */
export const FILTER_NAMES = [
  'host',
  'path',
  'method',
  'status',
  'ms',
  'bytes',
  'code',
  'visitor',
  'client',
  'target',
  'inner',
  'kind',
  'type',
] as const

const TEXTS: ReadonlyMap<string, (record: RequestSummary) => string> = new Map([
  ['host', record => record.host],
  ['path', record => record.path],
  ['method', record => record.method],
  ['code', record => record.error ?? ''],
  ['visitor', record => record.visitor ?? ''],
  ['client', record => record.client ?? ''],
  ['target', record => record.target ?? ''],
  ['inner', record => record.innerLayer ?? ''],
  ['kind', record => record.kind],
  ['type', record => record.type ?? ''],
])
const NUMBERS: ReadonlyMap<string, (record: RequestSummary) => number> = new Map([
  ['ms', record => record.durationMs ?? 0],
  ['bytes', record => record.requestBytes + record.responseBytes],
  ['status', record => record.status ?? 0],
])

/**
 * Reads a filter: words that all have to fit. `host:api`, `path:/v1`, `status:5xx`, `status:404`, `ms:>500`, `code:ORIGIN`, `visitor:ada`; any other
 * word is looked for in method, host and path. `-` before a word: it must not fit. Quotes keep spaces together.
 */
export function parseFilter(text: string): Filter {
  const tests: Test[] = []
  for (const word of wordsOf(text)) {
    const isNot = word.startsWith('-') && word.length > 1
    const test = testOf(isNot ? word.slice(1) : word)
    if (typeof test === 'string') return { matches: () => true, fault: test }
    tests.push(isNot ? record => !test(record) : test)
  }
  return { matches: record => tests.every(test => test(record)), fault: undefined }
}

function testOf(word: string): Test | string {
  const colon = word.indexOf(':')
  const name = word.slice(0, Math.max(0, colon)).toLowerCase()
  const value = word.slice(colon + 1)
  const number = NUMBERS.get(name)
  if (number !== undefined) return numberTest(name, number, value)
  const read = TEXTS.get(name)
  const wanted = (read === undefined ? word : value).toLowerCase()
  if (read !== undefined) return record => read(record).toLowerCase().includes(wanted)
  return record => `${record.method} ${record.host}${record.path}`.toLowerCase().includes(wanted)
}

function numberTest(name: string, read: (record: RequestSummary) => number, value: string): Test | string {
  const [, family] = /^([1-5])xx$/i.exec(value) ?? []
  if (name === 'status' && family !== undefined) return record => Math.floor(read(record) / 100) === Number(family)
  const [, sign = '=', digits] = /^(>=|<=|>|<|=)?(\d{1,12})$/.exec(value) ?? []
  if (digits === undefined) return `${name}: expected a number, such as ${name}:>500${name === 'status' ? ' or status:5xx' : ''}`
  const limit = Number(digits)
  if (sign === '>') return record => read(record) > limit
  if (sign === '<') return record => read(record) < limit
  if (sign === '>=') return record => read(record) >= limit
  if (sign === '<=') return record => read(record) <= limit
  return record => read(record) === limit
}

function wordsOf(text: string): readonly string[] {
  const words: string[] = []
  let word = ''
  let isQuoted = false
  for (const character of text) {
    if (character === '"') isQuoted = !isQuoted
    else if (character === ' ' && !isQuoted) {
      if (word !== '') words.push(word)
      word = ''
    } else word += character
  }
  return word === '' ? words : [...words, word]
}
