import { hkdfSync } from 'node:crypto'
import type { ClusterOptions } from '../../cluster/cluster.ts'
import { RedisUses } from '../../cluster/redis/redis-uses.ts'
import { parseRedisUrl } from '../../cluster/redis/redis-url.ts'
import type { PrivateKey } from '../../identity/private-key.ts'
import { guarded } from '../../net/guard.ts'
import type { SharedAccess } from '../../outer/access/access-check.ts'
import { PeerBook } from '../../peers/peer-book.ts'
import type { Log } from '../../telemetry/log.ts'

/** Time within which all that happens is told to the other nodes together, milliseconds. */
const COUNTS_MS = 100
/** Clocks of nodes follow that of Redis, or their own while it is away, milliseconds. */
const SKEW_MS = 10_000
const SECRET_BYTES = 32

/** The key that all nodes with this private key have. */
const secretOf = ({ key }: PrivateKey): Buffer =>
  Buffer.from(
    hkdfSync('sha256', key.export({ type: 'pkcs8', format: 'der' }), '', 'socket-gateway shared state of a cluster', SECRET_BYTES),
  )

/** The state that the nodes of a cluster have in common, until it is closed. */
export interface ClusterState extends SharedAccess {
  readonly peers: PeerBook
  close(): void
}

/** Makes what the nodes have in common; nothing is connected yet. */
export function createClusterState(
  { cluster, 'cluster-name': name }: { readonly cluster: string; readonly 'cluster-name': string },
  { key, presence }: Pick<ClusterOptions, 'key' | 'presence'>,
  log: Log,
): ClusterState {
  const onFault = (thrown: unknown): void => log.error({ err: thrown }, 'internal fault with what another node has said')
  const peers = new PeerBook({
    clock: () => performance.now(),
    soon: flush => void setTimeout(guarded(onFault, flush), COUNTS_MS).unref(),
    onFault,
  })
  const secret = secretOf(key)
  const exact = new RedisUses({ place: parseRedisUrl(cluster), name, log })
  const close = (): void => {
    peers.calls.close()
    exact.close()
  }
  return { counts: peers.counts, secret, clock: () => presence.now(), skewMs: SKEW_MS, peers, exact, close }
}
