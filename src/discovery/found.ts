import type { HostPort } from '../address/host-port.ts'
import { ConfigError } from '../config/document/fault.ts'
import { isYamlMap, parseYaml, type YamlMap } from '../config/document/yaml.ts'
import { GatewayError } from '../errors.ts'

/** Types of what is found, as sockets of the service have them. */
export const FOUND_TYPES = ['http', 'https', 'tcp', 'tls'] as const
export type FoundType = (typeof FOUND_TYPES)[number]

/** The wishes of whoever runs a container or a workload. */
export interface Wishes {
  /** Public host; without it the service chooses a name. */
  readonly host: string | undefined
  /** Of the origin, a number or the name that it has there; undefined: its only one. */
  readonly port: number | string | undefined
  readonly type: FoundType
  /** As the key of the same name in a targets file has it; undefined: none. */
  readonly policy: unknown
  readonly access: unknown
}

/** A service that was found and is to be reached from outside. */
export interface FoundService extends Pick<Wishes, 'host' | 'type' | 'policy' | 'access'> {
  /** Name of it among all that is found, such as `docker web`; of its socket too. */
  readonly name: string
  readonly origin: HostPort
}

/** A public host that was found with all that its target has, identifiers aside; only a targets file can have it. */
export interface FoundHost {
  readonly name: string
  readonly host: string
  readonly target: YamlMap
}

/** One that cannot be published, and why. */
export interface RefusedService {
  readonly name: string
  readonly reason: string
}

/** All that is there at a moment. */
export interface Findings {
  readonly found: readonly FoundService[]
  readonly refused: readonly RefusedService[]
  readonly hosts?: readonly FoundHost[]
}

/** Names of the wishes, each behind a prefix: `socket-gateway.host` as a label, `socket-gateway/host` as an annotation. */
const WISHES: readonly string[] = ['expose', 'host', 'port', 'protocol', 'policy', 'access']

/** Longest value of a wish, characters: aliases repeat what is in a text a thousand times. */
const MAX_YAML = 16_384
const MAX_TEXT = 255

const invalid = (place: string, message: string): GatewayError => new GatewayError('CONFIG_INVALID', `${place}: ${message}`)

/** @throws GatewayError CONFIG_INVALID for a number that is no port */
function portOf(text: string | undefined, place: string): number | string | undefined {
  if (text === undefined || !/^\d+$/.test(text)) return text
  const port = Number(text.slice(0, 6))
  if (port < 1 || port > 65_535) throw invalid(place, `${JSON.stringify(text)} is no port; expected 1 to 65535`)
  return port
}

function yamlOf(text: string | undefined, place: string): unknown {
  if (text === undefined) return undefined
  const { value, faults } = parseYaml(text, place)
  // A key that is there twice, or was taken for none, may be the one that counts.
  if (faults.length > 0) throw new ConfigError(faults)
  if (value === undefined || value === null) throw invalid(place, 'is empty')
  return value
}

/** Refuses names of files: whoever writes labels is not whoever runs the gateway, so no file of that machine is read for them, and none is found out about. */
function accessOf(text: string | undefined, place: string): unknown {
  const access = yamlOf(text, place)
  if (isYamlMap(access) && Object.hasOwn(access, 'certificates'))
    throw invalid(place, 'certificates name files of the gateway; write such a target into --base')
  return access
}

/**
 * Reads the labels or annotations of one thing. Another name behind the prefix is refused: a policy that was misspelt would be none.
 * @param values  all of them, with names of others among them
 * @param prefix  such as `socket-gateway.`
 * @throws GatewayError CONFIG_INVALID with the label
 */
export function readWishes(values: Readonly<Record<string, unknown>>, prefix: string): Wishes {
  const wishes = new Map<string, string>()
  for (const [name, value] of Object.entries(values)) {
    if (!name.startsWith(prefix) || typeof value !== 'string') continue
    const wish = name.slice(prefix.length)
    if (!WISHES.includes(wish))
      throw invalid(name.slice(0, MAX_TEXT), `is not known; expected ${WISHES.map(known => prefix + known).join(', ')}`)
    const longest = wish === 'policy' || wish === 'access' ? MAX_YAML : MAX_TEXT
    if (value.length > longest) throw invalid(name, `has more than ${longest} characters`)
    wishes.set(wish, value.trim())
  }
  const type = (wishes.get('protocol') ?? 'http') as FoundType
  if (!FOUND_TYPES.includes(type)) throw invalid(`${prefix}protocol`, `${JSON.stringify(type)} is none; expected ${FOUND_TYPES.join(', ')}`)
  const expose = wishes.get('expose') ?? 'true'
  const host = wishes.get('host') ?? (expose === 'true' ? undefined : expose)
  if (host === '') throw invalid(`${prefix}${wishes.has('host') ? 'host' : 'expose'}`, 'is empty')
  return {
    host,
    type,
    port: portOf(wishes.get('port'), `${prefix}port`),
    policy: yamlOf(wishes.get('policy'), `${prefix}policy`),
    access: accessOf(wishes.get('access'), `${prefix}access`),
  }
}
