import type { LayerStatus } from '../../admin/status.ts'
import { ownAnswerOf } from '../../route/own-answer.ts'
import type { RouteTable } from '../../route/table.ts'

/** Something that only an inner layer can serve, and none that is there may. */
export interface Unserved {
  readonly name: string
  /** 1-based line in the targets file. */
  readonly line: number
  /** Identifiers that it wants. */
  readonly wants: readonly string[]
}

/**
 * Returns what none of the inner layers with these identifiers serves: targets, routes, blind names, TCP ports and tunnels. Those that any inner layer
 * may serve are left out.
 */
export function unservedOf({ all, blind, tcp, tunnels }: RouteTable, identifiers: ReadonlySet<string>): readonly Unserved[] {
  const wanted = [
    ...all.filter(target => ownAnswerOf(target) === undefined),
    ...blind.flatMap(({ options: { key, line, routes } }) => routes.map(route => ({ ...route, name: `blind ${key}`, line }))),
    ...tcp.flatMap(({ options: { key, line, routes } }) => routes.map(route => ({ ...route, name: `tcp ${key}`, line }))),
    ...[...tunnels.values()].map(({ name, line, identifiers: wants }) => ({ name: `tunnel ${name}`, line, identifiers: wants })),
  ]
  return wanted.flatMap(({ name, line, identifiers: wants }) =>
    wants === undefined || wants.some(identifier => identifiers.has(identifier)) ? [] : [{ name, line, wants }],
  )
}

/** Identifiers of the inner layers that are connected; undefined: this is no outer layer. */
export const connectedTo = (status: LayerStatus): ReadonlySet<string> | undefined =>
  status.layer === 'outer' ? new Set(status.innerLayers.map(({ identifier }) => identifier)) : undefined

/** `wants lan-a, and vm is connected`. */
export const unservedText = ({ wants }: Unserved, connected: ReadonlySet<string>): string =>
  `wants ${wants.join(' or ')}, and ${connected.size === 0 ? 'no inner layer' : [...connected].slice(0, 5).join(', ')} is connected; start one with --identifier ${wants[0]}`
