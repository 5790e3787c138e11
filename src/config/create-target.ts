/** Turns a target or route of the file into the frozen target that the layers work with. */
import type { z } from 'zod'
import type { Policy } from '../route/policy.ts'
import type { Target, Treatment } from '../route/target.ts'
import { accessKey } from './keys/access.ts'
import { addressesKey } from './keys/addresses.ts'
import { balanceKey } from './keys/balance.ts'
import { basicAuthKey } from './keys/basic-auth.ts'
import { headersKey } from './keys/headers.ts'
import { healthKey, retriesKey } from './keys/health.ts'
import { identifierKey, inspectKey } from './keys/identifier.ts'
import { given, type TargetPlace } from './keys/key.ts'
import { limitsKey } from './keys/limits.ts'
import { http2Key, originKey } from './keys/origin.ts'
import { keepsEncodedSlash, pathsKey } from './keys/paths.ts'
import { redirectKey } from './keys/redirect.ts'
import { maintenanceKey, respondKey } from './keys/respond.ts'
import { timeoutsKey } from './keys/timeouts.ts'
import { tlsKey } from './keys/tls.ts'
import { upgradesKey } from './keys/upgrades.ts'
import { foundKey } from './routing/found-key.ts'
import type { PartSource } from './routing/split-key.ts'
import type { routeSchema, targetSchema } from './schema.ts'

/** A target as the schema gives it. */
export type TargetSource = z.output<typeof targetSchema>
/** A route as the schema gives it. */
export type RouteSource = z.output<typeof routeSchema>
/** The keys that both have. */
export type Keys = Omit<TargetSource, 'routes'>

const ORIGIN_KEYS = ['protocol', 'hostname', 'port', 'http2', 'tls', 'health'] as const

/** A route with the keys of its target that it does not have itself. An origin of its own is one as a whole. */
export function inherit(target: TargetSource, route: RouteSource): Keys {
  const { routes: _routes, ...base } = target
  const { path: _path, match: _match, ...own } = route
  const replaced = new Set<string>()
  // An answer of the target does not go before the origin of the route.
  if (own.hostname !== undefined || own.split !== undefined)
    for (const key of [...ORIGIN_KEYS, 'split', 'redirect', 'respond']) replaced.add(key)
  if (own.stripPrefix !== undefined || own.rewrite !== undefined) replaced.add('stripPrefix').add('rewrite')
  if (own.redirect !== undefined || own.respond !== undefined) replaced.add('redirect').add('respond').add('split')
  return { ...Object.fromEntries(Object.entries(base).filter(([key]) => !replaced.has(key))), ...own }
}

/** One origin of a split, with the keys of its target or route that it does not have itself. */
export function inheritPart(whole: Keys, { weight: _weight, ...own }: PartSource): Keys {
  const replaced = new Set<string>([...ORIGIN_KEYS, 'split', 'redirect', 'respond'])
  return { ...Object.fromEntries(Object.entries(whole).filter(([key]) => !replaced.has(key))), ...own }
}

/** Returns the treatment of requests beyond policy and origin; undefined when there is none. */
function treatmentOf(source: Keys, place: TargetPlace, { limits }: Pick<Target, 'limits'>): Treatment | undefined {
  const { preserveHost, ...fields } = headersKey.create(source, place)
  const rest = {
    ...addressesKey.create(source, place),
    ...basicAuthKey.create(source, place),
    ...accessKey.create(source, place),
    rate: limits?.rate,
    concurrency: limits?.concurrency,
    answer: redirectKey.create(source, place).answer ?? respondKey.create(source, place).answer,
    ...pathsKey.create(source, place),
    ...fields,
  }
  return preserveHost || given(rest) !== undefined ? Object.freeze({ ...rest, preserveHost }) : undefined
}

/** The inspector shows how long a connection to the origin took, which only the inner layer knows. */
const inspectTiming = ({ inspect }: Keys): { readonly timing?: true } => (inspect === true ? { timing: true } : {})

/** Makes a target, or a route with the keys that it has inherited. */
export function createTarget(source: Keys, policy: Policy, place: TargetPlace): Target {
  const limits = limitsKey.create(source, place)
  const timeouts = timeoutsKey.create(source, place)
  return {
    name: place.name,
    line: place.line,
    ...originKey.create(source, place),
    policy,
    ...identifierKey.create(source, place),
    routes: undefined,
    path: place.path,
    match: place.match,
    keepsEncodedSlash: keepsEncodedSlash(source),
    treatment: treatmentOf(source, place, limits),
    ...balanceKey.create(source, place),
    ...healthKey.create(source, place),
    ...retriesKey.create(source, place),
    ...maintenanceKey.create(source, place),
    profile: given({ ...http2Key.create(source, place), ...tlsKey.create(source, place), ...timeouts, ...inspectTiming(source) }),
    ...timeouts,
    ...limits,
    ...upgradesKey.create(source, place),
    ...inspectKey.create(source, place),
    ...foundKey.create(source, place),
  }
}
