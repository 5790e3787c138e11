import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../../errors.ts'
import type { ExactUses } from '../../peers/peers.ts'
import type { Log } from '../../telemetry/log.ts'
import { createRedis, type RedisClient } from './redis-client.ts'
import type { RedisPlace } from './redis-url.ts'

/** The first use waits for the connection for so long, milliseconds. */
const CONNECT_MS = 1_500

/** KEYS: how many are taken. ARGV: how many there are, how many are taken as the node knows, how long that is to be kept, milliseconds. */
const TAKE = `
local taken = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if not (taken >= tonumber(ARGV[2])) then taken = tonumber(ARGV[2]) end
if taken >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], string.format('%d', taken + 1), 'PX', ARGV[3])
return taken + 1`

/** Options of the numbers of a cluster. */
export interface RedisUsesOptions {
  readonly place: RedisPlace
  /** Nodes of one name are one cluster. */
  readonly name: string
  readonly log: Log
}

/**
 * Numbers of a cluster in Redis. Names of what is counted are random and hashed, so that who reads Redis learns no code and who writes to it can use up none
 * that they do not know; no key of a node is in it, since nodes may have keys of their own. Redis empty: it goes on from what the node that asks knows.
 */
export class RedisUses implements ExactUses {
  readonly #redis: RedisClient
  readonly #connected: Promise<unknown>

  constructor(private readonly options: RedisUsesOptions) {
    this.#redis = createRedis(options.place)
    // Each attempt that fails is an event; that Redis is away is told by the presence of the node.
    this.#redis.on('error', () => undefined)
    // A cluster takes no command before it is connected, and does not connect for one.
    this.#connected = this.#redis.connect().catch(() => undefined)
  }

  async take(
    key: string,
    { max, known, lastsMs }: { readonly max: number; readonly known: number; readonly lastsMs: number },
  ): Promise<number | undefined> {
    const { name, log } = this.options
    const hash = createHash('sha256').update(`use ${key}`).digest('base64url')
    if (this.#redis.status !== 'ready') await Promise.race([this.#connected, delay(CONNECT_MS, undefined, { ref: false })])
    try {
      const taken = Number(await this.#redis.eval(TAKE, 1, `{${name}}:use:${hash}`, max, known, Math.max(1, Math.ceil(lastsMs))))
      return Number.isInteger(taken) ? taken : undefined
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'Redis could not be asked how often something was used')
      return undefined
    }
  }

  close(): void {
    this.#redis.disconnect()
  }
}
