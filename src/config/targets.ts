/** The targets file: text → routes, or every fault with its place. */
import type { z } from 'zod'
import { messageOf } from '../errors.ts'
import { parseHostPattern, parseOriginHost } from '../route/host.ts'
import { Policy, PolicyRule } from '../route/policy.ts'
import { RouteTable } from '../route/table.ts'
import type { Target } from '../route/table.ts'
import { ConfigError } from './fault.ts'
import type { ConfigFault } from './fault.ts'
import { methodsSchema, targetsFileSchema } from './schema.ts'
import type { targetSchema } from './schema.ts'
import { validate } from './validate.ts'
import type { YamlDocument, YamlMap } from './yaml.ts'
import { isYamlMap, parseYaml } from './yaml.ts'

type TargetSource = z.output<typeof targetSchema>

const listOf = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? (value as readonly T[]) : [value as T])

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

/** Compiles every rule, also of a target that is wrong otherwise. */
const compileRules = (
  document: YamlDocument,
  path: readonly PropertyKey[],
  patterns: YamlMap,
  faults: ConfigFault[],
): readonly PolicyRule[] => {
  const rules: PolicyRule[] = []
  for (const [pattern, value] of Object.entries(patterns)) {
    const place = [...path, pattern]
    const methods = methodsSchema.safeParse(value)
    try {
      if (pattern.length > 2000) throw new Error('expected a pattern of at most 2000 characters')
      rules.push(new PolicyRule({ pattern, methods: methods.success ? listOf(methods.data) : [], line: document.place(place).line }))
    } catch (error) {
      faults.push(document.fault(place, messageOf(error)))
    }
  }
  return rules
}

const createTarget = (name: string, line: number, source: TargetSource, policy: Policy): Target => {
  const protocol = source.protocol ?? 'https'
  return Object.freeze({
    name,
    line,
    protocol,
    hostname: parseOriginHost(source.hostname),
    port: source.port ?? (protocol === 'https' ? 443 : 80),
    policy,
    identifiers: source.identifier === undefined ? undefined : Object.freeze([...new Set(listOf(source.identifier))]),
  })
}

/**
 * Reads the text of a targets file, YAML or JSON.
 * @param file name for the faults
 * @returns the routes, frozen; none for an empty map
 * @throws ConfigError CONFIG_INVALID with all faults; with the first one alone when the text is no YAML at all
 */
export const parseTargets = (text: string, file: string): RouteTable => {
  const document = parseYaml(text, file)
  const validated = validate(document, targetsFileSchema)
  const faults: ConfigFault[] = [...document.faults, ...validated.faults]
  const section = isYamlMap(document.value) ? document.value.targets : undefined
  const sources = isYamlMap(section) ? section : {}
  checkHosts(document, sources, faults)
  const policies = new Map<string, Policy>()
  for (const [name, source] of Object.entries(sources)) {
    const path = ['targets', name, 'policy']
    const policy = isYamlMap(source) ? source.policy : undefined
    policies.set(name, isYamlMap(policy) ? Policy.of(compileRules(document, path, policy, faults)) : Policy.any(document.place(path).line))
  }
  if (validated.value === undefined || faults.length > 0) throw new ConfigError(faults)
  return new RouteTable(
    Object.entries(validated.value.targets).map(([name, source]) =>
      createTarget(name, document.place(['targets', name]).line, source, policies.get(name) ?? Policy.any()),
    ),
  )
}
