/** The section `tunnels` of the targets file → tunnels, or every fault with its place. */
import type { z } from 'zod'
import { messageOf } from '../errors.ts'
import { TokenList } from '../identity/token.ts'
import { AddressRanges } from '../address/address-ranges.ts'
import type { CertificateRule } from '../route/access.ts'
import { certificateRuleOf } from '../route/certificate-rule.ts'
import type { TargetTable } from '../route/table.ts'
import { parseTunnelName, type Tunnel, type Tunnels } from '../route/tunnel.ts'
import type { ConfigFault } from './document/fault.ts'
import type { tunnelsSchema } from './tunnels-schema.ts'
import { loginFaults, tunnelAccessOf } from './keys/access.ts'
import { isOn, type TargetPlace } from './keys/key.ts'
import { readNamedFile } from './target-files.ts'
import { isYamlMap, type YamlDocument } from './document/yaml.ts'

const DEFAULT_MAX_CONNECTIONS = 100

const isEmpty = (value: unknown): boolean =>
  value === undefined || (Array.isArray(value) && value.length === 0) || (isYamlMap(value) && Object.keys(value).length === 0)

/**
 * Finds what is wrong with the section beyond its shape: its keys, and tunnels that nobody could open.
 * @param section  as it was read; anything but a map is the schema's to refuse
 */
export function checkTunnels(document: YamlDocument, section: unknown, faults: ConfigFault[]): void {
  if (!isYamlMap(section)) return
  const lines = new Map<string, number>()
  for (const [key, entry] of Object.entries(section)) {
    const path = ['tunnels', key]
    try {
      const { name } = parseTunnelName(key)
      const first = lines.get(name)
      if (first !== undefined) faults.push(document.fault(path, `duplicate tunnel: the same as the one of line ${first}, which is ${name}`))
      else lines.set(name, document.place(path).line)
    } catch (error) {
      faults.push(document.fault(path, `expected HOST:PORT such as "db.lan:5432": ${messageOf(error)}`))
    }
    if (!isYamlMap(entry)) continue
    // Nothing is open by default, and what is forgotten is not open either.
    if (isEmpty(entry['tokens']) && isEmpty(entry['users']) && isEmpty(entry['publicKeys']) && isEmpty(entry['access']))
      faults.push(document.fault(path, 'expected tokens, users, publicKeys or access: without credentials nobody may open a tunnel'))
    const { access } = entry
    if (entry['identity'] === true && (entry['proxyProtocol'] !== 2 || !isYamlMap(access)))
      faults.push(
        document.fault([...path, 'identity'], 'expected access and proxyProtocol: 2 beside identity: who it is, and a place for it'),
      )
    if (!isYamlMap(access)) continue
    if (!['login', 'tokens', 'jwt', 'certificates'].some(lane => isOn(access, lane)))
      faults.push(document.fault([...path, 'access'], 'expected at least one of login, tokens, jwt and certificates'))
    for (const [key, message] of loginFaults(access)) faults.push(document.fault([...path, ...key], message))
  }
}

const listOf = (value: string | readonly string[]): readonly string[] => (typeof value === 'string' ? [value] : value)

/**
 * The tunnels of a section without faults.
 * @param file    the targets file, whose folder other names are relative to
 * @param faults  takes those of files that the section names
 */
export function createTunnels(
  document: YamlDocument,
  section: z.output<typeof tunnelsSchema>,
  file: string,
  faults: ConfigFault[],
): Tunnels {
  const tunnels = new Map<string, Tunnel>()
  for (const [key, entry] of Object.entries(section)) {
    const { name, hostname, port } = parseTunnelName(key)
    const users = Object.entries(entry.users ?? {})
    const read: TargetPlace['read'] = (named, kind, place) => {
      try {
        return readNamedFile(file, named, kind)
      } catch (error) {
        faults.push(document.fault(['tunnels', key, ...place], messageOf(error)))
        return ''
      }
    }
    tunnels.set(
      name,
      Object.freeze({
        name,
        line: document.place(['tunnels', key]).line,
        hostname,
        port,
        identifiers: entry.identifier === undefined ? undefined : Object.freeze([...new Set(listOf(entry.identifier))]),
        allow: entry.allow === undefined ? undefined : new AddressRanges(listOf(entry.allow)),
        tokens: new TokenList(entry.tokens ?? []),
        users: users.length === 0 ? undefined : Object.freeze({ realm: 'tunnels', users: new Map(users), forwards: false, session: false }),
        keys: new Set(entry.publicKeys ?? []),
        access: entry.access && tunnelAccessOf(entry.access, { read }),
        maxConnections: entry.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
        idleMs: entry.idle ?? 0,
        proxyProtocol: entry.proxyProtocol === 1 || entry.proxyProtocol === 2 ? entry.proxyProtocol : 0,
        tellsIdentity: entry.identity === true,
        ...(entry.inspect === true && { isInspected: true as const }),
      }),
    )
  }
  return tunnels
}

/**
 * Faults of tunnels whose names of the gateway ask for the certificates of other authorities already, by a target or by another tunnel:
 * while the connection is made, nobody knows what it is for.
 */
export function* authorityFaults(document: YamlDocument, table: Pick<TargetTable, 'tunnels' | 'match'>): Generator<ConfigFault> {
  const seen = new Map<string, { readonly rule: CertificateRule; readonly by: string }>()
  for (const { name, line, access } of table.tunnels.values()) {
    const rule = access?.certificates
    for (const host of rule?.hosts ?? []) {
      const target = table.match(host)
      const ofTarget = target && certificateRuleOf(target)
      const known = seen.get(host) ?? (ofTarget && { rule: ofTarget, by: `the target ${host}` })
      if (known === undefined) seen.set(host, { rule: rule!, by: `the tunnel ${name}` })
      else if (known.rule.ca !== rule!.ca || known.rule.crl !== rule!.crl)
        yield document.fault(
          ['tunnels', keyOf(document, line), 'access', 'certificates'],
          `expected the ca and crl of ${known.by}: ${host} asks for one kind of certificates, whatever the connection is for; names may differ`,
        )
    }
  }
}

/** The key in the section that stands at this line. */
function keyOf(document: YamlDocument, line: number): string {
  const section = isYamlMap(document.value) ? document.value['tunnels'] : undefined
  const keys = isYamlMap(section) ? Object.keys(section) : []
  return keys.find(key => document.place(['tunnels', key]).line === line) ?? ''
}
