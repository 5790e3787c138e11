/** The targets file: text → routes, or every fault with its place. */
import { messageOf } from '../errors.ts'
import { Policy } from '../route/policy.ts'
import { RouteMatch } from '../route/route-match.ts'
import { RoutePath, Routes } from '../route/routes.ts'
import { splitTarget } from './routing/split-target.ts'
import { RouteTable, type Doubt, type Target } from '../route/table.ts'
import type { TcpPort } from '../route/tcp-port.ts'
import type { Tunnels } from '../route/tunnel.ts'
import { checkBlind, createBlindNames } from './blind/blind-names.ts'
import { createTarget, inherit, inheritPart, type Keys, type RouteSource, type TargetSource } from './create-target.ts'
import { ConfigError, type ConfigFault } from './document/fault.ts'
import { validate } from './document/validate.ts'
import { isYamlMap, parseYaml, type YamlDocument } from './document/yaml.ts'
import type { TargetPlace } from './keys/key.ts'
import { piecesOf } from './pieces.ts'
import { targetsFileSchema } from './schema.ts'
import { expandShorthand } from './shorthand.ts'
import { atOnce, inSlices } from './slices.ts'
import { checkHosts, checkTargets, doubtsOf } from './target-checks.ts'
import { readNamedFile } from './target-files.ts'
import { checkTcp, createTcpPorts } from './tcp-ports.ts'
import { authorityFaults, checkTunnels, createTunnels } from './tunnels.ts'

const SECTIONS = ['targets', 'tcp', 'tunnels', 'blind'] as const

type Facts = Pick<TargetPlace, 'name' | 'path' | 'match'>

/** Names of routes: the host, the path and what the condition asks for, each once. */
function namesOf(host: string, routes: readonly RouteSource[]): readonly string[] {
  const seen = new Map<string, number>()
  return routes.map(({ path, match }) => {
    const name = `${host}${path}${match === undefined ? '' : ` (${new RouteMatch(match).label})`}`
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    return count === 1 ? name : `${name} ${count}`
  })
}

/** Collects the pieces of one file. */
class TableBuilder {
  readonly #faults: ConfigFault[] = []
  readonly #hostLines = new Map<string, number>()
  readonly #targets: Target[] = []
  readonly #doubts: Doubt[] = []
  #tcp: readonly TcpPort[] = []
  #tunnels: Tunnels = new Map()
  #blind: readonly TcpPort[] = []
  #tunnelsDocument: YamlDocument | undefined
  #cause: unknown

  constructor(private readonly file: string) {}

  /** @param read  gives the document. What it throws is a fault of the file, too */
  add(read: () => YamlDocument): void {
    try {
      this.#add(read())
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      this.#cause ??= error.cause
      this.#faults.push(...error.faults)
    }
  }

  /** @throws ConfigError with the faults of all pieces */
  finish(): RouteTable {
    if (this.#faults.length > 0) throw new ConfigError(this.#faults, { cause: this.#cause })
    const table = new RouteTable(this.#targets, { tcp: this.#tcp, tunnels: this.#tunnels, blind: this.#blind, doubts: this.#doubts })
    // The targets may stand in other pieces.
    const faults = this.#tunnelsDocument === undefined ? [] : [...authorityFaults(this.#tunnelsDocument, table)]
    if (faults.length > 0) throw new ConfigError(faults)
    return table
  }

  #add(written: YamlDocument): void {
    const faults: ConfigFault[] = [...written.faults]
    const document = expandShorthand(written, faults)
    const validated = validate(document, targetsFileSchema)
    faults.push(...validated.faults)
    const sections = isYamlMap(document.value) ? document.value : {}
    // What a half-written file looks like is a fault; a table that is empty on purpose says so.
    if (isYamlMap(document.value) && !SECTIONS.some(section => Object.hasOwn(sections, section)))
      faults.push(document.fault([], `expected at least one of the keys ${SECTIONS.join(', ')}, got none of them`))
    const sources = isYamlMap(sections['targets']) ? sections['targets'] : {}
    const policies = checkTargets(document, sources, faults)
    checkBlind(document, sections['blind'], this.#hostLines, faults)
    checkHosts(document, sources, this.#hostLines, faults)
    checkTcp(document, sections['tcp'], faults)
    checkTunnels(document, sections['tunnels'], faults)
    if (validated.value !== undefined && faults.length === 0) {
      const { targets = {}, blind, tcp, tunnels } = validated.value
      for (const [name, source] of Object.entries(targets)) this.#targets.push(this.#targetOf(document, name, source, policies, faults))
      if (blind !== undefined) this.#blind = createBlindNames(document, blind)
      if (tcp !== undefined) this.#tcp = createTcpPorts(document, tcp, this.file, faults)
      if (tunnels !== undefined) {
        this.#tunnels = createTunnels(document, tunnels, this.file, faults)
        this.#tunnelsDocument = document
      }
      this.#doubts.push(...doubtsOf(document, sources))
    }
    this.#faults.push(...faults)
  }

  #targetOf(
    document: YamlDocument,
    name: string,
    source: TargetSource,
    policies: ReadonlyMap<string, Policy | undefined>,
    faults: ConfigFault[],
  ): Target {
    const make = (path: readonly PropertyKey[], facts: Facts, policy: Policy, keys: Keys): Target => {
      const read: TargetPlace['read'] = (named, kind, key) => {
        try {
          return readNamedFile(this.file, named, kind)
        } catch (error) {
          faults.push(document.fault([...path, ...key], messageOf(error)))
          return ''
        }
      }
      try {
        return createTarget(keys, policy, { ...facts, host: name, line: document.place(path).line, read })
      } catch (error) {
        throw new ConfigError([...faults, document.fault(path, messageOf(error))])
      }
    }
    // Its own split stands at its own place, an inherited one at that of the target.
    const whole = (path: readonly PropertyKey[], own: readonly PropertyKey[], facts: Facts, policy: Policy, keys: Keys): Target => {
      const target = make(path, facts, policy, keys)
      const { split } = keys
      if (split === undefined) return target
      const parts = split.map((part, i) =>
        make([...own, 'split', i], { ...facts, name: `${facts.name} [${i + 1}]` }, policy, inheritPart(keys, part)),
      )
      return splitTarget(target, { parts, weights: split.map(({ weight = 1 }) => weight), place: own.join('\n') })
    }
    const path = ['targets', name]
    const policy = policies.get(name) ?? Policy.any(document.place(path).line)
    const target = whole(path, path, { name }, policy, source)
    const names = namesOf(name, source.routes ?? [])
    const routes = (source.routes ?? []).map((route, i) => {
      const own = [...path, 'routes', i]
      const match = route.match === undefined ? undefined : new RouteMatch(route.match)
      const facts = { name: names[i]!, path: new RoutePath(route.path), match }
      return Object.freeze(
        whole(own, route.split === undefined ? path : own, facts, policies.get(`${name} ${i}`) ?? policy, inherit(source, route)),
      )
    })
    return Object.freeze(routes.length === 0 ? target : { ...target, routes: new Routes(routes) })
  }
}

/** A long file in pieces of some hosts each, with a pause behind each one. */
function* tableOf(text: string, file: string): Generator<undefined, RouteTable> {
  const builder = new TableBuilder(file)
  for (const piece of piecesOf(text)) {
    if (piece !== undefined) builder.add(() => parseYaml(piece.text, file, piece.firstLine))
    yield
  }
  return builder.finish()
}

/**
 * Reads the text of a targets file, YAML or JSON. Files that it names are read with it.
 * @param file name for the faults, and whose folder other names are relative to
 * @returns the routes, frozen; none for an empty map
 * @throws ConfigError CONFIG_INVALID with all faults; with the first one alone when the text is no YAML at all
 */
export const parseTargets = (text: string, file: string): RouteTable => atOnce(tableOf(text, file))

/** The same, in slices between which the event loop turns: thousands of hosts take seconds. @throws ConfigError, as the promise */
export const parseTargetsInSlices = (text: string, file: string): Promise<RouteTable> => inSlices(tableOf(text, file))
