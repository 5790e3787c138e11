/** Path → route of one target. Their order in the file means nothing. */
import type { RE2JS } from 're2js'
import { GatewayError, messageOf } from '../errors.ts'
import { parsePrefix } from './path-map.ts'
import { compileRe2 } from './re2.ts'

/** The key `path` of a route, compiled. */
export class RoutePath {
  /** A prefix in canonical form: `/v1` covers `/v1` and what is below, `/v1/` only what is below; undefined for an expression. */
  readonly prefix: string | undefined
  readonly #regex: RE2JS | undefined

  /**
   * @param text  a path, or a regular expression with a leading `^`, which has to match the whole path
   * @throws GatewayError CONFIG_INVALID
   */
  constructor(readonly text: string) {
    if (text.length > 2_000) throw new GatewayError('CONFIG_INVALID', 'expected a path of at most 2000 characters')
    if (text.startsWith('^')) {
      try {
        this.#regex = compileRe2(text.slice(1))
      } catch (cause) {
        throw new GatewayError('CONFIG_INVALID', `not a valid regular expression (RE2 syntax): ${messageOf(cause)}`, { cause })
      }
    } else {
      const prefix = parsePrefix(text)
      this.prefix = text.endsWith('/') ? `${prefix}/` : prefix
    }
  }

  /** Does the expression match? A prefix is looked up instead. */
  matches(path: string): boolean {
    return this.#regex?.testExact(path) === true
  }

  /** Two routes with the same key would be one too many. */
  get key(): string {
    return this.prefix ?? this.text
  }
}

/** The longer text says more; of two that are equally long the order of the alphabet decides, so that the order of the file never does. */
const isBefore = (a: string, b: string): number => b.length - a.length || (a < b ? -1 : 1)

/** A target that is for some paths only. */
interface Routed {
  readonly path?: RoutePath | undefined
  readonly keepsEncodedSlash?: boolean | undefined
}

/** The routes of one target. */
export class Routes<Target extends Routed> {
  /** Expressions by their length, then prefixes by theirs: the order in which they are asked. */
  readonly all: readonly Target[]
  /** Does one of them keep encoded slashes? */
  readonly keepsEncodedSlash: boolean
  readonly #expressions: readonly (readonly [RoutePath, Target])[]
  readonly #prefixes = new Map<string, Target>()
  #longest = 0

  /** @param routes  each with its `path`, no two with the same */
  constructor(routes: readonly Target[]) {
    const pathOf = (route: Target): RoutePath => route.path!
    const sorted = [...routes].sort((a, b) => isBefore(pathOf(a).key, pathOf(b).key))
    const expressions = sorted.filter(route => pathOf(route).prefix === undefined)
    const prefixes = sorted.filter(route => pathOf(route).prefix !== undefined)
    this.keepsEncodedSlash = routes.some(route => route.keepsEncodedSlash === true)
    this.all = Object.freeze([...expressions, ...prefixes])
    this.#expressions = expressions.map(route => [pathOf(route), route])
    for (const route of prefixes) {
      const { prefix = '' } = pathOf(route)
      this.#prefixes.set(prefix, route)
      this.#longest = Math.max(this.#longest, prefix.length)
    }
  }

  /**
   * The route for a canonical path: an expression that matches, the longest first, before the longest prefix.
   * @returns undefined when the target itself is meant
   */
  match(path: string): Target | undefined {
    for (const [expression, route] of this.#expressions) if (expression.matches(path)) return route
    if (this.#prefixes.size === 0) return undefined
    const exact = path.length <= this.#longest ? this.#prefixes.get(path) : undefined
    if (exact !== undefined) return exact
    // No further than the longest prefix reaches: a path may have thousands of slashes.
    for (let at = path.lastIndexOf('/', this.#longest); at >= 0; at = at === 0 ? -1 : path.lastIndexOf('/', at - 1)) {
      const route = this.#prefixes.get(path.slice(0, at + 1)) ?? this.#prefixes.get(path.slice(0, at))
      if (route !== undefined) return route
    }
    return undefined
  }
}
