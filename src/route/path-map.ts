/** The path that the origin gets instead of the one that the policy has seen. Pure text: what is mapped is canonical, and so is the result. */
import { RE2JS } from 're2js'
import { GatewayError, messageOf } from '../errors.ts'
import { canonicalPath } from './path.ts'

/** What a path became. */
export interface MappedPath {
  readonly path: string
  /** True when the prefixes of the map were exchanged, so that what the origin says of paths can be mapped back. */
  readonly isMapped: boolean
}

/** From public paths to those of the origin. */
export interface PathMap {
  /** Prefix of public paths, without a slash at its end; empty for the root. */
  readonly publicPrefix: string
  /** The prefix that stands for it at the origin; undefined when the way back is not known. */
  readonly originPrefix: string | undefined
  /** How `targets explain` calls it. */
  readonly text: string
  /** @throws GatewayError AMBIGUOUS_PATH when a path would not be canonical afterwards */
  map(path: string): MappedPath
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
  ) {
    this.text = `${publicPrefix || '/'} becomes ${originPrefix || '/'}`
  }

  map(path: string): MappedPath {
    if (!isBelow(path, this.publicPrefix)) return { path, isMapped: false }
    const rest = path.slice(this.publicPrefix.length)
    return { path: this.originPrefix + rest || '/', isMapped: true }
  }
}

/** `rewrite` with a pattern, which has to match the whole path; `$1` … `$9` in `to` stand for its groups. */
export class PatternMap implements PathMap {
  readonly publicPrefix = ''
  readonly originPrefix = undefined
  readonly text: string
  readonly #regex: RE2JS
  readonly #parts: readonly (string | number)[]

  /** @throws GatewayError CONFIG_INVALID */
  constructor(pattern: string, to: string) {
    this.text = `${pattern} becomes ${to}`
    if (!pattern.startsWith('^')) invalid('expected a regular expression that starts with "^"')
    if (!to.startsWith('/')) invalid('expected a path that starts with "/"')
    try {
      this.#regex = RE2JS.compile(pattern.slice(1))
    } catch (cause) {
      throw new GatewayError('CONFIG_INVALID', `not a valid regular expression (RE2 syntax): ${messageOf(cause)}`, { cause })
    }
    this.#parts = to.split(/(\$[0-9])/).map(part => (/^\$[0-9]$/.test(part) ? Number(part[1]) : part))
    const groups = this.#regex.groupCount()
    const missing = this.#parts.find(part => typeof part === 'number' && part > groups)
    if (missing !== undefined) invalid(`expected no $${missing}: the expression has ${groups === 1 ? '1 group' : `${groups} groups`}`)
  }

  map(path: string): MappedPath {
    const matcher = this.#regex.matcher(path)
    if (!matcher.matches()) return { path, isMapped: false }
    let mapped = ''
    for (const part of this.#parts) mapped += typeof part === 'number' ? (matcher.group(part) ?? '') : part
    // A group can begin or end anywhere, so that two harmless pieces make a dot segment or half an escape.
    const canonical = canonicalPath(mapped, true)
    if (canonical.ambiguous !== undefined || canonical.path !== mapped)
      throw new GatewayError('AMBIGUOUS_PATH', 'the rewritten path is not canonical')
    return { path: mapped, isMapped: false }
  }
}
