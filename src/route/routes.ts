/** Path → route of one target. Their order in the file means nothing. */
import type { RE2JS } from 're2js'
import { GatewayError, messageOf } from '../errors.ts'
import { parsePrefix } from './path-map.ts'
import { compileRe2 } from './re2.ts'
import { RouteMatch, type RequestFacts } from './route-match.ts'

/** Expressions of characters that stand for themselves, some of them behind a backslash. */
const LITERAL = /^\^(?:[A-Za-z0-9/_~%!,;=:@&'-]|\\[.*+?^${}()|[\]/-])*$/

/** The key `path` of a route, compiled. */
export class RoutePath {
  /** A prefix in canonical form: `/v1` covers `/v1` and what is below, `/v1/` only what is below; undefined for an expression. */
  readonly prefix: string | undefined
  readonly #regex: RE2JS | undefined
  /** Of an expression without operators: the one path that it matches. */
  readonly #literal: string | undefined

  /**
   * @param text  a path, or a regular expression with a leading `^`, which has to match the whole path
   * @throws GatewayError CONFIG_INVALID
   */
  constructor(readonly text: string) {
    if (text.length > 2_000) throw new GatewayError('CONFIG_INVALID', 'expected a path of at most 2000 characters')
    if (LITERAL.test(text)) this.#literal = text.slice(1).replaceAll('\\', '')
    else if (text.startsWith('^')) {
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
    return this.#literal === undefined ? this.#regex?.testExact(path) === true : path === this.#literal
  }

  /** Two routes with the same key would be one too many. */
  get key(): string {
    return this.prefix ?? this.text
  }
}

/** The longer text says more; of two that are equally long the order of the alphabet decides, so that the order of the file never does. */
const isBefore = (a: string, b: string): number => b.length - a.length || (a === b ? 0 : a < b ? -1 : 1)

/** A target that is for some paths only. */
interface Routed {
  readonly path?: RoutePath | undefined
  readonly keepsEncodedSlash?: boolean | undefined
  /** Undefined: every request for these paths. */
  readonly match?: RouteMatch | undefined
}

/** Neighbours of the same path, by the last of them. */
function groupsOf<Target>(sorted: readonly Target[], keyOf: (route: Target) => string): ReadonlyMap<Target, readonly Target[]> {
  const groups = new Map<string, Target[]>()
  for (const route of sorted) {
    const key = keyOf(route)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [route])
    else group.push(route)
  }
  return new Map([...groups.values()].map(group => [group.at(-1)!, group]))
}

/** The routes of one target. */
export class Routes<Target extends Routed> {
  /** Expressions by their length, then prefixes by theirs: the order in which they are asked. */
  readonly all: readonly Target[]
  /** Does one of them keep encoded slashes? */
  readonly keepsEncodedSlash: boolean
  readonly #expressions: readonly (readonly [RoutePath, Target])[]
  readonly #prefixes = new Map<string, Target>()
  /** Routes of one path in the order in which they are asked, by the last of them; undefined: no route has a condition. */
  readonly #groups: ReadonlyMap<Target, readonly Target[]> | undefined
  #longest = 0

  /** @param routes  each with its `path`, no two with the same path and condition */
  constructor(routes: readonly Target[]) {
    const pathOf = (route: Target): RoutePath => route.path!
    const sorted = [...routes].sort((a, b) => isBefore(pathOf(a).key, pathOf(b).key) || RouteMatch.compare(a.match, b.match))
    const expressions = sorted.filter(route => pathOf(route).prefix === undefined)
    const prefixes = sorted.filter(route => pathOf(route).prefix !== undefined)
    this.keepsEncodedSlash = routes.some(route => route.keepsEncodedSlash === true)
    this.all = Object.freeze([...expressions, ...prefixes])
    const groups = groupsOf(sorted, route => pathOf(route).key)
    this.#groups = routes.some(({ match }) => match !== undefined) ? groups : undefined
    this.#expressions = expressions.filter(route => groups.has(route)).map(route => [pathOf(route), route])
    for (const route of prefixes) {
      const { prefix = '' } = pathOf(route)
      this.#prefixes.set(prefix, route)
      this.#longest = Math.max(this.#longest, prefix.length)
    }
  }

  /** Does any route ask for more than a path? */
  get isConditional(): boolean {
    return this.#groups !== undefined
  }

  /**
   * The route for a canonical path: an expression that matches, the longest first, before the longest prefix; of routes for the same path
   * the one whose condition says most. Where none of them is for the request, the next shorter path is asked.
   * @param facts  of the request; needed where routes have conditions
   * @returns undefined when the target itself is meant
   */
  match(path: string, facts?: RequestFacts): Target | undefined {
    for (const [expression, route] of this.#expressions) {
      const chosen = expression.matches(path) ? this.#chosen(route, facts) : undefined
      if (chosen !== undefined) return chosen
    }
    if (this.#prefixes.size === 0) return undefined
    const exact = path.length <= this.#longest ? this.#at(path, facts) : undefined
    if (exact !== undefined) return exact
    // No further than the longest prefix reaches: a path may have thousands of slashes.
    for (let at = path.lastIndexOf('/', this.#longest); at >= 0; at = at === 0 ? -1 : path.lastIndexOf('/', at - 1)) {
      const route = this.#at(path.slice(0, at + 1), facts) ?? this.#at(path.slice(0, at), facts)
      if (route !== undefined) return route
    }
    return undefined
  }

  #at(prefix: string, facts: RequestFacts | undefined): Target | undefined {
    const route = this.#prefixes.get(prefix)
    return route === undefined ? undefined : this.#chosen(route, facts)
  }

  #chosen(route: Target, facts: RequestFacts | undefined): Target | undefined {
    if (this.#groups === undefined) return route
    return this.#groups.get(route)!.find(({ match }) => match === undefined || (facts !== undefined && match.accepts(facts)))
  }
}
