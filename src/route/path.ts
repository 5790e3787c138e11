/** One canonical path, computed once: the policy sees it and exactly that is forwarded. RFC 3986 §5.2.4 and §6.2.2. */
import { GatewayError } from '../errors.ts'

/** A request-target in origin-form, split but otherwise as it was sent. */
export interface RequestTarget {
  /** Starts with `/`. */
  readonly path: string
  /** With its `?`; empty when there is none. `path + query` is what was sent. */
  readonly query: string
}

/** The outcome of `canonicalPath`. */
export interface CanonicalPath {
  /** The canonical path; the path as it was sent when that is ambiguous. */
  readonly path: string
  /** The reason why the path can be read in more than one way, in words; undefined when it cannot. */
  readonly ambiguous: string | undefined
}

/**
 * Splits a request-target in origin-form at its first `?`.
 * @param target the raw target; absolute-form and asterisk-form are dealt with before
 * @throws GatewayError BAD_TARGET when it does not start with `/`, or holds `#`, a space or a control character anywhere
 */
export const parseRequestTarget = (target: string): RequestTarget => {
  if (target.charCodeAt(0) !== 0x2f) throw new GatewayError('BAD_TARGET', `request target ${show(target)} does not start with "/"`)
  // Node's parser lets "#" through, and URL parsers cut it off: two readers, two paths.
  if (FORBIDDEN.test(target)) throw new GatewayError('BAD_TARGET', `request target ${show(target)} has "#", a space or a control character`)
  const mark = target.indexOf('?')
  return mark < 0 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark) }
}

/** For a log: without what follows the path, where people put tokens. */
const show = (text: string): string => JSON.stringify(text.replace(/([?#]).*/s, '$1…').slice(0, 100))

// Bytes beyond ASCII may stand in a query: old clients send them, and they decide nothing.
const FORBIDDEN = /[\x00-\x20#\x7f]/

// Segments of plain pchar (RFC 3986 §3.3), none empty but the last, none a dot segment: canonical as it stands.
const PLAIN = /^\/(?:(?!\.\.?(?:[;/]|$))[\w.~!$&'()*+,;=:@-]+(?:\/|$))*$/

const ENCODED_SLASH: readonly [RegExp, string] = [/%2f/i, 'an encoded slash (%2f)']

/** Where encoded slashes are kept: an origin that decodes them first would resolve these. */
const DOTS_BESIDE_ENCODED_SLASH: readonly [RegExp, string] = [
  /%2f(?:\.|%2e){1,2}(?:[/;]|%2f|%3b|$)|(?:^|\/)(?:\.|%2e){1,2}%2f/i,
  'a dot segment beside an encoded slash (..%2f)',
]

const FORMS: readonly (readonly [RegExp, string])[] = [
  [/^(?!\/)/, 'no slash at its start'],
  [/\\|%5c/i, 'a backslash (\\ or %5c)'],
  [/[#?]/, 'a raw "#" or "?"'],
  [/%(?![0-9a-f]{2})/i, 'a percent sign without two hex digits after it'],
  [/%(?:[01]|7f)/i, 'an encoded control character'],
  [/[^ -~]/, 'a raw control character or byte beyond ASCII'],
  [/(?:^|\/)(?:\.|%2e){1,2}(?:;|%3b)/i, 'a dot segment with parameters (..;)'], // Tomcat strips ";…" and resolves the rest
]

const ambiguity = (path: string, keepsEncodedSlash: boolean): string | undefined => {
  for (const [form, words] of [keepsEncodedSlash ? DOTS_BESIDE_ENCODED_SLASH : ENCODED_SLASH, ...FORMS]) if (form.test(path)) return words
  try {
    decodeURIComponent(path)
    return undefined
  } catch {
    return 'percent-encoded bytes that are not valid UTF-8' // overlong forms and surrogates too
  }
}

const normalizeCharacter = (token: string): string => {
  if (token.length === 1) return `%${token.charCodeAt(0).toString(16).toUpperCase()}`
  const character = String.fromCharCode(Number.parseInt(token.slice(1), 16))
  return /[\w.~-]/.test(character) ? character : token.toUpperCase() // unreserved: RFC 3986 §2.3
}

const removeDotSegments = (path: string): string => {
  const kept: string[] = []
  const segments = path.split('/')
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i] ?? ''
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
    if ((segment === '.' || segment === '..') && i === segments.length - 1) kept.push('') // "/a/.." is "/", not ""
  }
  return `/${kept.join('/')}`
}

/**
 * The canonical form of a path: percent-encoded unreserved characters decoded (once), hex digits in upper case, characters that may
 * not stand raw percent-encoded, dot segments resolved. Idempotent.
 * @param rawPath      a path without its query
 * @param mergeSlashes read runs of `/` as one, before dot segments are resolved
 * @param keepsEncodedSlash  `%2F` is a character like others: kept, compared as it is, never decoded
 * @returns an ambiguous path unchanged, with the name of the ambiguous form; `%252e` is not ambiguous, it stays as it is
 */
export const canonicalPath = (rawPath: string, mergeSlashes: boolean, keepsEncodedSlash = false): CanonicalPath => {
  if (PLAIN.test(rawPath)) return { path: rawPath, ambiguous: undefined }
  const ambiguous = ambiguity(rawPath, keepsEncodedSlash)
  if (ambiguous !== undefined) return { path: rawPath, ambiguous }
  const normalized = rawPath.replace(/%[0-9a-f]{2}|[^\w.~!$&'()*+,;=:@/-]/gi, normalizeCharacter)
  return { path: removeDotSegments(mergeSlashes ? normalized.replace(/\/{2,}/g, '/') : normalized), ambiguous: undefined }
}

/**
 * Returns the other readings of a canonical path by an origin that reads it in its own way: without the parameters of its segments
 * (`/admin;x`, as Tomcat does), with encoded slashes decoded (where they are kept), or both, in either order; and with the slashes merged
 * that are left beside each other (`/;x/admin`).
 */
export const otherReadings = (path: string): readonly string[] => {
  const hasParameters = path.includes(';') || path.includes('%3B')
  const hasSlashes = path.includes('%2F')
  if (!hasParameters && !hasSlashes) return []
  const strip = (text: string): string => text.replace(/(?:;|%3B)[^/]*/g, '')
  const decode = (text: string): string => text.replaceAll('%2F', '/')
  const readings = hasSlashes ? [strip(path), decode(path), decode(strip(path)), strip(decode(path))] : [strip(path)]
  return [...new Set(readings.flatMap(each => [each, each.replace(/\/{2,}/g, '/')]))]
}
