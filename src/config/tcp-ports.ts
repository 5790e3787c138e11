/** The section `tcp` of the targets file → public ports, or every fault with its place. */
import { dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { messageOf } from '../errors.ts'
import { parseHostPattern, parseOriginHost } from '../address/host.ts'
import { TcpPort, type TcpRoute } from '../route/tcp-port.ts'
import type { ConfigFault } from './document/fault.ts'
import type { FileKind } from './keys/key.ts'
import { readNamedFile } from './target-files.ts'
import type { tcpEntrySchema, tcpSchema } from './tcp-schema.ts'
import { isYamlMap, type YamlDocument, type YamlMap } from './document/yaml.ts'

type Entry = z.output<typeof tcpEntrySchema>

/** Each port costs a socket, also while nobody uses it. */
const MAX_PORTS = 1_000
const DEFAULT_MAX_CONNECTIONS = 1_000
const DEFAULT_MAX_CONNECTIONS_PER_ADDRESS = 256

interface PortRange {
  readonly from: number
  readonly to: number
}

const parseRange = (text: string): PortRange | undefined => {
  const [, first, last = first] = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text) ?? []
  const [from, to] = [Number(first), Number(last)]
  return from >= 1 && from <= to && to <= 65_535 ? { from, to } : undefined
}

const sizeOf = ({ from, to }: PortRange): number => to - from + 1

/** Faults of an entry that its shape alone does not have; of one that is wrong otherwise, those that can be told. */
function* faultsOf(entry: YamlMap, range: PortRange | undefined): Generator<readonly [path: readonly string[], message: string]> {
  const hasNames = isYamlMap(entry.names)
  if (hasNames === (entry.hostname !== undefined)) {
    yield hasNames
      ? [['hostname'], 'expected either hostname or names, got both; "*" in names stands for every other name']
      : [[], 'expected the key hostname, or names']
  }
  if (hasNames && entry.tls !== true && entry.tls !== 'passthrough')
    yield [['names'], 'expected tls: true or tls: passthrough beside names, since only TLS says the name']
  if (hasNames && entry.port !== undefined) yield [['port'], 'expected the port beside the hostname of each name']
  if (entry.clientCa !== undefined && entry.tls !== true)
    yield [['clientCa'], 'expected tls: true beside clientCa, since only who ends TLS sees client certificates']
  if (entry.clientCrl !== undefined && entry.clientCa === undefined)
    yield [['clientCrl'], 'expected clientCa beside clientCrl: only authorities that are known can revoke']
  if (entry.clientNames !== undefined && entry.clientCa === undefined)
    yield [['clientNames'], 'expected clientCa beside clientNames: names count only in certificates that somebody has signed']
  if (entry.identity === true && entry.proxyProtocol !== 2)
    yield [['identity'], 'expected proxyProtocol: 2 beside identity, since only that version has a place for it']
  if (entry.identity === true && entry.clientCa === undefined)
    yield [['identity'], 'expected clientCa beside identity: without a client certificate nobody proves at this port who they are']
  if (typeof entry.port === 'string' && range !== undefined) {
    const origin = parseRange(entry.port)
    if (origin === undefined || sizeOf(origin) !== sizeOf(range))
      yield [['port'], `expected one port or a range of ${sizeOf(range)}, as long as the public one, got ${JSON.stringify(entry.port)}`]
  }
}

/** Checks every name of an entry, also one whose origin is wrong. */
function checkNames(document: YamlDocument, path: readonly PropertyKey[], names: YamlMap, faults: ConfigFault[]): void {
  const lines = new Map<string, number>()
  for (const name of Object.keys(names)) {
    const place = [...path, name]
    try {
      const pattern = parseHostPattern(name)
      const first = lines.get(pattern)
      if (first !== undefined)
        faults.push(document.fault(place, `duplicate name: the same as the one of line ${first}, which is ${pattern}`))
      else lines.set(pattern, document.place(place).line)
    } catch (error) {
      faults.push(document.fault(place, `expected a name such as "db.example.com", "*.example.com" or "*": ${messageOf(error)}`))
    }
  }
}

/**
 * Finds what is wrong with the section beyond its shape: its keys, overlaps, and entries whose keys contradict each other.
 * @param section  as it was read; anything but a map is the schema's to refuse
 */
export function checkTcp(document: YamlDocument, section: unknown, faults: ConfigFault[]): void {
  if (!isYamlMap(section)) return
  const taken: (PortRange & { readonly key: string; readonly line: number })[] = []
  let count = 0
  for (const [key, entry] of Object.entries(section)) {
    const path = ['tcp', key]
    const range = parseRange(key)
    if (range === undefined) faults.push(document.fault(path, 'expected a port from 1 to 65535, or a range such as "20000-20010"'))
    else {
      const other = taken.find(({ from, to }) => from <= range.to && range.from <= to)
      if (other !== undefined)
        faults.push(document.fault(path, `overlaps with ${other.key} of line ${other.line}; a port can be opened once`))
      taken.push({ ...range, key, line: document.place(path).line })
      count += sizeOf(range)
    }
    if (!isYamlMap(entry)) continue
    for (const [inner, message] of faultsOf(entry, range)) faults.push(document.fault([...path, ...inner], message))
    if (isYamlMap(entry.names)) checkNames(document, [...path, 'names'], entry.names, faults)
  }
  if (count > MAX_PORTS) faults.push(document.fault(['tcp'], `expected at most ${MAX_PORTS} ports, got ${count}`))
}

const listOf = (value: string | readonly string[]): readonly string[] => (typeof value === 'string' ? [value] : value)

const identifiersOf = (value: string | readonly string[] | undefined): readonly string[] | undefined =>
  value === undefined ? undefined : Object.freeze([...new Set(listOf(value))])

const originPort = (entry: Entry, port: number, { from }: PortRange): number => {
  if (entry.port === undefined) return port
  if (typeof entry.port === 'number') return entry.port
  return (parseRange(entry.port)?.from ?? from) + port - from
}

const routesOf = (entry: Entry, port: number, range: PortRange): readonly TcpRoute[] => {
  const identifiers = identifiersOf(entry.identifier)
  if (entry.names === undefined) {
    return [{ name: '*', hostname: parseOriginHost(entry.hostname ?? ''), port: originPort(entry, port, range), identifiers }]
  }
  return Object.entries(entry.names).map(([name, origin]) => ({
    name: parseHostPattern(name),
    hostname: parseOriginHost(origin.hostname),
    port: origin.port ?? port,
    identifiers: identifiersOf(origin.identifier) ?? identifiers,
  }))
}

/**
 * The ports of a section without faults, ranges written out, in the order of their numbers.
 * @param file    the targets file, whose folder other names are relative to
 * @param faults  takes those of files that the section names
 */
export const createTcpPorts = (
  document: YamlDocument,
  section: z.output<typeof tcpSchema>,
  file: string,
  faults: ConfigFault[],
): readonly TcpPort[] => {
  const ports: TcpPort[] = []
  for (const [key, entry] of Object.entries(section)) {
    const range = parseRange(key)
    if (range === undefined) continue
    const { line } = document.place(['tcp', key])
    const fileOf = (name: 'clientCa' | 'clientCrl', kind: FileKind): string | undefined => {
      const named = entry[name]
      if (named === undefined) return undefined
      try {
        readNamedFile(file, named, kind)
      } catch (error) {
        faults.push(document.fault(['tcp', key, name], messageOf(error)))
      }
      return resolve(dirname(file), named)
    }
    const [clientCa, clientCrl] = [fileOf('clientCa', 'certificate'), fileOf('clientCrl', 'revocation list')]
    for (let port = range.from; port <= range.to; port++) {
      ports.push(
        new TcpPort({
          key,
          line,
          port,
          host: entry.host,
          tls: entry.tls === 'passthrough' ? 'passthrough' : entry.tls === true ? 'terminate' : 'none',
          clientCa,
          clientCrl,
          clientNames: Object.freeze([...(entry.clientNames ?? [])]),
          allow: entry.allow === undefined ? undefined : listOf(entry.allow),
          deny: listOf(entry.deny ?? []),
          maxConnections: entry.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
          maxConnectionsPerAddress: entry.maxConnectionsPerAddress ?? DEFAULT_MAX_CONNECTIONS_PER_ADDRESS,
          idleMs: entry.idle ?? 0,
          proxyProtocol: entry.proxyProtocol === 1 || entry.proxyProtocol === 2 ? entry.proxyProtocol : 0,
          tellsIdentity: entry.identity === true,
          ...(entry.inspect === true && { isInspected: true }),
          routes: routesOf(entry, port, range),
        }),
      )
    }
  }
  return Object.freeze(ports.sort((a, b) => a.options.port - b.options.port))
}
