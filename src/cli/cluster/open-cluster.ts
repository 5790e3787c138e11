import { hostname } from 'node:os'
import { isThisMachine } from '../../address/this-machine.ts'
import type { ClusterOptions } from '../../cluster/cluster.ts'
import { RedisPresence } from '../../cluster/redis/redis-presence.ts'
import { parseRedisUrl } from '../../cluster/redis/redis-url.ts'
import { GatewayError } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { KeyRegistry } from '../../identity/key-registry.ts'
import { readPrivateKey, registeredHalfOf } from '../../identity/private-key.ts'
import { KeyFiles } from '../../identity/public-keys.ts'
import type { Log } from '../../telemetry/log.ts'
import type { CertificateStore } from '../../tls/certificate-store.ts'
import { certificateFile, NODE_KEY_FILE, readOptionFile } from '../command/option-file.ts'
import type { ValuesOf } from '../command/option.ts'
import type { clusterOptions } from '../options/cluster.ts'
import { createClusterState, type ClusterState } from './shared-state.ts'

const CA_FILE = certificateFile('--node-ca', 'of the authorities to trust')

/** The values of the options, with a cluster. */
export type ClusterValues = ValuesOf<typeof clusterOptions> & { readonly cluster: string }

/** A process as a node, and the state that all nodes have in common. */
export interface OpenedCluster {
  readonly cluster: ClusterOptions
  readonly shared: ClusterState
  close(): Promise<void>
}

/**
 * Reads what makes this process a node; nothing is connected yet.
 * @param certificates  of the socket port, for nodes; undefined: there are none
 * @throws GatewayError USAGE, KEY_INVALID, FILE_UNREADABLE
 */
export async function openCluster(
  values: ClusterValues,
  certificates: () => CertificateStore | undefined,
  log: Log,
): Promise<OpenedCluster> {
  const place = parseRedisUrl(values.cluster)
  const keyFile = values['node-key']
  if (keyFile === undefined)
    throw new GatewayError(
      'USAGE',
      '--cluster needs --node-key, the same private key on all nodes; make one with: socket-gateway certificates',
    )
  const given = values['node-url']
  const url = given === undefined ? undefined : new URL(given)
  if (url?.protocol === 'ws:' && !isThisMachine(url.hostname) && !values['node-insecure'])
    throw new GatewayError(
      'USAGE',
      `--node-url ${given}: not encrypted, everybody on the way could read and change requests; use wss://, or pass --node-insecure`,
    )
  const tls = url?.protocol === 'wss:' ? certificates() : undefined
  if (url?.protocol === 'wss:' && tls === undefined)
    throw new GatewayError('USAGE', `--node-url ${given} needs --socket-tls-certificate, with a certificate for ${url.hostname}`)
  const key = await readOptionFile(keyFile, NODE_KEY_FILE, readPrivateKey)
  const caFile = values['node-ca']
  const ca = caFile === undefined ? undefined : await readOptionFile(caFile, CA_FILE, file => readCertificates(file))
  const others = new KeyFiles(values['node-public-key'])
  await others.start()
  await others.close()
  const keys = new KeyRegistry([registeredHalfOf(key, keyFile), ...others.registry])
  const presence = new RedisPresence({
    place,
    name: values['cluster-name'],
    key,
    keys,
    log,
    clock: () => performance.now(),
    wallClock: Date.now,
  })
  const shared = createClusterState(values, { key, presence }, log)
  const cluster: ClusterOptions = {
    presence,
    peers: shared.peers,
    url: given,
    port: values['node-port'] ?? (url === undefined ? 0 : Number(url.port || (url.protocol === 'wss:' ? 443 : 80))),
    host: values['node-host'] ?? (url === undefined ? '127.0.0.1' : undefined),
    ...(tls !== undefined && { certificates: tls }),
    ca,
    key,
    keys,
    name: values['node-name'] ?? hostname(),
    zone: values.zone,
    linkUrl: values.advertise,
  }
  return {
    cluster,
    shared,
    close: async () => {
      shared.close()
      await tls?.close()
    },
  }
}
