/** The path that the origin gets instead of the one that the policy has seen. Pure text: what is mapped is canonical, and so is the result. */
import type { RE2JS } from 're2js'
import { GatewayError, messageOf } from '../errors.ts'
import { canonicalPath } from './path.ts'
import { compileRe2 } from './re2.ts'

/** A path after the map. */
export interface MappedPath {
  readonly path: string
  /** With its `?`; empty when there is none. */
  readonly query: string
  /** True when the prefixes of the map were exchanged, so that what the origin says of paths can be mapped back. */
  readonly isMapped: boolean
}

/** From public paths to those of the origin. */
export interface PathMap {
  /** Prefix of public paths, without a slash at its end; empty for the root. */
  readonly publicPrefix: string
  /** The prefix that stands for it at the origin; undefined when the way back is not known. */
  readonly originPrefix: string | undefined
  /** Is the prefix itself, without a slash behind it, no good address? What the origin gets for it is its root, whose relative links need one. */
  readonly addsSlash: boolean
  /** The map in words, for `targets explain`. */
  readonly text: string
  /** @throws GatewayError AMBIGUOUS_PATH when a path would not be canonical afterwards */
  map(path: string, query?: string): MappedPath
}

const invalid = (message: string): never => {
  throw new GatewayError('CONFIG_INVALID', message)
}

/**
 * A prefix of paths as it is compared, by whole segments: `/app/` and `/app` are `/app`, and `/` is the empty one.
 * @throws GatewayError CONFIG_INVALID when it is no canonical path
 */
export const parsePrefix = (text: string): string => {
  if (!text.startsWith('/')) invalid('expected a path that starts with "/"')
  if (/[?#]/.test(text)) invalid('expected a path without "?" and "#"')
  const encoded = text.replace(/[^ -~]/gu, character => Buffer.from(character).toString('hex').replace(/../g, '%$&'))
  const { path, ambiguous } = canonicalPath(encoded, true)
  if (ambiguous !== undefined) invalid(`expected a path that can be read in one way only; it has ${ambiguous}`)
  return path.endsWith('/') ? path.slice(0, -1) : path
}

/** Is `path` the prefix, or below it? */
export const isBelow = (path: string, prefix: string): boolean =>
  path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f)

/** One prefix for another: `stripPrefix`, and `rewrite` with a path. Both as `parsePrefix` gives them. */
export class PrefixMap implements PathMap {
  readonly text: string

  constructor(
    readonly publicPrefix: string,
    readonly originPrefix: string,
    readonly addsSlash = false,
  ) {
    this.text = `${publicPrefix || '/'} becomes ${originPrefix || '/'}`
  }

  map(path: string, query = ''): MappedPath {
    if (!isBelow(path, this.publicPrefix)) return { path, query, isMapped: false }
    const rest = path.slice(this.publicPrefix.length)
    return { path: this.originPrefix + rest || '/', query, isMapped: true }
  }
}

/** A pattern of `rewrite`, matched whole. @throws GatewayError CONFIG_INVALID */
export const compilePattern = (pattern: string): RE2JS => {
  if (!pattern.startsWith('^')) return invalid('expected a regular expression that starts with "^"')
  try {
    return compileRe2(pattern.slice(1))
  } catch (cause) {
    throw new GatewayError('CONFIG_INVALID', `not a valid regular expression (RE2 syntax): ${messageOf(cause)}`, { cause })
  }
}

/** Texts, and numbers of groups between them. */
type Parts = readonly (string | number)[]

/** The replacement for paths, with `$1` … `$9` for groups: a path, and a query if there is a `?`. */
export interface Replacement {
  readonly path: Parts
  /** Without its `?`; undefined when there is none. */
  readonly query: Parts | undefined
}

const partsOf = (text: string): Parts => text.split(/(\$[0-9])/).map(part => (/^\$[0-9]$/.test(part) ? Number(part[1]) : part))

const filled = (parts: Parts, groupOf: (group: number) => string): string =>
  parts.map(part => (typeof part === 'number' ? groupOf(part) : part)).join('')

/** Texts that stand for a group when a replacement is tried: a plain text, and one that completes an escape. */
const PROBES = ['x', '20'] as const

/**
 * Reads the `to` of `rewrite`, and tries it: what could never become a canonical path is a fault, not a refusal of every request.
 * @param groups  of the pattern
 * @throws GatewayError CONFIG_INVALID
 */
export const compileReplacement = (to: string, groups: number, keepsEncodedSlash: boolean): Replacement => {
  if (!to.startsWith('/')) invalid('expected a path that starts with "/"')
  if (to.includes('#')) invalid('expected a path without "#": origins never get a fragment')
  if (/[\x00-\x20\x7f]/.test(to)) invalid('expected a path without spaces and control characters; a space is %20')
  const encoded = to.replace(/[^ -~]/gu, character => Buffer.from(character).toString('hex').toUpperCase().replace(/../g, '%$&'))
  const mark = encoded.indexOf('?')
  const path = partsOf(mark < 0 ? encoded : encoded.slice(0, mark))
  const query = mark < 0 ? undefined : partsOf(encoded.slice(mark + 1))
  const missing = [...path, ...(query ?? [])].find(part => typeof part === 'number' && part > groups)
  if (missing !== undefined) invalid(`expected no $${missing}: the expression has ${groups === 1 ? '1 group' : `${groups} groups`}`)
  const tries = PROBES.map(probe => {
    const tried = filled(path, () => probe)
    return { tried, ...canonicalPath(tried, true, keepsEncodedSlash) }
  })
  const [first] = tries
  if (first !== undefined && tries.every(each => each.ambiguous !== undefined || each.path !== each.tried))
    invalid(
      `never becomes a path that is forwarded: ${first.ambiguous === undefined ? `it would have to be ${first.path}` : `it has ${first.ambiguous}`}`,
    )
  return { path, query }
}

/** In a query, what came from a path is one value: these would end it, or mean a space. */
const inQuery = (text: string): string => text.replace(/[&;=+]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/** `rewrite` with a pattern, which has to match the whole path. */
export class PatternMap implements PathMap {
  readonly publicPrefix = ''
  readonly originPrefix = undefined
  readonly addsSlash = false
  readonly text: string
  readonly #regex: RE2JS
  readonly #to: Replacement

  /** @throws GatewayError CONFIG_INVALID */
  constructor(
    pattern: string,
    to: string,
    private readonly keepsEncodedSlash = false,
  ) {
    this.text = `${pattern} becomes ${to}`
    this.#regex = compilePattern(pattern)
    this.#to = compileReplacement(to, this.#regex.groupCount(), keepsEncodedSlash)
  }

  map(path: string, query = ''): MappedPath {
    const matcher = this.#regex.matcher(path)
    if (!matcher.matches()) return { path, query, isMapped: false }
    const groupOf = (group: number): string => matcher.group(group) ?? ''
    const mapped = filled(this.#to.path, groupOf)
    // A group can begin or end anywhere, so that two harmless pieces make a dot segment or half an escape.
    const canonical = canonicalPath(mapped, true, this.keepsEncodedSlash)
    if (canonical.ambiguous !== undefined || canonical.path !== mapped)
      throw new GatewayError('AMBIGUOUS_PATH', 'the rewritten path is not canonical')
    if (this.#to.query === undefined) return { path: mapped, query, isMapped: false }
    const own = filled(this.#to.query, group => inQuery(groupOf(group)))
    // Ours first: of a parameter that comes twice, most origins take the first.
    return { path: mapped, query: query.length > 1 ? `?${own}&${query.slice(1)}` : `?${own}`, isMapped: false }
  }
}
