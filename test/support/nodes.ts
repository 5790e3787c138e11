/** Outer layers of one cluster in this process, on a real Redis. */
import { createClusterState, type ClusterState } from '../../src/cli/cluster/shared-state.ts'
import type { ClusterOptions } from '../../src/cluster/cluster.ts'
import { RedisPresence } from '../../src/cluster/redis/redis-presence.ts'
import { parseRedisUrl } from '../../src/cluster/redis/redis-url.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { KeyRegistry } from '../../src/identity/key-registry.ts'
import { registeredHalfOf, type PrivateKey } from '../../src/identity/private-key.ts'
import { onCleanUp } from './cleanup.ts'
import { captureLog, privateKeyOf, startLayers, type Layers, type LayersOptions } from './layers.ts'
import { ownPort } from './ports.ts'
import { until } from './wait.ts'

/** What `nodeOptions` makes: the same key for all nodes of the file. */
const minted = mintKeyPair({ type: 'ec', commonName: 'node', validityYears: 1 })

/** The key of the cluster, as a presence signs with it. */
export const nodeKey = async (): Promise<{ readonly key: PrivateKey; readonly keys: KeyRegistry }> => {
  const key = privateKeyOf(await minted)
  return { key, keys: new KeyRegistry([registeredHalfOf(key, 'node.key')]) }
}

export const nodeOptions = async (
  redisPort: number,
  more: Partial<ClusterOptions> & { readonly cluster?: string } = {},
): Promise<ClusterOptions> => {
  const { cluster = 'test', ...rest } = more
  const { key, keys } = await nodeKey()
  const presence = new RedisPresence({
    place: parseRedisUrl(`redis://127.0.0.1:${redisPort}`),
    name: cluster,
    key,
    keys,
    log: captureLog().log,
    clock: () => performance.now(),
    wallClock: Date.now,
  })
  return { presence, port: await ownPort(), host: '127.0.0.1', key, keys, ...rest }
}

/** Starts a node, without an inner layer unless `inners` says so. */
export const startNode = async (
  redisPort: number,
  options: LayersOptions = {},
  more: Partial<ClusterOptions> & { readonly cluster?: string } = {},
): Promise<Layers> => startLayers({ inners: 0, ...options, outer: { ...options.outer, cluster: await nodeOptions(redisPort, more) } })

/** A node that shares what all of them count and know. */
export interface SharedNode {
  readonly layers: Layers
  readonly state: ClusterState
}

/** Starts a node as the program does, with what all nodes have in common. */
export const startSharedNode = async (redisPort: number, options: LayersOptions = {}): Promise<SharedNode> => {
  const cluster = await nodeOptions(redisPort)
  const at = { cluster: `redis://127.0.0.1:${redisPort}`, 'cluster-name': 'test' }
  const state = createClusterState(at, cluster, captureLog().log)
  onCleanUp(() => state.close())
  const outer = { ...options.outer, shared: state, cluster: { ...cluster, peers: state.peers } }
  return { layers: await startLayers({ inners: 0, ...options, outer }), state }
}

/** Resolves when every node is linked to every other one, and knows of this many processes of inner layers elsewhere. */
export const linked = async (nodes: readonly Layers[], processes: readonly number[]): Promise<void> => {
  for (const [index, { outer }] of nodes.entries())
    await until(
      () => {
        const others = outer.cluster!.nodes
        return (
          others.length === nodes.length - 1 &&
          others.every(({ isLinked }) => isLinked) &&
          others.reduce((sum, other) => sum + other.processes, 0) === processes[index]
        )
      },
      { what: `node ${index} to know of ${nodes.length - 1} nodes with ${processes[index]} processes` },
    )
}
