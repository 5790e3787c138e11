import { CENSOR, type FieldKind, type SecretNames } from './secret-names.ts'
import type { Sink } from './sink.ts'
import { TextRedactor } from './text.ts'
import { WrittenJsonRedactor } from './written-json.ts'

/** Told of each place where something was taken out. */
export type Took = (what: string) => void

/** Longest scheme of Authorization. */
const MAX_SCHEME = 40

/**
 * Fields of a head as they may be kept. Authorization keeps its scheme, cookies their names and attributes, URLs everything but secret
 * parameters; the names of all fields stay.
 */
export function redactFields(fields: readonly string[], names: SecretNames, took: Took): readonly string[] {
  let safe: string[] | undefined
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const value = fields[i + 1]!
    const shown = fieldValue(names.fieldKind(fields[i]!), value, names)
    if (shown === value) continue
    safe ??= [...fields]
    safe[i + 1] = shown
    took(`field ${fields[i]!.toLowerCase()}`)
  }
  return safe ?? fields
}

function fieldValue(kind: FieldKind, value: string, names: SecretNames): string {
  if (value === '') return value
  switch (kind) {
    case 'open':
      return redactUrls(value, names)
    case 'secret':
      return withScheme(value)
    case 'cookie':
      return cookies(value)
    case 'set-cookie':
      return setCookie(value)
    case 'protocols':
      return protocols(value)
    case 'shown':
      return value
  }
}

function withScheme(value: string): string {
  // No regular expression looks at secrets: the engine keeps the last text that matched one.
  const end = value.indexOf(' ')
  return end > 0 && end <= MAX_SCHEME && isScheme(value, end) ? `${value.slice(0, end)} ${CENSOR}` : CENSOR
}

/** Characters that a scheme has (RFC 9110 §11.1). */
function isScheme(value: string, end: number): boolean {
  for (let i = 0; i < end; i++) {
    const code = value.charCodeAt(i)
    const isLetter = ((code | 0x20) >= 97 && (code | 0x20) <= 122) || code === 0x2d || code === 0x5f
    if (!isLetter && !(code >= 48 && code <= 57)) return false
  }
  return true
}

const cookies = (value: string): string =>
  value
    .split(';')
    .map(pair => {
      const equals = pair.indexOf('=')
      return equals < 0 ? ` ${CENSOR}` : `${pair.slice(0, equals)}=${CENSOR}`
    })
    .join(';')
    .trim()

function setCookie(value: string): string {
  const end = value.indexOf(';')
  const [pair, attributes] = end < 0 ? [value, ''] : [value.slice(0, end), value.slice(end)]
  const equals = pair.indexOf('=')
  return `${equals < 0 ? '' : pair.slice(0, equals)}=${CENSOR}${attributes}`
}

/** Browsers have no other place for a token of a WebSocket, so programs put it here. */
const MAX_PROTOCOL = 40
const TOKEN_WORDS = ['token', 'bearer', 'auth', 'jwt']

const protocols = (value: string): string =>
  value
    .split(',')
    .map(each => (each.trim().length > MAX_PROTOCOL || TOKEN_WORDS.some(word => each.toLowerCase().includes(word)) ? ` ${CENSOR}` : each))
    .join(',')
    .trim()

/** Parameters with secret names taken out of the URLs in a text, what stands before their hosts to log in, and values of JSON. */
export function redactUrls(value: string, names: SecretNames): string {
  if (!mayHaveSecrets(value)) return value
  const kept: Uint8Array[] = []
  const sink: Sink = (bytes, from, to) => void kept.push(Uint8Array.prototype.slice.call(bytes, from, to))
  const redactor = new WrittenJsonRedactor(names, new TextRedactor(names, sink, 'urls'), 'all')
  const bytes = Buffer.from(value)
  redactor.push(bytes)
  redactor.end()
  // It may be a part of memory that all share.
  bytes.fill(0)
  return redactor.count === 0 ? value : Buffer.concat(kept).toString()
}

/** Most values are neither a URL nor JSON, nor have these in them. */
function mayHaveSecrets(value: string): boolean {
  if (mayHaveJson(value)) return true
  if (value.includes('=')) return value.includes('?') || value.includes('&') || value.includes('#') || value.includes('://')
  return (value.includes('@') && value.includes('://')) || value.includes('%3D') || value.includes('%3d')
}

/** A quote, and what may be a colon. */
const mayHaveJson = (value: string): boolean =>
  (value.includes('"') || value.includes('%22') || value.includes('%25') || value.includes('&')) &&
  (value.includes(':') || value.includes('%3A') || value.includes('%3a') || value.includes('%25') || value.includes(';'))

/** A path with its query. */
export function redactPath(path: string, names: SecretNames, took: Took): string {
  if (!path.includes('=') && !path.includes('%3') && !mayHaveJson(path)) return path
  const safe = redactUrls(path, names)
  if (safe !== path) took('query')
  return safe
}
