/** The API over the rules of the service, with a real outer layer as its data plane. */
import { LiveDirectory } from '../../src/directory/live-directory.ts'
import { GatewayError } from '../../src/errors.ts'
import type { DataPlane } from '../../src/service/contract.ts'
import type { Socket } from '../../src/service/model.ts'
import { startApi, type RunningApi } from './api.ts'
import { startLayers, type Layers } from './layers.ts'
import { TEST_CONFIG } from './service.ts'

const PORTS = { from: 1_024, to: 65_535 }

/** Both of them, and what they know. */
export interface ServiceEdge {
  readonly api: RunningApi
  readonly layers: Layers
  readonly directory: LiveDirectory
  /** Those of the account ada. */
  sockets(): Promise<readonly Socket[]>
}

/** Starts them; an address of the relay is where connections come to. */
export async function startServiceEdge(zone: string): Promise<ServiceEdge> {
  const directory = new LiveDirectory({ zone, ports: PORTS })
  const layers = await startLayers({ targets: 'targets: {}', inners: 0, relay: {}, outer: { directory } })
  const dataPlane: DataPlane = {
    apply: async change => {
      const [failure] = await directory.apply(change)
      if (failure !== undefined) throw new GatewayError('LISTEN_FAILED', failure.message)
    },
  }
  const hosts = { ...TEST_CONFIG.hosts, link: [`ws://127.0.0.1:${layers.socketPort}`] }
  const api = await startApi({}, { dataPlane, config: { hosts } })
  return {
    api,
    layers,
    directory,
    sockets: async () => ((await api.v1('GET', '/sockets')).json as { items: Socket[] }).items,
  }
}
