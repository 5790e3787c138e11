import { messageOf } from '../../errors.ts'
import type { Keys } from '../../identity/key-registry.ts'
import type { PrivateKey } from '../../identity/private-key.ts'
import type { Log } from '../../telemetry/log.ts'
import type { NodeFacts, Presence, PresenceListener, ServedProcess } from '../presence.ts'
import { KnownNodes } from './known-nodes.ts'
import { PresenceSeal } from './presence-seal.ts'
import { createRedis, type RedisClient } from './redis-client.ts'
import type { RedisPlace } from './redis-url.ts'
import { BEAT, CHANGE, LEAVE, LIST } from './scripts.ts'

/** Options of a presence in Redis. */
export interface RedisPresenceOptions {
  readonly place: RedisPlace
  /** Nodes of one name are one cluster. */
  readonly name: string
  /** Of this node: it signs what is written. */
  readonly key: PrivateKey
  /** The keys that other nodes may prove. */
  readonly keys: Pick<Keys, 'get'>
  readonly log: Log
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Milliseconds since 1970. */
  readonly wallClock: () => number
}

/** Between two signs of life, and how long one counts, milliseconds: together less than three seconds. */
const BEAT_MS = 600
const ALIVE_MS = 2_000
/** Processes that one command tells of. */
const MAX_AT_ONCE = 500
/** Characters of a message that another node can have sent: of a process, one has fewer than 4,096. */
const MAX_MESSAGE = 4_096 * MAX_AT_ONCE
/** A list that is made anew gets a number that follows on nothing that others know. */
const REWRITE_STEP = 1_000
/** The time for a last word, milliseconds. */
const LEAVE_MS = 1_000

/** Between two lines of the log about what was refused, milliseconds. */
const REFUSED_EVERY_MS = 60_000

type Change = { readonly add: readonly ServedProcess[]; readonly remove: readonly number[] }

/**
 * A presence in Redis. Each node says every 600 ms that it lives, in the same breath hears who else does, and tells of changes at once. What is lost in
 * between is seen by the number of the list, and the list is read anew. Redis away: what was known stays known. Redis empty: each node
 * sees that its own list has gone, and writes it again.
 */
export class RedisPresence implements Presence {
  readonly #redis: RedisClient
  readonly #subscriber: RedisClient
  /** In the order in which they are asked for, one at a time. */
  #turn: Promise<unknown> = Promise.resolve()
  readonly #own = new Map<number, ServedProcess>()
  readonly #added = new Map<number, ServedProcess>()
  readonly #removed = new Set<number>()
  #isFlushDue = false
  #facts: NodeFacts | undefined
  #known: KnownNodes | undefined
  readonly #seal: PresenceSeal
  /** Number and code of our list in Redis; undefined: it has to be written anew. */
  #version: string | undefined
  #lastVersion = 0
  #offsetMs = 0
  #timer: NodeJS.Timeout | undefined
  #isBeating = false
  #fault: string | undefined = 'Redis has not answered yet'
  /** Beats that have failed since the last one that went well. */
  #failures = 0
  #isFaultTold = false
  /** The fault of the connection itself: what a command says of it is only that there is none. */
  #cause: string | undefined
  #closing: Promise<void> | undefined
  /** When something was refused last, on the clock that rises. */
  #refusedMs = -Infinity

  constructor(private readonly options: RedisPresenceOptions) {
    this.#seal = new PresenceSeal({ ...options, onRefused: reason => this.#refused(reason) })
    this.#redis = createRedis(options.place)
    this.#subscriber = createRedis(options.place)
    // Each attempt that fails is an event; what fails is said once, by the beat.
    this.#subscriber.on('error', () => undefined)
    this.#redis.on('error', (thrown: unknown) => (this.#cause = messageOf(thrown)))
    this.#subscriber.on('message', (_channel: string, message: string) => this.#heard(message))
  }

  get fault(): string | undefined {
    return this.#fault
  }

  now(): number {
    return this.options.wallClock() + this.#offsetMs
  }

  get secret(): string | undefined {
    return this.#facts && this.#seal.secretOf(this.#facts.id)
  }

  learned(id: string, secret: string): void {
    this.#seal.learned(id, secret)
    this.#beatSoon(0)
  }

  start(facts: NodeFacts, listener: PresenceListener): void {
    this.#facts = facts
    this.#known = new KnownNodes({ self: facts.id, listener, clock: this.options.clock, aliveMs: ALIVE_MS })
    void this.#redis.connect().catch(() => undefined)
    void this.#subscriber
      .connect()
      .then(() => this.#subscriber.subscribe(this.#channel))
      .catch(() => undefined)
    // Once more after each reconnection: ioredis does so by itself, when the first time has gone well.
    this.#subscriber.on('ready', () => void this.#subscriber.subscribe(this.#channel).catch(() => undefined))
    this.#redis.on('ready', () => {
      this.#cause = undefined
      this.#beatSoon(0)
    })
    this.#beatSoon(0)
  }

  change(facts: NodeFacts): void {
    this.#facts = facts
    this.#beatSoon(0)
  }

  serve(process: ServedProcess): void {
    this.#own.set(process.number, process)
    this.#added.set(process.number, process)
    this.#flushSoon()
  }

  unserve(number: number): void {
    this.#own.delete(number)
    // Perhaps on its way already.
    this.#added.delete(number)
    this.#removed.add(number)
    this.#flushSoon()
  }

  close(): Promise<void> {
    this.#closing ??= this.#leave()
    return this.#closing
  }

  async #leave(): Promise<void> {
    clearTimeout(this.#timer)
    const { id } = this.#facts ?? {}
    if (id !== undefined && this.#redis.status === 'ready') {
      const last = this.#inTurn(() =>
        this.#redis.eval(
          LEAVE,
          4,
          ...this.#keys('nodes', 'facts', 'versions', `served:${id}`),
          id,
          this.#channel,
          this.#seal.message(id, 'gone'),
        ),
      )
      const late = new Promise<void>(resolve => setTimeout(resolve, LEAVE_MS).unref())
      await Promise.race([last.catch(() => undefined), late])
    }
    this.#redis.disconnect()
    this.#subscriber.disconnect()
  }

  // --- telling

  #flushSoon(): void {
    if (this.#isFlushDue || this.#known === undefined) return
    this.#isFlushDue = true
    // Many come together, when another node has died.
    setImmediate(() => {
      this.#isFlushDue = false
      void this.#inTurn(() => this.#flush()).catch(() => undefined)
    })
  }

  /** Tells of what has changed since the last time. */
  async #flush(): Promise<void> {
    if (this.#version === undefined || this.#closing !== undefined) return
    while (this.#added.size > 0 || this.#removed.size > 0) {
      const add = [...this.#added.values()].slice(0, MAX_AT_ONCE)
      const remove = [...this.#removed].slice(0, MAX_AT_ONCE)
      for (const { number } of add) this.#added.delete(number)
      for (const number of remove) this.#removed.delete(number)
      await this.#write({ add, remove }, this.#version)
    }
  }

  /** Writes the list as a whole. */
  async #rewrite(): Promise<void> {
    this.#added.clear()
    this.#removed.clear()
    const all = [...this.#own.values()]
    this.#seal.reset(this.#facts!.id)
    await this.#write({ add: all.slice(0, MAX_AT_ONCE), remove: [] }, undefined)
    for (let at = MAX_AT_ONCE; at < all.length; at += MAX_AT_ONCE)
      await this.#write({ add: all.slice(at, at + MAX_AT_ONCE), remove: [] }, this.#version)
  }

  /** @param before  number and code of what is there; undefined: the list begins anew */
  async #write({ add, remove }: Change, before: string | undefined): Promise<void> {
    const { id } = this.#facts!
    const entries = add.map(process => [process.number, JSON.stringify(process)] as const)
    const number = this.#lastVersion + (before === undefined ? REWRITE_STEP : 1)
    this.#lastVersion = number
    const version = this.#seal.listed(id, number, { add: entries, remove })
    try {
      await this.#redis.eval(
        CHANGE,
        2,
        ...this.#keys('versions', `served:${id}`),
        id,
        this.#channel,
        version,
        before ?? '',
        this.#seal.message(id, String(number), JSON.stringify({ add, remove })),
        add.length,
        ...entries.flatMap(([of, text]) => [String(of), text]),
        ...remove,
      )
      this.#version = version
    } catch (thrown) {
      // Nobody knows whether it was done.
      this.#version = undefined
      throw thrown
    }
  }

  // --- hearing

  #beatSoon(inMs: number): void {
    if (this.#closing !== undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#beat(), inMs).unref()
  }

  async #beat(): Promise<void> {
    if (this.#isBeating) return
    this.#isBeating = true
    try {
      await this.#inTurn(() => this.#look())
      this.#says(undefined)
    } catch (thrown) {
      this.#known?.silent()
      this.#says(this.#cause ?? messageOf(thrown))
    } finally {
      this.#isBeating = false
      this.#beatSoon(BEAT_MS)
    }
  }

  async #look(): Promise<void> {
    const known = this.#known
    const facts = this.#facts
    if (known === undefined || facts === undefined || this.#closing !== undefined) return
    const beganMs = this.options.wallClock()
    const answer = (await this.#redis.eval(
      BEAT,
      3,
      ...this.#keys('nodes', 'facts', 'versions'),
      facts.id,
      this.#seal.facts(facts, this.#lastVersion),
      ALIVE_MS,
      this.#key('served:'),
      ...known.ids,
    )) as [number, string, ...string[]]
    const [nowMs, ours, ...rest] = answer
    this.#offsetMs = nowMs - (beganMs + this.options.wallClock()) / 2
    if (this.#version === undefined || ours !== this.#version) await this.#rewrite()
    const alive = []
    for (let i = 0; i + 2 < rest.length; i += 3) alive.push({ id: rest[i]!, facts: rest[i + 1]!, version: parseInt(rest[i + 2]!, 10) })
    for (const id of known.saw(this.#seal.open(alive))) if (this.#seal.canRead(id)) await this.#readIfPossible(id)
    await this.#flush()
  }

  /** One list that cannot be read keeps nobody from what there is of the other nodes. */
  async #readIfPossible(id: string): Promise<void> {
    try {
      await this.#read(id)
    } catch (thrown) {
      if (!isReply(thrown)) throw thrown
      this.options.log.debug({ reason: messageOf(thrown) }, `what the node ${JSON.stringify(id)} serves cannot be read`)
    }
  }

  /** Reads what a node serves. */
  async #read(id: string): Promise<void> {
    const list = (await this.#redis.eval(LIST, 2, ...this.#keys('versions', `served:${id}`), id)) as string[]
    const [version = '', ...pairs] = list
    const number = this.#seal.list(id, version, pairs)
    if (number === undefined) return
    this.#known?.list(
      id,
      number,
      pairs.filter((_text, index) => index % 2 === 1),
    )
  }

  #heard(message: string): void {
    const known = this.#known
    if (known === undefined || this.#closing !== undefined) return
    try {
      if (message.length > MAX_MESSAGE) throw new RangeError('it is too long')
      const opened = this.#seal.openMessage(message)
      // What does not follow on what is known is read anew, with the next look.
      if (opened !== undefined && !known.heard(opened)) this.#beatSoon(0)
    } catch (thrown) {
      this.options.log.warn({ reason: messageOf(thrown) }, 'a message of another node cannot be read')
    }
  }

  /** Somebody has written what no node has: told once in a while, however much it is. */
  #refused(reason: string): void {
    const { log, clock } = this.options
    const isNews = clock() - this.#refusedMs > REFUSED_EVERY_MS
    if (isNews) this.#refusedMs = clock()
    log[isNews ? 'warn' : 'debug']({ reason }, `something in Redis was not written by a node of this cluster: ${reason}`)
  }

  #says(fault: string | undefined): void {
    const { log, place } = this.options
    if (fault === undefined) {
      if (this.#fault !== undefined) log.info({ redis: place.text }, `Redis at ${place.text} answers`)
      this.#fault = undefined
      this.#failures = 0
      this.#isFaultTold = false
      return
    }
    const remedy = /^(?:WRONGPASS|NOAUTH)/.test(fault) ? '; give user and password in SG_CLUSTER, redis://USER:PASSWORD@HOST:PORT' : ''
    const text = `Redis at ${place.text} does not answer: ${fault.replace(/\.$/, '')}${remedy}`
    // At the start, a connection may take longer than the first beat.
    const isNews = !this.#isFaultTold && (this.#fault === undefined || this.#failures > 0)
    this.#fault = text
    this.#failures += 1
    if (!isNews) return
    this.#isFaultTold = true
    log.warn({ redis: place.text, reason: fault }, `${text}; this node goes on with what it knows`)
  }

  async #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const before = this.#turn
    const mine = (async () => {
      await before
      return action()
    })()
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  #key(name: string): string {
    return `{${this.options.name}}:${name}`
  }

  #keys(...names: readonly string[]): string[] {
    return names.map(name => this.#key(name))
  }

  get #channel(): string {
    return this.#key('changes')
  }
}

/** Has Redis answered, and said that something is wrong? */
const isReply = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === 'ReplyError'
