/** Both layers in this process: keys in memory, the link over a port of this machine, nothing on the disk. */
import { createPublicKey } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { KeyRegistry } from '../../identity/key-registry.ts'
import { algorithmsOf } from '../../identity/key.ts'
import { createInnerLayer, type InnerLayer } from '../../inner/inner-layer.ts'
import { AllowList } from '../../origin/allow-list.ts'
import { createOuterLayer, type OuterLayer } from '../../outer/outer-layer.ts'
import type { RouteTable } from '../../route/table.ts'
import type { Log } from '../../telemetry/log.ts'
import { createFreshKey } from '../client/fresh-key.ts'
import type { OriginInspection } from '../inspect/inspection.ts'
import type { LocalService } from '../connect/local-service.ts'

const LOOPBACK = '127.0.0.1'
const IDENTIFIER = 'local'
const USUAL_PORT = 3000
/** The link leads to this very process: whatever takes longer is a fault. */
const LINK_MS = 30_000

/** Options of a gateway on this machine. */
export interface LocalGatewayOptions {
  readonly service: LocalService
  readonly table: RouteTable
  /** For clients; undefined: 3000, or a free one. */
  readonly appPort: number | undefined
  /** A port that is not to be taken though it may be free: that of the service itself. */
  readonly avoidedPort: number | undefined
  /** Undefined: all addresses of this machine. */
  readonly appHost: string | undefined
  readonly drainTimeoutMs: number
  readonly inspection?: OriginInspection | undefined
  readonly log: Log
}

/** A gateway that runs. */
export interface LocalGateway {
  readonly port: number
  /** Lets requests in flight finish, then ends. */
  close(): Promise<void>
}

/** Starts both layers, and resolves when they are connected. @throws GatewayError LISTEN_FAILED */
export async function startLocalGateway(options: LocalGatewayOptions): Promise<LocalGateway> {
  const { service, table, drainTimeoutMs, inspection, log } = options
  const { privateKey } = createFreshKey()
  const key = createPublicKey(privateKey.key)
  const registered = { kid: privateKey.kid, key, algorithms: algorithmsOf(key, 'memory'), identifiers: [IDENTIFIER], source: 'memory' }
  const outer = await startOuter(options, new KeyRegistry([registered]))
  let inner: InnerLayer | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new GatewayError('OUTER_LAYER_LOST')), LINK_MS)
      inner = createInnerLayer(
        {
          privateKey,
          outerLayers: [`ws://${LOOPBACK}:${outer.ports.socket}`],
          identifier: IDENTIFIER,
          connections: 1,
          // Asked for nothing but what the table says, and its dialer knows one place alone.
          allowList: new AllowList(
            table.targets.filter(({ hostname }) => hostname !== '').map(({ hostname, port }) => allowed(hostname, port)),
          ),
          drainTimeoutMs,
          dialer: service.dialer,
          tcpDialer: service.tcpDialer,
          ...(inspection !== undefined && { taps: inspection.taps }),
          onUp: () => {
            clearTimeout(timer)
            resolve()
          },
        },
        { log },
      )
      inspection?.serves(inner)
      inner.start().catch(reject)
    })
  } catch (error) {
    inner?.destroy()
    outer.destroy()
    throw error
  }
  return {
    port: outer.ports.app,
    // In the order in which requests travel.
    close: async () => {
      await outer.close()
      await inner?.close()
    },
  }
}

const allowed = (hostname: string, port: number): string => `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`

/** On the port that was asked for; on the usual one, or a free one where that is taken, when none was. */
async function startOuter(options: LocalGatewayOptions, registry: KeyRegistry): Promise<OuterLayer> {
  const { table, appPort, avoidedPort, appHost, drainTimeoutMs, log } = options
  const ports = appPort === undefined ? [USUAL_PORT, 0].filter(port => port !== avoidedPort) : [appPort]
  for (const [index, port] of ports.entries()) {
    const outer = createOuterLayer(
      {
        appPort: port,
        ...(appHost !== undefined && { appHost }),
        socketPort: 0,
        socketHost: LOOPBACK,
        keys: { registry },
        targets: { table },
        // Whoever comes, comes from here or from the network of this machine, and through nobody who would say for whom.
        trustProxy: [],
        drainDelayMs: 0,
        drainTimeoutMs,
      },
      { log },
    )
    try {
      await outer.start()
      return outer
    } catch (error) {
      outer.destroy()
      if (index === ports.length - 1) throw error
    }
  }
  throw new GatewayError('LISTEN_FAILED')
}
