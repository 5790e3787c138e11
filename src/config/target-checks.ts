/** Checks of targets beyond their shape: faults and doubts. */
import { messageOf } from '../errors.ts'
import { parseTargetHost } from '../address/host.ts'
import { isBelow, parsePrefix } from '../route/path-map.ts'
import { Policy } from '../route/policy.ts'
import { RouteMatch } from '../route/route-match.ts'
import { RoutePath } from '../route/routes.ts'
import type { Doubt } from '../route/table.ts'
import { doubtOfDuration } from '../units/durations.ts'
import { formatPath, type ConfigFault } from './document/fault.ts'
import { valuesOf } from './document/validate.ts'
import { isYamlMap, type YamlDocument, type YamlMap } from './document/yaml.ts'
import { isDuration } from './keys/parts.ts'
import { compileRules } from './keys/policy.ts'
import { targetsFileSchema } from './schema.ts'
import { doubtsIn, faultsBetween } from './target-keys.ts'

/**
 * Checks every host key, also below a target that is wrong otherwise.
 * @param lines  of the hosts that are known already, by their pattern; gets those of the document
 */
export const checkHosts = (document: YamlDocument, targets: YamlMap, lines: Map<string, number>, faults: ConfigFault[]): void => {
  for (const name of Object.keys(targets)) {
    const path = ['targets', name]
    try {
      const pattern = parseTargetHost(name)
      const first = lines.get(pattern)
      if (first !== undefined)
        faults.push(document.fault(path, `duplicate host: the same as the one of line ${first}, which is ${pattern}`))
      else lines.set(pattern, document.place(path).line)
    } catch (error) {
      faults.push(
        document.fault(path, `expected a host such as "api.example.com", "*.example.com", "**.example.com" or "*": ${messageOf(error)}`),
      )
    }
  }
}

/** The faults between the keys of a target or route. Asked for each, also for those that are wrong otherwise. */
const checkKeys = (document: YamlDocument, path: readonly PropertyKey[], keys: YamlMap, faults: ConfigFault[]): void => {
  for (const [key, message] of faultsBetween(keys)) faults.push(document.fault([...path, ...key], message))
}

/** @throws GatewayError CONFIG_INVALID */
const matchKeyOf = (match: unknown): string => (isYamlMap(match) ? new RouteMatch(match).key : '')

/** Finds routes with the same path, and prefixes that they could never strip. */
const checkRoutes = (document: YamlDocument, path: readonly PropertyKey[], routes: readonly unknown[], faults: ConfigFault[]): void => {
  const lines = new Map<string, number>()
  routes.forEach((route, i) => {
    if (!isYamlMap(route) || typeof route['path'] !== 'string') return
    const place = [...path, i, 'path']
    try {
      const { key: own, prefix } = new RoutePath(route['path'])
      const key = `${own} ${matchKeyOf(route['match'])}`
      const first = lines.get(key)
      if (first !== undefined)
        faults.push(
          document.fault(place, `duplicate path${route['match'] === undefined ? '' : ' and match'}: the same as the one of line ${first}`),
        )
      else lines.set(key, document.place(place).line)
      const strip = route['stripPrefix']
      if (strip === true && prefix === undefined)
        faults.push(document.fault([...path, i, 'stripPrefix'], 'expected a path such as "/app": the path of this route is an expression'))
      if (typeof strip === 'string' && prefix !== undefined && !isBelow(prefix, parsePrefix(strip)))
        faults.push(
          document.fault([...path, i, 'stripPrefix'], `expected the path of the route or a part of it from its beginning: ${prefix}`),
        )
    } catch {
      // The schema has said what is wrong with it.
    }
  })
}

/** The policy of a target or a route, whose rules are compiled even if the rest of it is wrong. */
const policyOf = (document: YamlDocument, path: readonly PropertyKey[], keys: YamlMap, faults: ConfigFault[]): Policy | undefined => {
  const { policy } = keys
  const place = [...path, 'policy']
  if (isYamlMap(policy)) {
    const rules = compileRules(policy, keys['encodedSlash'] === 'keep', {
      lineOf: pattern => document.place([...place, pattern]).line,
      refuse: (pattern, message) => faults.push(document.fault([...place, pattern], message)),
    })
    return Policy.of(rules)
  }
  return policy === undefined ? undefined : Policy.any(document.place(place).line)
}

/** The policies by the place of what they belong to, and every fault that a schema cannot see. */
export const checkTargets = (document: YamlDocument, sources: YamlMap, faults: ConfigFault[]): Map<string, Policy | undefined> => {
  const policies = new Map<string, Policy | undefined>()
  for (const [name, source] of Object.entries(sources)) {
    if (!isYamlMap(source)) continue
    const path = ['targets', name]
    checkKeys(document, path, source, faults)
    if (name.trim() === '*') checkStrangers(document, path, source, faults)
    if (source['stripPrefix'] === true)
      faults.push(document.fault([...path, 'stripPrefix'], 'expected a path such as "/app": only a route has a path of its own'))
    policies.set(name, policyOf(document, path, source, faults))
    checkAuthorities(document, path, source, faults)
    const { routes } = source
    if (!Array.isArray(routes)) continue
    checkRoutes(document, [...path, 'routes'], routes, faults)
    routes.forEach((route: unknown, i) => {
      if (!isYamlMap(route)) return
      const place = [...path, 'routes', i]
      const keys = { ...withoutOther(inheritable(source), route), ...route }
      checkKeys(document, place, keys, faults)
      policies.set(`${name} ${i}`, policyOf(document, place, keys, faults))
    })
  }
  return policies
}

/** Finds authorities of client certificates that differ within one host: while the connection is made, there is no path yet. */
const checkAuthorities = (document: YamlDocument, path: readonly PropertyKey[], target: YamlMap, faults: ConfigFault[]): void => {
  const { routes } = target
  const below = Array.isArray(routes) ? routes.map((route: unknown, i) => [[...path, 'routes', i], route] as const) : []
  let first: { readonly certificates: YamlMap; readonly line: number } | undefined
  for (const [place, keys] of [[path, target] as const, ...below]) {
    const access = isYamlMap(keys) ? keys['access'] : undefined
    const certificates = isYamlMap(access) ? access['certificates'] : undefined
    if (!isYamlMap(certificates)) continue
    const own = [...place, 'access', 'certificates']
    first ??= { certificates, line: document.place(own).line }
    for (const key of ['ca', 'crl']) {
      const [wanted, got] = [first.certificates[key], certificates[key]]
      if (wanted === got) continue
      const expected = wanted === undefined ? `no ${key}` : `the ${key} ${JSON.stringify(wanted)}`
      faults.push(
        document.fault(
          got === undefined ? own : [...own, key],
          `expected ${expected}, as in line ${first.line}: a host asks for one kind of certificates, whatever the path; names may differ`,
        ),
      )
    }
  }
}

/**
 * Finds logins at every host: the owner of any name could point it here, have a visitor log in without a word, and then point it to a
 * server of theirs, which the browser would send the session to.
 */
const checkStrangers = (document: YamlDocument, path: readonly PropertyKey[], target: YamlMap, faults: ConfigFault[]): void => {
  const { routes } = target
  const below = Array.isArray(routes) ? routes.map((route: unknown, i) => [[...path, 'routes', i], route] as const) : []
  for (const [place, keys] of [[path, target] as const, ...below])
    if (isYamlMap(keys) && isYamlMap(keys['access']) && keys['access']['login'] !== undefined)
      faults.push(
        document.fault(
          [...place, 'access', 'login'],
          'expected a host with a name, such as "*.example.com": "*" also stands for hosts of strangers',
        ),
      )
}

/** An origin of the route is one as a whole, whether it is one or several. */
const withoutOther = (inherited: YamlMap, { hostname, split }: YamlMap): YamlMap =>
  hostname === undefined && split === undefined ? inherited : { encodedSlash: inherited['encodedSlash'] }

/** For the check alone: what of a target counts in a route that does not say it. */
const inheritable = ({ hostname, split, redirect, respond, encodedSlash }: YamlMap): YamlMap => {
  if (hostname !== undefined) return { hostname, encodedSlash }
  if (split !== undefined) return { split, encodedSlash }
  return redirect === undefined ? { respond, encodedSlash } : { redirect, encodedSlash }
}

/**
 * Yields doubts about what was read as it stands and was probably meant otherwise: durations in another unit, and what the keys themselves
 * doubt.
 */
export function* doubtsOf(document: YamlDocument, sources: YamlMap): Generator<Doubt> {
  const doubt = (path: readonly PropertyKey[], message: string): Doubt => ({
    line: document.place(path).line,
    path: formatPath(path),
    message,
  })
  for (const [path, value] of valuesOf(targetsFileSchema, isDuration, document.value)) {
    const message = doubtOfDuration(String(value))
    if (message !== undefined) yield doubt(path, message)
  }
  for (const [name, source] of Object.entries(sources)) {
    if (!isYamlMap(source)) continue
    for (const [key, message] of doubtsIn(source)) yield doubt(['targets', name, ...key], message)
    for (const [i, route] of Array.isArray(source['routes']) ? source['routes'].entries() : [])
      if (isYamlMap(route)) for (const [key, message] of doubtsIn(route)) yield doubt(['targets', name, 'routes', i, ...key], message)
  }
}
