import { GatewayError } from '../../errors.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import { fieldsOf } from '../kept/fields-text.ts'

/** Says whether a record is wanted. */
export type Matcher = (record: ExchangeRecord) => boolean

const MAX_LENGTH = 1_000
const MAX_TERMS = 30

/** One term of a filter, taken apart. */
interface Term {
  readonly isNegated: boolean
  /** Empty for a word alone. */
  readonly key: string
  readonly value: string
  /** Where it stands, from 1. */
  readonly column: number
}

/**
 * Reads a filter: terms between spaces, all of which have to hold; `-` before one turns it round, quotes keep spaces together.
 * docs/inspector.md lists the keys.
 * @throws GatewayError INVALID with the place of the fault
 */
export function compileFilter(text: string): Matcher {
  if (text.length > MAX_LENGTH) throw new GatewayError('INVALID', `filter: at most ${MAX_LENGTH} characters`)
  const terms = termsOf(text)
  if (terms.length > MAX_TERMS) throw new GatewayError('INVALID', `filter: at most ${MAX_TERMS} terms`)
  // Bodies are looked at last.
  const matchers = terms
    .map(term => ({ term, matches: matcherOf(term) }))
    .sort((a, b) => costOf(a.term) - costOf(b.term))
    .map(({ term, matches }): Matcher => (term.isNegated ? record => !matches(record) : matches))
  return record => matchers.every(matches => matches(record))
}

const costOf = ({ key }: Term): number => (key === 'text' || key === 'body' ? 2 : key === 'header' ? 1 : 0)

function termsOf(text: string): Term[] {
  const terms: Term[] = []
  let at = 0
  while (at < text.length) {
    if (text[at] === ' ') {
      at++
      continue
    }
    const column = at + 1
    const isNegated = text[at] === '-'
    if (isNegated) at++
    let word = ''
    let key: string | undefined
    let isQuoted = false
    while (at < text.length && (isQuoted || text[at] !== ' ')) {
      const char = text[at++]!
      if (char === '"') isQuoted = !isQuoted
      else if (char === ':' && !isQuoted && key === undefined && KEYS.has(word.toLowerCase())) {
        key = word.toLowerCase()
        word = ''
      } else word += char
    }
    if (isQuoted) throw new GatewayError('INVALID', `filter: the quote of the term at column ${column} does not end`)
    if (word === '') throw new GatewayError('INVALID', `filter: the term at column ${column} is empty`)
    terms.push({ isNegated, key: key ?? '', value: word, column })
  }
  return terms
}

const KEYS: ReadonlyMap<string, (term: Term) => Matcher> = new Map([
  ['host', textKey(({ start }) => start.authority)],
  ['path', textKey(({ start }) => start.path)],
  ['target', textKey(({ start }) => start.target)],
  ['visitor', textKey(({ ended }) => ended?.visitor)],
  ['identity', textKey(({ ended }) => ended?.visitor)],
  ['client', textKey(({ start }) => start.client)],
  ['inner', textKey(({ ended }) => ended?.innerLayer)],
  ['code', textKey(({ ended }) => ended?.error)],
  ['type', textKey(record => record.summary.type ?? undefined)],
  ['id', textKey(({ id }) => id)],
  ['method', exactKey(({ start }) => start.method)],
  ['kind', exactKey(({ kind }) => kind)],
  ['status', numberKey(({ answer }) => answer?.status, statusOf)],
  ['duration', numberKey(({ times, start }) => (times.endMs === undefined ? undefined : times.endMs - start.startedMs), durationOf)],
  ['size', numberKey(({ responseBytes }) => responseBytes, sizeOf)],
  ['is', stateKey],
  ['header', headerKey],
  ['text', term => textMatcher(term.value, true)],
  ['body', term => textMatcher(term.value, false)],
])

function matcherOf(term: Term): Matcher {
  const key = KEYS.get(term.key)
  if (key !== undefined) return key(term)
  const needle = term.value.toLowerCase()
  return ({ start, answer, ended }) =>
    start.path.toLowerCase().includes(needle) ||
    start.authority.toLowerCase().includes(needle) ||
    start.method.toLowerCase() === needle ||
    String(answer?.status ?? '') === needle ||
    ended?.error?.toLowerCase() === needle
}

/** A part of the text, or all of it with `*` for any characters. */
function textKey(of: (record: ExchangeRecord) => string | undefined): (term: Term) => Matcher {
  return ({ value }) => {
    const wanted = value.toLowerCase()
    if (!wanted.includes('*')) return record => of(record)?.toLowerCase().includes(wanted) === true
    const pieces = wanted.split('*')
    return record => {
      const text = of(record)?.toLowerCase()
      return text !== undefined && globMatches(pieces, text)
    }
  }
}

/** Each piece is looked for once, from left to right: linear. */
function globMatches(pieces: readonly string[], text: string): boolean {
  const first = pieces[0]!
  const last = pieces.at(-1)!
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return at <= text.length - last.length
}

function exactKey(of: (record: ExchangeRecord) => string): (term: Term) => Matcher {
  return ({ value }) => {
    const wanted = new Set(value.toLowerCase().split(','))
    return record => wanted.has(of(record).toLowerCase())
  }
}

/** A range of numbers, both ends of which belong to it. */
type Range = readonly [least: number, most: number]

function numberKey(of: (record: ExchangeRecord) => number | undefined, read: (text: string) => Range | undefined): (term: Term) => Matcher {
  return term => {
    const ranges = term.value.split(',').map(each => rangeOf(each, read, term))
    return record => {
      const number = of(record)
      return number !== undefined && ranges.some(([least, most]) => number >= least && number <= most)
    }
  }
}

const COMPARED = /^(>=|<=|>|<|=)?(.*)$/s

function rangeOf(text: string, read: (text: string) => Range | undefined, { key, column }: Term): Range {
  const [, sign = '=', rest = ''] = COMPARED.exec(text) ?? []
  const dots = rest.indexOf('..')
  const [low, high] = dots < 0 ? [read(rest), read(rest)] : [read(rest.slice(0, dots)), read(rest.slice(dots + 2))]
  if (low === undefined || high === undefined)
    throw new GatewayError('INVALID', `filter: ${key} at column ${column}: expected a number such as ${EXAMPLES.get(key) ?? '1'}`)
  if (sign === '>') return [high[1] + Number.EPSILON * Math.max(1, high[1]), Infinity]
  if (sign === '>=') return [low[0], Infinity]
  if (sign === '<') return [-Infinity, low[0] - Number.EPSILON * Math.max(1, low[0])]
  if (sign === '<=') return [-Infinity, high[1]]
  return [low[0], high[1]]
}

const EXAMPLES: ReadonlyMap<string, string> = new Map([
  ['status', '404, 5xx, >=400 or 200..299'],
  ['duration', '>500ms or 1s..2s'],
  ['size', '>10k'],
])

function statusOf(text: string): Range | undefined {
  if (/^[1-5]xx$/i.test(text)) return [Number(text[0]) * 100, Number(text[0]) * 100 + 99]
  return /^\d{3}$/.test(text) ? [Number(text), Number(text)] : undefined
}

function durationOf(text: string): Range | undefined {
  const [, number, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? []
  if (number === undefined) return undefined
  const ms = Number(number) * (unit === 'ms' ? 1 : unit === 's' ? 1_000 : 60_000)
  return [ms, ms]
}

function sizeOf(text: string): Range | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([km]?)(?:i?b)?$/i.exec(text) ?? []
  if (number === undefined) return undefined
  const bytes = Number(number) * (unit === '' ? 1 : unit.toLowerCase() === 'k' ? 1_024 : 1_048_576)
  return [bytes, bytes]
}

const STATES: ReadonlyMap<string, Matcher> = new Map<string, Matcher>([
  ['open', ({ isOver }) => !isOver],
  ['over', ({ isOver }) => isOver],
  ['error', ({ ended, answer }) => ended?.error !== undefined || (answer?.status ?? 0) >= 400],
  ['replay', ({ replayOf }) => replayOf !== undefined],
  ['imported', ({ start }) => start.isImported === true],
  [
    'redacted',
    ({ redacted, requestBody, responseBody }) => redacted.size > 0 || (requestBody?.redactions ?? 0) + (responseBody?.redactions ?? 0) > 0,
  ],
])

function stateKey({ value, column }: Term): Matcher {
  const matches = STATES.get(value.toLowerCase())
  if (matches === undefined) throw new GatewayError('INVALID', `filter: is at column ${column}: expected ${[...STATES.keys()].join(', ')}`)
  return matches
}

/** `header:name`, or `header:"name: part of the value"`, of the request or the answer. */
function headerKey({ value }: Term): Matcher {
  const colon = value.indexOf(':')
  const name = (colon < 0 ? value : value.slice(0, colon)).trim().toLowerCase()
  const part =
    colon < 0
      ? ''
      : value
          .slice(colon + 1)
          .trim()
          .toLowerCase()
  const isIn = (text: string | undefined): boolean => {
    if (text === undefined) return false
    const fields = fieldsOf(text)
    return fields.some((each, i) => i % 2 === 0 && each.toLowerCase() === name && (fields[i + 1] ?? '').toLowerCase().includes(part))
  }
  return ({ start, answer }) => isIn(start.fields) || isIn(answer?.fields)
}

/** Compares ASCII letters in any case, and other letters as they are written. */
function textMatcher(value: string, withHeads: boolean): Matcher {
  const needle = value.toLowerCase()
  const inBytes = Buffer.from(value, 'utf8').map(byte => LOWER[byte]!)
  const has = (bytes: Buffer | undefined): boolean => bytes !== undefined && includesLower(bytes, inBytes)
  return record => {
    const { start, answer, messages } = record
    if (
      withHeads &&
      (start.path.toLowerCase().includes(needle) ||
        start.fields.toLowerCase().includes(needle) ||
        answer?.fields.toLowerCase().includes(needle) === true)
    )
      return true
    if (has(record.requestBody?.held.bytes) || has(record.responseBody?.held.bytes)) return true
    return messages?.all.some(({ body }) => has(body.bytes)) === true
  }
}

/** Letters of ASCII in lower case, other bytes as they are. */
const LOWER: Readonly<Uint8Array> = Uint8Array.from({ length: 256 }, (_each, byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte))

/** Looks for `wanted`, which is in lower case, without a text of all the bytes. Linear but for what repeats the begin of `wanted`. */
function includesLower(bytes: Uint8Array, wanted: Uint8Array): boolean {
  const first = wanted[0]!
  const last = bytes.length - wanted.length
  for (let at = 0; at <= last; at++) {
    if (LOWER[bytes[at]!] !== first) continue
    let i = 1
    while (i < wanted.length && LOWER[bytes[at + i]!] === wanted[i]) i++
    if (i === wanted.length) return true
  }
  return false
}
