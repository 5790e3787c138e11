import { decoded } from './form.ts'
import { CENSOR, type SecretNames } from './secret-names.ts'

/** Told of each place where something was taken out. */
export type Took = (what: string) => void

/** Characters that a scheme of Authorization has (RFC 9110 §11.1). */
const SCHEME = /^[\w-]{1,40}(?= )/

/**
 * Fields of a head as they may be kept. Authorization keeps its scheme, cookies their names and attributes, URLs everything but secret
 * parameters; the names of all fields stay.
 */
export function redactFields(fields: readonly string[], names: SecretNames, took: Took): string[] {
  const safe = [...fields]
  for (let i = 0; i + 1 < safe.length; i += 2) {
    const name = safe[i]!.toLowerCase()
    const value = safe[i + 1]!
    const shown = fieldValue(name, value, names)
    if (shown === value) continue
    safe[i + 1] = shown
    took(`field ${name}`)
  }
  return safe
}

function fieldValue(name: string, value: string, names: SecretNames): string {
  if (value === '') return value
  if (name === 'cookie' && names.isSecretField(name)) return cookies(value)
  if (name === 'set-cookie' && names.isSecretField(name)) return setCookie(value)
  if (name === 'sec-websocket-protocol') return protocols(value)
  if (name.endsWith('authenticate') || name === 'www-authenticate') return value
  if (names.isSecretField(name)) return withScheme(value)
  return redactUrls(value, names)
}

function withScheme(value: string): string {
  const scheme = SCHEME.exec(value)?.[0]
  return scheme === undefined ? CENSOR : `${scheme} ${CENSOR}`
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

const protocols = (value: string): string =>
  value
    .split(',')
    .map(each => (each.trim().length > MAX_PROTOCOL || /token|bearer|auth|jwt/i.test(each) ? ` ${CENSOR}` : each))
    .join(',')
    .trim()

/** Parameters with secret names taken out of whatever has a query or a fragment, and the password before the host of a URL. */
export function redactUrls(value: string, names: SecretNames): string {
  const safe = value.includes('://') ? withoutPassword(value) : value
  const mark = /[?#]/.exec(safe)?.index ?? -1
  if (mark < 0 || !safe.includes('=', mark)) return safe
  return safe.slice(0, mark) + redactQuery(safe.slice(mark), names)
}

/** A path with its query. */
export function redactPath(path: string, names: SecretNames, took: Took): string {
  const mark = path.indexOf('?')
  if (mark < 0) return path
  const safe = path.slice(0, mark) + redactQuery(path.slice(mark), names)
  if (safe !== path) took('query')
  return safe
}

/** `text` begins with what begins its first parameter. */
function redactQuery(text: string, names: SecretNames): string {
  let safe = ''
  let at = 0
  while (at < text.length) {
    // A parameter from its separator to the next one, or to what ends a URL in a list or a sentence.
    let end = at + 1
    while (end < text.length && !SEPARATORS.has(text[end]!)) end++
    const pair = text.slice(at, end)
    const equals = pair.indexOf('=')
    const isSecret = equals > 0 && names.isSecretInQuery(decoded(pair.slice(1, equals)))
    safe += isSecret ? pair.slice(0, equals + 1) + CENSOR : pair
    at = end
  }
  return safe
}

const SEPARATORS: ReadonlySet<string> = new Set(['&', ';', '?', '#', ' ', '"', '<', '>', ','])

/** RFC 3986 §3.2.1. */
function withoutPassword(value: string): string {
  const parts = value.split('://')
  return parts
    .map((part, i) => {
      if (i === 0) return part
      const end = /[/?#\s"<>,]/.exec(part)?.index ?? part.length
      const at = part.lastIndexOf('@', end)
      return at < 0 || at > end ? part : `${CENSOR}${part.slice(at)}`
    })
    .join('://')
}
