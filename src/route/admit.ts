/** Steps 3 and 4 of the path: may this request pass, and which bytes of its target go on. */
import { GatewayError } from '../errors.ts'
import { canonicalPath, otherReadings, parseRequestTarget, type CanonicalPath } from './path.ts'
import type { PolicyRule } from './policy.ts'
import { RequestFacts, type MatchedRequest } from './route-match.ts'
import type { Target } from './table.ts'
import type { Treatment } from './target.ts'

/** The target of a request: found before anything is decided. */
export interface Located {
  /** The target of the host, which has the routes. */
  readonly host: Target
  /** The target of the host, or its route for the request; of a split, the part that has been chosen. */
  readonly target: Target
  /** Of a part: the target or route that is split. */
  readonly whole?: Target
  /** The path that the policy sees. */
  readonly path: string
  /** As sent, with its `?`; empty when there is none. */
  readonly query: string
}

/** A request that the policy allows. */
export interface Admission extends Located {
  /** The rule that allowed it. */
  readonly rule: PolicyRule
}

/**
 * Must a path mean the same to every reader? With the policy `*` and nothing else that depends on the path there is nothing to get
 * around, so runs of slashes and ambiguous forms go on as they were sent.
 */
export const isStrict = ({ policy, routes, treatment }: Target): boolean =>
  !policy.any || routes !== undefined || (treatment !== undefined && dependsOnPath(treatment))

const dependsOnPath = ({ pathMap, answer, access }: Treatment): boolean =>
  pathMap !== undefined || answer !== undefined || access?.public !== undefined

/** The path that the routes and policies of a host see. @param rawPath  without its query */
export const canonicalPathFor = (target: Target, rawPath: string): CanonicalPath =>
  canonicalPath(rawPath, isStrict(target), target.keepsEncodedSlash === true || target.routes?.keepsEncodedSlash === true)

/** The route for a path, which has to be the same however the origin reads that path. @throws GatewayError AMBIGUOUS_PATH */
const routeOf = (target: Target, path: string, query: string, request: MatchedRequest): Target => {
  const { routes } = target
  if (routes === undefined) return target
  const facts = routes.isConditional ? new RequestFacts(request, query) : undefined
  const route = routes.match(path, facts)
  // A stricter route would be got around by "/admin;x" or "/admin%2Fx".
  if (otherReadings(path).some(other => routes.match(other, facts) !== route))
    throw new GatewayError(
      'AMBIGUOUS_PATH',
      `path has ${path.includes('%2F') ? 'an encoded slash' : 'a parameter (;)'} where a route begins`,
    )
  return route ?? target
}

/**
 * Finds the path of a request and the route that it belongs to.
 * @param target         of the host
 * @param requestTarget  raw, in origin-form
 * @param request        what conditions of routes see
 * @throws GatewayError BAD_TARGET, AMBIGUOUS_PATH, or NO_ROUTE when nothing is said about this path
 */
export const locate = (target: Target, requestTarget: string, request: MatchedRequest): Located => {
  const { path: rawPath, query } = parseRequestTarget(requestTarget)
  const { path, ambiguous } = canonicalPathFor(target, rawPath)
  const strict = isStrict(target)
  if (ambiguous !== undefined && strict) throw new GatewayError('AMBIGUOUS_PATH', `path has ${ambiguous}`)
  const route = routeOf(target, path, query, request)
  if (strict && route.keepsEncodedSlash !== true && path.includes('%2F'))
    throw new GatewayError('AMBIGUOUS_PATH', 'path has an encoded slash (%2f); to have it forwarded as it is: encodedSlash: keep')
  if (route.hostname === '' && route.treatment?.answer === undefined && route.split === undefined)
    throw new GatewayError('NO_ROUTE', `no route of ${target.name} (line ${target.line}) is for ${path.slice(0, 200)}`)
  return { host: target, target: route, path, query }
}

/** The rule that allows a method on a canonical path. @throws GatewayError POLICY_REFUSED */
export const decide = ({ target, path }: Located, method: string): PolicyRule => {
  const rule = target.policy.decide(method, path)
  if (rule !== undefined) return rule
  throw new GatewayError('POLICY_REFUSED', `no rule of ${target.name} (line ${target.line}) allows ${method} ${path.slice(0, 200)}`)
}

/** The same with one part of a target that is split. @param part  the one that this client has had; undefined: another one for each request */
export const withPart = (located: Located, part?: Target): Located => {
  const { target } = located
  return target.split === undefined || target.treatment?.answer !== undefined
    ? located
    : { ...located, target: part ?? target.split.next(), whole: target }
}

/**
 * Decides on a request for a target by its path and method alone, without header fields.
 * @throws GatewayError BAD_TARGET, AMBIGUOUS_PATH, NO_ROUTE or POLICY_REFUSED
 */
export const admit = (target: Target, method: string, requestTarget: string): Admission => {
  const located = locate(target, requestTarget, { method, fields: [], names: [] })
  return { ...located, rule: decide(located, method) }
}

/**
 * Where a client is sent that asks for a prefix which is stripped, without the slash behind it: relative links of the page would lead out of
 * the prefix. Only for what a browser asks for by itself, and where the policy allows the other path, too.
 * @returns a Location, or undefined when the request goes on
 */
export function slashRedirectOf(
  { treatment, policy }: Pick<Target, 'treatment' | 'policy'>,
  method: string,
  path: string,
  query: string,
): string | undefined {
  const { pathMap } = treatment ?? {}
  if (pathMap?.addsSlash !== true || path !== pathMap.publicPrefix || (method !== 'GET' && method !== 'HEAD')) return undefined
  return policy.decide(method, `${path}/`) === undefined ? undefined : `${path}/${query}`
}
