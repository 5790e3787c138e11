/** The targets file: text → routes, or every fault with its place. */
import { messageOf } from '../errors.ts'
import { parseHostPattern } from '../address/host.ts'
import { isBelow, parsePrefix } from '../route/path-map.ts'
import { Policy } from '../route/policy.ts'
import { RoutePath, Routes } from '../route/routes.ts'
import { RouteTable, type Doubt, type Target } from '../route/table.ts'
import { doubtOfDuration } from '../units/durations.ts'
import { createTarget, inherit } from './create-target.ts'
import { ConfigError, formatPath } from './document/fault.ts'
import type { ConfigFault } from './document/fault.ts'
import type { TargetPlace } from './keys/key.ts'
import { isDuration } from './keys/parts.ts'
import { compileRules } from './keys/policy.ts'
import { targetsFileSchema } from './schema.ts'
import { doubtsIn, faultsBetween } from './target-keys.ts'
import { readNamedFile } from './target-files.ts'
import { checkTcp, createTcpPorts } from './tcp-ports.ts'
import { checkTunnels, createTunnels } from './tunnels.ts'
import { validate, valuesOf } from './document/validate.ts'
import type { YamlDocument, YamlMap } from './document/yaml.ts'
import { isYamlMap, parseYaml } from './document/yaml.ts'

const SECTIONS = ['targets', 'tcp', 'tunnels'] as const

/** Checks every host key, also below a target that is wrong otherwise. */
const checkHosts = (document: YamlDocument, targets: YamlMap, faults: ConfigFault[]): void => {
  const lines = new Map<string, number>()
  for (const name of Object.keys(targets)) {
    const path = ['targets', name]
    try {
      const pattern = parseHostPattern(name)
      const first = lines.get(pattern)
      if (first !== undefined)
        faults.push(document.fault(path, `duplicate host: the same as the one of line ${first}, which is ${pattern}`))
      else lines.set(pattern, document.place(path).line)
    } catch (error) {
      faults.push(document.fault(path, `expected a host such as "api.example.com", "*.example.com" or "*": ${messageOf(error)}`))
    }
  }
}

/** The faults between the keys of a target or route. Asked for each, also for those that are wrong otherwise. */
const checkKeys = (document: YamlDocument, path: readonly PropertyKey[], keys: YamlMap, faults: ConfigFault[]): void => {
  for (const [key, message] of faultsBetween(keys)) faults.push(document.fault([...path, ...key], message))
}

/** Finds routes with the same path, and prefixes that they could never strip. */
const checkRoutes = (document: YamlDocument, path: readonly PropertyKey[], routes: readonly unknown[], faults: ConfigFault[]): void => {
  const lines = new Map<string, number>()
  routes.forEach((route, i) => {
    if (!isYamlMap(route) || typeof route['path'] !== 'string') return
    const place = [...path, i, 'path']
    try {
      const { key, prefix } = new RoutePath(route['path'])
      const first = lines.get(key)
      if (first !== undefined) faults.push(document.fault(place, `duplicate path: the same as the one of line ${first}`))
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
const checkTargets = (document: YamlDocument, sources: YamlMap, faults: ConfigFault[]): Map<string, Policy | undefined> => {
  const policies = new Map<string, Policy | undefined>()
  for (const [name, source] of Object.entries(sources)) {
    if (!isYamlMap(source)) continue
    const path = ['targets', name]
    checkKeys(document, path, source, faults)
    if (source['stripPrefix'] === true)
      faults.push(document.fault([...path, 'stripPrefix'], 'expected a path such as "/app": only a route has a path of its own'))
    policies.set(name, policyOf(document, path, source, faults))
    const { routes } = source
    if (!Array.isArray(routes)) continue
    checkRoutes(document, [...path, 'routes'], routes, faults)
    routes.forEach((route: unknown, i) => {
      if (!isYamlMap(route)) return
      const place = [...path, 'routes', i]
      const keys = { ...inheritable(source), ...route }
      checkKeys(document, place, keys, faults)
      policies.set(`${name} ${i}`, policyOf(document, place, keys, faults))
    })
  }
  return policies
}

/** For the check alone: what of a target counts in a route that does not say it. */
const inheritable = ({ hostname, redirect, respond, encodedSlash }: YamlMap): YamlMap => {
  if (hostname !== undefined) return { hostname, encodedSlash }
  return redirect === undefined ? { respond, encodedSlash } : { redirect, encodedSlash }
}

/** What was read as it stands and was probably meant otherwise: durations in another unit, and what the keys themselves doubt. */
function* doubtsOf(document: YamlDocument, sources: YamlMap): Generator<Doubt> {
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

/**
 * Reads the text of a targets file, YAML or JSON. Files that it names are read with it.
 * @param file name for the faults, and whose folder other names are relative to
 * @returns the routes, frozen; none for an empty map
 * @throws ConfigError CONFIG_INVALID with all faults; with the first one alone when the text is no YAML at all
 */
export const parseTargets = (text: string, file: string): RouteTable => {
  const document = parseYaml(text, file)
  const validated = validate(document, targetsFileSchema)
  const faults: ConfigFault[] = [...document.faults, ...validated.faults]
  const section = isYamlMap(document.value) ? document.value['targets'] : undefined
  const sources = isYamlMap(section) ? section : {}
  // What a half-written file looks like is a fault; a table that is empty on purpose says so.
  if (isYamlMap(document.value) && !SECTIONS.some(section => Object.hasOwn(document.value as YamlMap, section)))
    faults.push(document.fault([], `expected at least one of the keys ${SECTIONS.join(', ')}, got none of them`))
  const policies = checkTargets(document, sources, faults)
  checkHosts(document, sources, faults)
  checkTcp(document, isYamlMap(document.value) ? document.value['tcp'] : undefined, faults)
  checkTunnels(document, isYamlMap(document.value) ? document.value['tunnels'] : undefined, faults)
  if (validated.value === undefined || faults.length > 0) throw new ConfigError(faults)
  const reader =
    (path: readonly PropertyKey[]): TargetPlace['read'] =>
    (name, kind, key) => {
      try {
        return readNamedFile(file, name, kind)
      } catch (error) {
        faults.push(document.fault([...path, ...key], messageOf(error)))
        return ''
      }
    }
  const make = (
    path: readonly PropertyKey[],
    facts: Pick<TargetPlace, 'name' | 'host' | 'path'>,
    policy: Policy,
    keys: Parameters<typeof createTarget>[0],
  ): Target => {
    try {
      return createTarget(keys, policy, { ...facts, line: document.place(path).line, read: reader(path) })
    } catch (error) {
      faults.push(document.fault(path, messageOf(error)))
      throw new ConfigError(faults)
    }
  }
  const targets = Object.entries(validated.value.targets ?? {}).map(([name, source]) => {
    const path = ['targets', name]
    const policy = policies.get(name) ?? Policy.any(document.place(path).line)
    const target = make(path, { name, host: name }, policy, source)
    const routes = (source.routes ?? []).map((route, i) =>
      make(
        [...path, 'routes', i],
        { name: `${name}${route.path}`, host: name, path: new RoutePath(route.path) },
        policies.get(`${name} ${i}`) ?? policy,
        inherit(source, route),
      ),
    )
    return Object.freeze(routes.length === 0 ? target : { ...target, routes: new Routes(routes.map(route => Object.freeze(route))) })
  })
  const tcp = createTcpPorts(document, validated.value.tcp ?? {}, file, faults)
  if (faults.length > 0) throw new ConfigError(faults)
  return new RouteTable(targets, {
    tcp,
    tunnels: createTunnels(document, validated.value.tunnels ?? {}),
    doubts: [...doubtsOf(document, sources)],
  })
}
