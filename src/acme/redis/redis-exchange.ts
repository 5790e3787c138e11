import { randomBytes, type KeyObject } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { createRedis, type RedisClient } from '../../cluster/redis/redis-client.ts'
import type { RedisPlace } from '../../cluster/redis/redis-url.ts'
import { messageOf } from '../../errors.ts'
import type { Log } from '../../telemetry/log.ts'
import type { IssuedPair } from '../authority.ts'
import type { CertificateExchange, OrderLock } from '../exchange.ts'
import { Sealed } from './sealed.ts'

/** An order is over by then, milliseconds: the lock of a node that has died must not hold it for ever. */
const LOCK_MS = 300_000
const ANSWER_MS = 600_000
/** A start waits for Redis for so long, milliseconds. */
const CONNECT_MS = 1_000

/** KEYS: the lock. ARGV: whose it is, milliseconds that it is to go on; 0: it is given up. */
const LEAVE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`

/** Options of an exchange in Redis. */
export interface RedisExchangeOptions {
  readonly place: RedisPlace
  /** Nodes of one name are one cluster. */
  readonly name: string
  /** The private key of the nodes: those with another one order for themselves. */
  readonly key: KeyObject
  readonly log: Log
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

/** Orders of a cluster in Redis. Redis away: nobody orders, and what is there goes on. */
export class RedisExchange implements CertificateExchange {
  readonly #redis: RedisClient
  readonly #sealed: Sealed

  constructor(private readonly options: RedisExchangeOptions) {
    this.#redis = createRedis(options.place)
    this.#sealed = new Sealed(options.key)
    // Each attempt that fails is an event; that Redis is away is told by the presence of the node.
    this.#redis.on('error', () => undefined)
  }

  async start(): Promise<void> {
    const connected = this.#redis.connect().catch(() => undefined)
    await Promise.race([connected, delay(CONNECT_MS, undefined, { ref: false })])
  }

  async lock(name: string): Promise<OrderLock | undefined> {
    const key = this.#keyOf(`lock ${name}`)
    const owner = randomBytes(16).toString('hex')
    const taken = await this.#trying(() => this.#redis.set(key, owner, 'PX', LOCK_MS, 'NX'))
    if (taken !== 'OK') return undefined
    const leave = async (ms: number): Promise<void> => {
      await this.#trying(() => this.#redis.eval(LEAVE, 1, key, owner, Math.ceil(ms)))
    }
    return { release: () => leave(0), hold: leave }
  }

  async find(name: string): Promise<IssuedPair | undefined> {
    const text = await this.#read(`certificate ${name}`)
    return text === undefined ? undefined : (JSON.parse(text) as IssuedPair)
  }

  give(name: string, pair: IssuedPair, untilMs: number): Promise<boolean> {
    return this.#write(`certificate ${name}`, JSON.stringify(pair), untilMs - this.options.nowMs())
  }

  answerAt(place: string): Promise<string | undefined> {
    return this.#read(`answer ${place}`)
  }

  async publish(place: string, keyAuthorization: string): Promise<void> {
    await this.#write(`answer ${place}`, keyAuthorization, ANSWER_MS)
  }

  async withdraw(place: string): Promise<void> {
    await this.#trying(() => this.#redis.del(this.#keyOf(`answer ${place}`)))
  }

  close(): void {
    this.#redis.disconnect()
  }

  readonly #keyOf = (place: string): string => `{${this.options.name}}:acme:${place}`

  async #read(place: string): Promise<string | undefined> {
    const sealed = await this.#trying(() => this.#redis.get(this.#keyOf(place)))
    return typeof sealed === 'string' ? this.#sealed.open(place, sealed) : undefined
  }

  async #write(place: string, text: string, ms: number): Promise<boolean> {
    if (ms < 1) return true
    const written = await this.#trying(() => this.#redis.set(this.#keyOf(place), this.#sealed.seal(place, text), 'PX', Math.ceil(ms)))
    return written !== undefined
  }

  async #trying<T>(action: () => Promise<T>): Promise<T | undefined> {
    try {
      return await action()
    } catch (error) {
      this.options.log.debug({ reason: messageOf(error) }, 'Redis could not be asked about certificates')
      return undefined
    }
  }
}
