import { parseHostPattern, parseTargetHost } from '../address/host.ts'
import { isYamlMap, MAX_TEXT, parseYaml, type YamlMap } from '../config/document/yaml.ts'
import { parseTargets } from '../config/targets.ts'
import { GatewayError, messageOf } from '../errors.ts'
import type { FoundHost, FoundService, RefusedService } from './found.ts'

/** A targets file that people keep, to which targets are added. */
export interface BaseTargets {
  readonly file: string
  readonly text: string
}

/** A file to write, and those that are not in it. */
export interface TargetsDocument {
  /** JSON, which is YAML too. */
  readonly text: string
  readonly refused: readonly RefusedService[]
  /** Hosts that lead somewhere, each with what it is. */
  readonly hosts: ReadonlyMap<string, string>
}

/** Longest text of one target: a short label can stand for megabytes, by aliases. */
const MAX_TARGET = 65_536
const INDENT = 2

/** Characters that a target takes in the file. */
const sizeIn = (host: string, target: YamlMap): number => JSON.stringify({ targets: { [host]: target } }, undefined, INDENT).length

/** Whoever writes labels does not send the outer layer anywhere in its own network: but for what the operator allows, issuers have to be in the Internet. */
function withPublicIssuers(access: unknown, allowed: readonly string[]): unknown {
  if (!isYamlMap(access) || access['jwt'] === undefined) return access
  const { jwt } = access
  const narrowed = (rule: unknown): unknown => {
    if (!isYamlMap(rule)) return rule
    const isAllowed = ['issuer', 'jwks'].every(key => rule[key] === undefined || allowed.some(each => each === rule[key]))
    return { ...rule, publicOnly: !isAllowed }
  }
  return { ...access, jwt: Array.isArray(jwt) ? jwt.map(narrowed) : narrowed(jwt) }
}

/** As the targets file has it. */
const targetOf = (
  { name, type, origin, policy, access }: FoundService,
  identifiers: readonly string[],
  issuers: readonly string[],
): YamlMap => ({
  protocol: type,
  hostname: origin.host,
  port: origin.port,
  ...(identifiers.length > 0 && { identifier: identifiers }),
  ...(policy !== undefined && { policy }),
  ...(access !== undefined && { access: withPublicIssuers(access, issuers) }),
  found: name,
})

/** As `targetOf`. */
const targetOfHost = ({ name, target }: FoundHost, identifiers: readonly string[]): YamlMap => ({
  ...(identifiers.length > 0 && { identifier: identifiers }),
  ...target,
  found: name,
})

/** @throws GatewayError with the reason why it cannot be a target */
function checked({ host, type }: Partial<FoundService>, target: YamlMap, file: string): string {
  if (type === 'tcp' || type === 'tls')
    throw new GatewayError(
      'CONFIG_INVALID',
      `protocol ${type} has no public port in a targets file; publish it by the service, or write it into --base`,
    )
  if (host === undefined) throw new GatewayError('CONFIG_INVALID', 'has no host, which a target needs; only the service chooses names')
  parseTargets(JSON.stringify({ targets: { [host]: target } }), file)
  return parseTargetHost(host)
}

/**
 * Puts a targets file together. Each target is judged as in the file it goes to; one that is wrong is left out, and keeps no other from being there.
 * @param issuers  of JWTs, and URLs of their keys, that may be anywhere
 * @param file  where it is to stand, since names of files in it count from its folder
 * @throws GatewayError CONFIG_INVALID when the base is wrong
 */
export function targetsDocument(
  found: readonly (FoundService | FoundHost)[],
  {
    file,
    base,
    identifiers,
    issuers = [],
  }: {
    readonly file: string
    readonly base: BaseTargets | undefined
    readonly identifiers: readonly string[]
    readonly issuers?: readonly string[]
  },
): TargetsDocument {
  const document = base === undefined ? {} : parseYaml(base.text, base.file).value
  if (base !== undefined) parseTargets(base.text, base.file)
  const rest = isYamlMap(document) ? document : {}
  const kept = isYamlMap(rest['targets']) ? rest['targets'] : {}
  const targets = new Map(Object.entries(kept))
  const owners = new Map<string, string>()
  const keeper = `--base ${base?.file ?? ''}`
  for (const host of Object.keys(kept)) owners.set(parseTargetHost(host), keeper)
  // A second answer to one of them would be a fault of the whole file; and whoever writes labels does not end the TLS of what is not to be read here.
  const blind = new Set(isYamlMap(rest['blind']) ? Object.keys(rest['blind']).map(parseHostPattern) : [])
  const isBlind = (host: string): boolean => blind.has(host) || blind.has(`*${host.slice(host.indexOf('.'))}`)
  const refused: RefusedService[] = []
  const hosts = new Map<string, string>()
  // An outer layer takes no longer file, and would go on with the one before, for all of them.
  let room = MAX_TEXT - JSON.stringify({ ...rest, targets: kept }, undefined, INDENT).length
  for (const service of [...found].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = service
    try {
      const target = 'target' in service ? targetOfHost(service, identifiers) : targetOf(service, identifiers, issuers)
      const host = checked(service, target, file)
      const owner = owners.get(host) ?? (isBlind(host) ? keeper : undefined)
      if (owner !== undefined) throw new GatewayError('CONFLICT', `${host} is the host of ${owner} already`)
      const size = sizeIn(host, target)
      if (size > Math.min(room, MAX_TARGET))
        throw new GatewayError(
          'CONFIG_INVALID',
          `takes ${size} characters in the targets file, of which ${Math.min(room, MAX_TARGET)} are left for it`,
        )
      room -= size
      owners.set(host, name)
      hosts.set(host, name)
      targets.set(host, target)
    } catch (error) {
      refused.push({ name, reason: messageOf(error) })
    }
  }
  return { text: `${JSON.stringify({ ...rest, targets: Object.fromEntries(targets) }, undefined, INDENT)}\n`, refused, hosts }
}
