import { DEFAULT_TIMING } from '../mux/liveness.ts'
import { othersOf } from './options/derived-options.ts'
import type { LinkPortOptions, OtherRequests } from './inner-layers/link-port.ts'
import type { OriginHealth } from './inner-layers/origin-health.ts'
import type { OuterLayerDefaults, OuterLayerOptions } from './options/outer-options.ts'
import type { TunnelSessions } from './tunnel-sessions.ts'

/** The parts of an outer layer that its socket port works with. */
type Parts = Pick<LinkPortOptions, 'keys' | 'isTrusted' | 'clock' | 'registry' | 'counters' | 'readiness' | 'onRefused'> & {
  readonly tunnels: OtherRequests
  readonly health: OriginHealth
  readonly tunnelSessions: () => TunnelSessions | undefined
}

/** Options of the port that inner layers connect to. */
export const linkPortOptions = (
  options: OuterLayerOptions & OuterLayerDefaults,
  { tunnels, health, tunnelSessions, ...parts }: Parts,
): LinkPortOptions => ({
  ...parts,
  port: options.socketPort,
  ...(options.socketHost === undefined ? {} : { host: options.socketHost }),
  tls: options.socketCertificates,
  validityMs: options.validityMs,
  linkNames: options.linkNames ?? [],
  timing: options.timing ?? DEFAULT_TIMING,
  others: othersOf(options.joining, tunnels),
  onNote: (connection, payload) => {
    if (connection.pool === 'operator') health.onNote(connection, payload)
    else tunnelSessions()?.onNote(connection, payload)
  },
})
