/** Log lines for the moment when the ports are open. */
import type { Log } from '../telemetry/log.ts'
import type { OuterLayerOptions } from './options/outer-options.ts'
import { plural } from '../telemetry/plural.ts'

/** The state at the start. */
export interface Started {
  readonly options: Pick<OuterLayerOptions, 'appCertificates' | 'socketCertificates' | 'directory' | 'joining'>
  /** The ports that are open; 0 where there is none. */
  readonly open: {
    readonly ports: { readonly app: number; readonly socket: number }
    readonly httpPort: number
    readonly tcpPorts: readonly number[]
    readonly adminPort: number
  }
  /** Names of the targets, as they stand in the file. */
  readonly targets: readonly string[]
  readonly keys: number
}

/** Says what is open, where to look first, and what comes next. */
export function logStarted(started: Started, log: Log): void {
  const { options, open, targets, keys } = started
  const { httpPort, tcpPorts, adminPort } = open
  const { app: appPort, socket: socketPort } = open.ports
  const appScheme = options.appCertificates === undefined ? 'http' : 'https'
  const socketScheme = options.socketCertificates === undefined ? 'ws' : 'wss'
  // Nothing of a file is served, and nobody but the tunnels of a service is waited for.
  const isServiceAlone = targets.length === 0 && keys === 0 && options.directory !== undefined
  const parts = [
    `clients on port ${appPort} (${appScheme})`,
    ...(httpPort > 0 ? [`redirects on port ${httpPort}`] : []),
    `inner layers on port ${socketPort} (${socketScheme})`,
    ...(tcpPorts.length > 0 ? [`TCP on ${plural(tcpPorts.length, 'port')}`] : []),
    ...(adminPort > 0 ? [`operators on port ${adminPort}, http://127.0.0.1:${adminPort}`] : []),
    plural(targets.length, 'target'),
    plural(keys, 'key'),
  ]
  log.info(
    {
      appPort,
      socketPort,
      ...(httpPort > 0 && { appHttpPort: httpPort }),
      ...(tcpPorts.length > 0 && { tcpPorts }),
      ...(adminPort > 0 && { adminPort }),
      targets: targets.length,
      keys,
    },
    `outer layer ready: ${parts.join(', ')}${isServiceAlone ? '' : `; try ${urlOf(started, appScheme)}`}`,
  )
  // Whoever is invited is told what to type.
  if (isServiceAlone || options.joining !== undefined) return
  const elsewhere =
    socketScheme === 'wss'
      ? `--outer-layer wss://NAME:${socketPort}, by the name in the certificate`
      : '--outer-layer wss://NAME, through --socket-tls-certificate or a proxy with TLS in front of that port'
  log.info(
    {},
    `no inner layer yet; next, on this machine: socket-gateway inner-layer --private-key innerLayer.key --outer-layer ${socketScheme}://localhost:${socketPort}; on another one: ${elsewhere}`,
  )
}

/** A URL that has a target, as far as one can be made of the file; the host in it decides. */
function urlOf({ open: { ports }, targets }: Started, appScheme: 'http' | 'https'): string {
  const name = targets.find(target => !target.includes('*')) ?? targets[0]?.replaceAll('*', 'www') ?? 'localhost'
  const host = name === 'www' ? 'localhost' : name
  const isDefault = ports.app === (appScheme === 'https' ? 443 : 80)
  return `${appScheme}://${host}${isDefault ? '' : `:${ports.app}`}/`
}
