/** The targets of an inner layer that ends TLS itself, held against what it can keep to. */
import { parseHost, parseHostPattern, parseTargetHost } from '../../address/host.ts'
import { GatewayError } from '../../errors.ts'
import { RouteTable, type Target } from '../../route/table.ts'

/** Options beside the targets. */
export interface ServedBy {
  /** Patterns of `--tls-for`. */
  readonly names: readonly string[]
  /** Of this inner layer. */
  readonly identifier: string
  /** The host on which people log in; undefined: nobody asks who comes. */
  readonly authHost: string | undefined
}

/** Is the host one of these, exact or below `*.x`? */
export function isNamed(names: readonly string[], host: string): boolean {
  const dot = host.indexOf('.')
  return names.includes(host) || (dot > 0 && names.includes(`*${host.slice(dot)}`))
}

/** The part of a table that is served here: ports, tunnels and blind names are an outer layer's. */
export const servedPart = ({ targets, doubts }: RouteTable): RouteTable => new RouteTable(targets, { doubts })

/** The faults of a table for this inner layer: what it says and cannot be kept to, each in words. */
export function faultsOf(table: RouteTable, served: ServedBy): readonly string[] {
  const { names } = served
  const sections = [
    ...(table.tcp.length > 0 ? ['tcp'] : []),
    ...(table.tunnels.size > 0 ? ['tunnels'] : []),
    ...(table.blind.length > 0 ? ['blind'] : []),
  ]
  const patterns = table.targets.map(({ name }) => parseTargetHost(name))
  const idle = names.filter(name => !patterns.some(pattern => isNamed([name], pattern) || isNamed([pattern], name) || pattern === name))
  return [
    ...sections.map(section => `the section ${section} is for the targets file of an outer layer; an inner layer has no public ports`),
    ...table.targets.flatMap(target => [...faultsOfHost(target, served)]),
    ...idle.map(name => `--tls-for ${name}: no target has this name, so nothing would be served there`),
  ]
}

function* faultsOfHost(host: Target, { names, identifier, authHost }: ServedBy): Generator<string> {
  const pattern = parseTargetHost(host.name)
  if (!names.includes(pattern) && !isNamed(names, pattern))
    yield `${host.name} is no name of --tls-for, so nobody could come to it: name it there as well, or take it out`
  for (const { name, identifiers, treatment } of [host, ...(host.routes?.all ?? [])]) {
    if (identifiers !== undefined && !identifiers.includes(identifier))
      yield `${name}: identifier names other inner layers, and behind this TLS there is none but this one, "${identifier}"`
    if (treatment?.access === undefined) continue
    if (authHost === undefined) {
      yield `${name} has access, which is asked for here and not at the outer layer: give --visitors to this inner layer`
    } else if (treatment.access.login !== undefined && !isNamed(names, authHost))
      yield `${name} lets people log in at ${authHost}: name it in --tls-for as well, since their sessions are opened here`
  }
}

/** The patterns of `--tls-for`. @throws GatewayError USAGE for what is no name */
export const namesOf = (given: readonly string[]): readonly string[] => [...new Set(given.map(name => parseHostPattern(name)))]

/** A name of certificates for the check whether one is there: of a wildcard, one that it stands for. */
const exampleOf = (name: string): string => parseHost(name.replace('*', 'any')).host

/** @throws GatewayError USAGE for the first name that no certificate is for */
export function checkCertificates(names: readonly string[], covers: (host: string) => boolean): void {
  const missing = names.filter(name => !covers(exampleOf(name)))
  if (missing.length === 0) return
  throw new GatewayError('USAGE', `--tls-for ${missing.join(', ')}: no certificate of --tls-certificate is for it; give one, or --acme`)
}
