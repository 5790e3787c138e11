/** Steps 3 and 4 of the path: may this request pass, and which bytes of its target go on. */
import { GatewayError } from '../errors.ts'
import { canonicalPath, parseRequestTarget } from './path.ts'
import type { PolicyRule } from './policy.ts'
import type { Target } from './table.ts'

/** A request that the policy allows. */
export interface Admission {
  /** The path that was approved, and exactly the one to forward. */
  readonly path: string
  /** As sent, with its `?`; empty when there is none. */
  readonly query: string
  /** The rule that allowed it. */
  readonly rule: PolicyRule
}

/**
 * Decides on a request for a target. With the policy `*` there is nothing to get around, so runs of slashes and ambiguous forms go on
 * as they were sent; with any other, runs of slashes are merged and an ambiguous path is refused.
 * @param requestTarget raw, in origin-form
 * @throws GatewayError BAD_TARGET, AMBIGUOUS_PATH or POLICY_REFUSED
 */
export const admit = (target: Target, method: string, requestTarget: string): Admission => {
  const { path: rawPath, query } = parseRequestTarget(requestTarget)
  const { policy } = target
  const { path, ambiguous } = canonicalPath(rawPath, !policy.any)
  if (ambiguous !== undefined && !policy.any) throw new GatewayError('AMBIGUOUS_PATH', `path has ${ambiguous}`)
  const rule = policy.decide(method, path)
  if (rule === undefined)
    throw new GatewayError('POLICY_REFUSED', `no rule of ${target.name} (line ${target.line}) allows ${method} ${path.slice(0, 200)}`)
  return { path, query, rule }
}
