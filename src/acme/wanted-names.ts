/** The names for which certificates are wanted, all of which come from the operator: nobody else can make one come about. */
import { isIP } from 'node:net'
import { parseTargetHost } from '../address/host.ts'
import type { TcpPort } from '../route/tcp-port.ts'

/** The parts of a table that name hosts. */
export interface NamedHosts {
  readonly targets: readonly { readonly name: string }[]
  readonly tcp: readonly TcpPort[]
}

/** No authority certifies what everybody has. RFC 6761 §6.3. */
const isLocal = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost')

/** Can this be certified at all? An address cannot, and `*` is no name. */
export const canBeCertified = (name: string): boolean =>
  name !== '*' && !name.startsWith('[') && isIP(name) === 0 && !isLocal(name.replace(/^\*\./, ''))

/** Certificates know one label in place of a star, no more (RFC 9525 §6.3). */
const certified = (pattern: string): string => pattern.replace(/^\*\*\./, '*.')

/** Names of targets, and of TCP ports that end TLS, as they are compared. */
export function namesIn({ targets, tcp }: NamedHosts): readonly string[] {
  const ofPorts = tcp.filter(({ options }) => options.tls === 'terminate').flatMap(({ options }) => options.routes.map(({ name }) => name))
  return [...targets.map(({ name }) => certified(parseTargetHost(name))), ...ofPorts]
}

/** The wanted names, and those that cannot be had. */
export interface WantedNames {
  readonly wanted: readonly string[]
  /** Wildcards, which are proven by the DNS alone. */
  readonly withoutDns: readonly string[]
}

/**
 * Leaves out what cannot be certified, what is there twice, and what another one is good for.
 * @param hasDns    wildcards can be had
 * @param isGiven   the operator has given a certificate for it
 */
export function chooseNames(names: readonly string[], hasDns: boolean, isGiven: (name: string) => boolean): WantedNames {
  const all = [...new Set(names)].filter(name => canBeCertified(name) && !isGiven(name))
  const wildcards = all.filter(name => name.startsWith('*.'))
  if (!hasDns) return { wanted: all.filter(name => !name.startsWith('*.')), withoutDns: wildcards }
  const covered = new Set(wildcards.map(name => name.slice(1)))
  return { wanted: all.filter(name => name.startsWith('*.') || !covered.has(domainOf(name))), withoutDns: [] }
}

/** `.x` of `label.x`. */
const domainOf = (name: string): string => name.slice(Math.max(0, name.indexOf('.')))
