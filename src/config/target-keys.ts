/** Every key of a target. A new one is a file in `keys/`, a line in `schemaOf` its target, and a line in `create-target.ts`. */
import type { Target } from '../route/target.ts'
import { accessKey } from './keys/access.ts'
import { addressesKey } from './keys/addresses.ts'
import { balanceKey } from './keys/balance.ts'
import { basicAuthKey } from './keys/basic-auth.ts'
import { headersKey } from './keys/headers.ts'
import { healthKey, retriesKey } from './keys/health.ts'
import { identifierKey, inspectKey } from './keys/identifier.ts'
import type { Effect } from './document/effect.ts'
import type { EffectRequest, KeyFault, RawKeys, TargetKey } from './keys/key.ts'
import { limitsKey } from './keys/limits.ts'
import { http2Key, originKey } from './keys/origin.ts'
import { pathsKey } from './keys/paths.ts'
import { policySchema } from './keys/policy.ts'
import { redirectKey } from './keys/redirect.ts'
import { maintenanceKey, respondKey } from './keys/respond.ts'
import { timeoutsKey } from './keys/timeouts.ts'
import { tlsKey } from './keys/tls.ts'
import { upgradesKey } from './keys/upgrades.ts'
import { foundKey } from './routing/found-key.ts'
import { splitKey } from './routing/split-key.ts'

/** Where a target leads to: first in the documentation. */
export const leadingSchema = { ...originKey.schema, ...policySchema, ...identifierKey.schema, ...splitKey.schema }

/** The schemas of the other keys, in the order of the documentation. */
export const otherSchema = {
  ...pathsKey.schema,
  ...headersKey.schema,
  ...addressesKey.schema,
  ...basicAuthKey.schema,
  ...accessKey.schema,
  ...redirectKey.schema,
  ...respondKey.schema,
  ...maintenanceKey.schema,
  ...balanceKey.schema,
  ...healthKey.schema,
  ...retriesKey.schema,
  ...timeoutsKey.schema,
  ...limitsKey.schema,
  ...http2Key.schema,
  ...tlsKey.schema,
  ...upgradesKey.schema,
  ...inspectKey.schema,
  ...foundKey.schema,
}

/** In the order in which a request meets them. */
const KEYS: readonly Pick<TargetKey<never, never>, 'faults' | 'doubts' | 'effects'>[] = [
  originKey,
  identifierKey,
  splitKey,
  addressesKey,
  limitsKey,
  basicAuthKey,
  accessKey,
  redirectKey,
  respondKey,
  pathsKey,
  headersKey,
  timeoutsKey,
  http2Key,
  tlsKey,
  healthKey,
  retriesKey,
  upgradesKey,
  balanceKey,
  maintenanceKey,
  inspectKey,
  foundKey,
]

/** The effects of every key but origin, policy and identifier. */
export const effectsOf = (target: Target, request: EffectRequest): readonly Effect[] =>
  KEYS.flatMap(key => [...key.effects(target, request)])

/** The faults that lie between the keys of a target or a route. */
export const faultsBetween = (keys: RawKeys): readonly KeyFault[] => KEYS.flatMap(key => [...(key.faults?.(keys) ?? [])])

/** The doubts about what is valid in a target or a route and was probably meant otherwise. */
export const doubtsIn = (keys: RawKeys): readonly KeyFault[] => KEYS.flatMap(key => [...(key.doubts?.(keys) ?? [])])
