import type * as Ioredis from 'ioredis'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { GatewayError } from '../../errors.ts'
import { lazily } from '../../lazily.ts'
import type { RedisPlace } from './redis-url.ts'

/** Connections to Redis, as far as a presence needs them. */
export type RedisClient = Redis | Cluster

const load = lazily<typeof Ioredis>('ioredis')

/** A command that has no answer by then has failed, milliseconds. */
const COMMAND_MS = 1_500
const CONNECT_MS = 2_000
/** A connection that is given up is gone by then, milliseconds: ioredis waits for it also where it has been closed before, and the process with it. */
const DISCONNECT_MS = 100
/** The longest pause between two attempts to connect, milliseconds. */
const MAX_RETRY_MS = 500

/**
 * A connection that is kept up by itself. Nothing waits in it while it is down: what was to be said then is said anew.
 * @throws GatewayError USAGE where the package is not installed
 */
export function createRedis({ kind, hosts, isEncrypted, username, password, database, master }: RedisPlace): RedisClient {
  const ioredis = loaded()
  const retry = (attempt: number): number => Math.min(MAX_RETRY_MS, 50 * attempt)
  const options = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(isEncrypted && { tls: {} }),
    db: database,
    lazyConnect: true,
    offlineQueue: false,
    autoResendUnfulfilledCommands: false,
    // A master that has become a replica: another one takes what is written.
    reconnectOnError: ({ message }: Error) => message.startsWith('READONLY'),
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_MS,
    disconnectTimeout: DISCONNECT_MS,
    commandTimeout: COMMAND_MS,
    retryStrategy: retry,
  } satisfies RedisOptions
  if (kind === 'cluster')
    return new ioredis.Cluster([...hosts], {
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: retry,
      redisOptions: { ...options, offlineQueue: true },
    })
  if (kind === 'sentinel')
    return new ioredis.Redis({
      ...options,
      sentinels: [...hosts],
      name: master ?? '',
      sentinelRetryStrategy: retry,
      ...(isEncrypted && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
    })
  const [{ host, port }] = hosts as readonly [RedisPlace['hosts'][number]]
  return new ioredis.Redis({ ...options, host, port })
}

function loaded(): typeof Ioredis {
  try {
    return load()
  } catch (cause) {
    throw new GatewayError('USAGE', '--cluster needs the package ioredis, which is not installed; run: npm install ioredis', { cause })
  }
}
