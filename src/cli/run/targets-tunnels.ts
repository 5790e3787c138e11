import type { Tunnels } from '../../route/tunnel.ts'
import { printable } from '../../telemetry/pretty.ts'
import { formatTable } from '../command/table.ts'

const counted = (count: number, noun: string): readonly string[] => (count === 0 ? [] : [`${count} ${noun}${count === 1 ? '' : 's'}`])

/** A table of the tunnels and of what opens them; empty when there are none. */
export function formatTunnels(tunnels: Tunnels): string {
  const rows = [...tunnels.values()].map(({ name, tokens, users, keys, access, identifiers }) => {
    const credentials = [
      ...counted(tokens.size, 'token'),
      ...counted(users?.users.size ?? 0, 'user'),
      ...counted(keys.size, 'key'),
      ...(access === undefined ? [] : ['access']),
    ]
    return [name, credentials.join(', '), identifiers?.join(', ') ?? 'any'].map(printable)
  })
  return rows.length === 0 ? '' : `${formatTable([['TUNNEL', 'OPENED BY', 'INNER LAYER'], ...rows])}\n`
}
