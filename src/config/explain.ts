/** Explains what would happen to a request, step by step, without sending it. */
import { GatewayError, asGatewayError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import { canonicalPathFor, decide, locate, slashRedirectOf } from '../route/admit.ts'
import type { Effect } from './document/effect.ts'
import { effectsOf } from './target-keys.ts'
import { parseHost } from '../address/host.ts'
import { parseRequestTarget } from '../route/path.ts'
import type { CanonicalPath, RequestTarget } from '../route/path.ts'
import type { PolicyRule } from '../route/policy.ts'
import { originOf } from '../route/table.ts'
import type { Target, TargetTable } from '../route/table.ts'

/** One rule of the policy, and how it reads this request. */
export interface ExplainedRule {
  readonly pattern: string
  readonly methods: readonly string[]
  readonly line: number
  readonly matchesPath: boolean
  readonly allowsMethod: boolean
}

/** The trace of one request. What a refused request never reaches is undefined. */
export interface Explanation {
  readonly method: string
  readonly url: string
  /** Canonical host of the URL. */
  readonly host: string | undefined
  readonly target: { readonly name: string; readonly line: number } | undefined
  /** The route of the target that the path belongs to. */
  readonly route: { readonly path: string; readonly line: number; readonly match: string | undefined } | undefined
  /** The rule by which the host found its target. */
  readonly hostRule: 'exact' | 'wildcard' | 'any' | undefined
  /** The path that the policy sees; the raw one when it is ambiguous. */
  readonly path: string | undefined
  readonly query: string | undefined
  /** Why the path can be read in more than one way. */
  readonly ambiguous: string | undefined
  /** Every rule of the policy. */
  readonly rules: readonly ExplainedRule[]
  /** The rule that allows the request. */
  readonly rule: ExplainedRule | undefined
  /** The effects of the other keys on it, in the order in which they are met. */
  readonly effects: readonly Effect[]
  /** The URL that the inner layer would ask the origin for; undefined also when there is no origin. */
  readonly originUrl: string | undefined
  /** Inner layers that may serve it; undefined with a target: any connected one. */
  readonly identifiers: readonly string[] | undefined
  readonly verdict: 'allowed' | 'refused'
  readonly code: ErrorCode | undefined
  /** The verdict in words. */
  readonly reason: string
}

const hostRuleOf = (name: string): 'exact' | 'wildcard' | 'any' => {
  if (name === '*') return 'any'
  return name.startsWith('*') ? 'wildcard' : 'exact'
}

const explainRule = (rule: PolicyRule, method: string, path: string): ExplainedRule => ({
  pattern: rule.pattern,
  methods: rule.methods,
  line: rule.line,
  matchesPath: rule.matchesPath(path),
  allowsMethod: rule.allowsMethod(method),
})

/**
 * Explains which target and which rule decide on a request. Does no I/O and does not throw.
 * @param fields  names and values in turn, for conditions of routes
 * @param url `http://host/path?query`, `https://…`, or without the scheme; split by hand, so that what is shown is what a client sends
 */
export const explain = (
  table: Pick<TargetTable, 'match' | 'blindName'>,
  method: string,
  url: string,
  fields: readonly string[] = [],
): Explanation => {
  const [start = '', authority = ''] = /^(?:https?:\/\/)?([^/?#]*)/i.exec(url) ?? []
  const rest = url.slice(start.length)
  const requestTarget = rest.startsWith('/') ? rest : `/${rest}`
  let host: string | undefined
  let target: Target | undefined
  let route: Target | undefined
  let parsed: RequestTarget | undefined
  let canonical: CanonicalPath | undefined
  let originUrl: string | undefined
  let outcome: Pick<Explanation, 'verdict' | 'code' | 'reason'>
  let decisive: PolicyRule | undefined
  try {
    if (/^(?!https?:)[a-z][a-z0-9+.-]*:\/\//i.test(url)) throw new GatewayError('BAD_TARGET', 'the scheme is neither http nor https')
    host = parseHost(authority).host
    if (method === 'CONNECT' || method === 'TRACE') throw new GatewayError('METHOD_REFUSED', `${method} is never forwarded`)
    const blind = table.blindName?.(host)?.options.routes[0]
    if (blind !== undefined)
      throw new GatewayError(
        'MISDIRECTED',
        `${host} is blind: its TLS ends at the inner layer ${(blind.identifiers ?? []).join(' or ')} (--tls-for), by rules that only that one knows`,
      )
    target = table.match(host)
    parsed = parseRequestTarget(requestTarget)
    if (target === undefined) throw new GatewayError('UNKNOWN_HOST', `no target for host ${host}`)
    canonical = canonicalPathFor(target, parsed.path)
    const located = locate(target, requestTarget, {
      method,
      fields,
      names: fields.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase()),
    })
    route = located.target
    decisive = decide(located, method)
    if (route.hostname !== '' && route.treatment?.answer === undefined) {
      const { path, query } = route.treatment?.pathMap?.map(located.path, located.query) ?? located
      if (slashRedirectOf(route, method, located.path, located.query) === undefined) originUrl = `${originOf(route)}${path}${query}`
    }
    outcome = { verdict: 'allowed', code: undefined, reason: `rule ${decisive.pattern} of line ${decisive.line} allows it` }
  } catch (thrown) {
    const error = asGatewayError(thrown)
    outcome = { verdict: 'refused', code: error.code, reason: error.message }
  }
  const path = canonical?.path
  const [scheme = 'http'] = /^https?(?=:)/i.exec(url) ?? []
  return {
    method,
    url,
    host,
    target: target && { name: target.name, line: target.line },
    route: route?.path && { path: route.path.text, line: route.line, match: route.match?.text },
    hostRule: target && hostRuleOf(target.name),
    path,
    query: parsed?.query,
    ambiguous: canonical?.ambiguous,
    rules: route && path !== undefined ? route.policy.rules.map(rule => explainRule(rule, method, path)) : [],
    rule: decisive && path !== undefined ? explainRule(decisive, method, path) : undefined,
    effects:
      route && path !== undefined
        ? effectsOf(route, { method, scheme: scheme.toLowerCase(), host: authority, path, query: parsed?.query ?? '' })
        : [],
    originUrl,
    identifiers: route && route.hostname === '' ? undefined : (route ?? target)?.identifiers,
    ...outcome,
  }
}

/** The keys that say who may come to a target, and how much they may ask for. */
const PROTECTING: ReadonlySet<string> = new Set([
  'deny',
  'allow',
  'limits.rate',
  'limits.concurrency',
  'limits.body',
  'basicAuth',
  'access',
])

/** The part of a target or a route that keeps others out, and limits the rest. */
export interface Protection {
  /** The key in the targets file; of a route, its path follows. */
  readonly host: string
  readonly effects: readonly Effect[]
}

/** Says who may come to each target, and how much they may ask for: of at most `max` of those that say something about it. */
export function protectionsOf({ all }: Pick<TargetTable, 'all'>, max: number): readonly Protection[] {
  const found: Protection[] = []
  for (const target of all) {
    if (found.length >= max) break
    // As for a path of which nothing is said: one that is for all is an exception.
    const request = { method: 'GET', scheme: 'https', host: target.name, path: target.path?.prefix ?? '/', query: '' }
    const effects = effectsOf(target, request).filter(([key]) => PROTECTING.has(key))
    if (effects.length > 0) found.push({ host: target.name, effects })
  }
  return found
}
