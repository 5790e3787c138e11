/** The section `blind` of the targets file → names that are passed on, or every fault with its place. */
import type { z } from 'zod'
import { parseHostPattern } from '../../address/host.ts'
import { messageOf } from '../../errors.ts'
import { TcpPort } from '../../route/tcp-port.ts'
import type { ConfigFault } from '../document/fault.ts'
import { isYamlMap, type YamlDocument } from '../document/yaml.ts'
import type { blindSchema } from './blind-schema.ts'

/**
 * Checks every name of the section.
 * @param lines  of hosts by their pattern; gets those of the section, since a target with the same name would be a second answer
 */
export function checkBlind(document: YamlDocument, section: unknown, lines: Map<string, number>, faults: ConfigFault[]): void {
  if (!isYamlMap(section)) return
  for (const name of Object.keys(section)) {
    const path = ['blind', name]
    try {
      const pattern = parseHostPattern(name)
      const first = lines.get(pattern)
      if (pattern === '*')
        faults.push(document.fault(path, 'expected a name, such as "*.example.com": "*" also stands for hosts of strangers'))
      else if (first !== undefined)
        faults.push(document.fault(path, `duplicate host: the same as the one of line ${first}, which is ${pattern}`))
      else lines.set(pattern, document.place(path).line)
    } catch (error) {
      faults.push(document.fault(path, `expected a host such as "api.example.com" or "*.example.com": ${messageOf(error)}`))
    }
  }
}

const listOf = (value: string | readonly string[]): readonly string[] => (typeof value === 'string' ? [value] : value)

/** The names of a section without faults, each as a port of its own: what counts for its connections. */
export const createBlindNames = (document: YamlDocument, section: z.output<typeof blindSchema>): readonly TcpPort[] =>
  Object.entries(section).map(([key, { identifier, allow, deny, idle }]) => {
    const name = parseHostPattern(key)
    return new TcpPort({
      key,
      line: document.place(['blind', key]).line,
      port: 443,
      host: undefined,
      tls: 'passthrough',
      clientCa: undefined,
      clientNames: [],
      allow: allow === undefined ? undefined : listOf(allow),
      deny: listOf(deny ?? []),
      // The app port has counted them.
      maxConnections: Infinity,
      maxConnectionsPerAddress: Infinity,
      idleMs: idle ?? 0,
      proxyProtocol: 0,
      tellsIdentity: false,
      routes: [{ name, hostname: name, port: 443, identifiers: Object.freeze([...new Set(listOf(identifier))]), endsTls: true }],
    })
  })
