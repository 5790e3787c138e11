import { settleWithin } from '../../mux/settle-within.ts'
import type { Pool, ServedBy } from '../../route/target.ts'
import type { Carrier } from './carrier.ts'
import type { InnerConnection } from './inner-connection.ts'
import { LoginOrder } from './login-order.ts'
import { PoolIndex } from './pool-index.ts'

export type { InnerConnection, PeerFacts } from './inner-connection.ts'

/** Streams by which one connection of a process may be ahead of another before the other gets the next. */
const STREAMS_AHEAD = 64
/** The time in which the streams of a tunnel may finish once another login has its place, milliseconds. */
const TAKEN_OVER_MS = 30_000

/** One that was sent to another node is not taken here for so long, milliseconds. */
const TURNED_AWAY_MS = 600_000
/** The wishes of a target beyond a light load. */
export interface Preference {
  /** The next in turn gets it, whatever its load: which turn it is. */
  readonly turn: number | undefined
  /** Connections that are asked only when there is no other. */
  readonly avoids: ((connection: InnerConnection) => boolean) | undefined
  /** The highest gets it; equal ones by their load. */
  readonly score: ((connection: InnerConnection) => number) | undefined
}

/**
 * Step 5 of the path: the inner layers that are connected, and which of them gets the next stream. Of the two pools neither sees the
 * other, so that a tenant's tunnel never serves a target of the operator. The identifier of a tunnel is exclusive: its newest login
 * serves it, and an earlier one finishes and goes.
 */
export class Registry {
  readonly #pools: Readonly<Record<Pool, PoolIndex>> = { operator: new PoolIndex(), tunnel: new PoolIndex() }
  readonly #byKey = new Map<string, Set<InnerConnection>>()
  readonly #logins = new LoginOrder()
  readonly #turnedAway = new Map<string, NodeJS.Timeout>()
  #turn = 0
  /** A connection has come. */
  onAdd: (connection: InnerConnection) => void = () => undefined
  /** A connection has gone, and is no longer among `connections`. @param wasLast  of its process */
  onRemove: (connection: InnerConnection, wasLast: boolean) => void = () => undefined

  /** Connections of this process at the moment, of each pool in the order in which they came. */
  get connections(): readonly InnerConnection[] {
    return [...this.operators, ...this.tunnels]
  }

  /** Connections of inner layers of the operator, in the order in which they came. */
  get operators(): readonly InnerConnection[] {
    return this.#pools.operator.connections
  }

  /** Connections that serve tunnels, in the order in which they came. */
  get tunnels(): readonly InnerConnection[] {
    return this.#pools.tunnel.connections
  }

  /** The number of connections. */
  get size(): number {
    return this.#pools.operator.size + this.tunnelCount
  }

  /** Is any inner layer of the operator connected, here or to another node? */
  get hasOperators(): boolean {
    return !this.#pools.operator.isEmpty
  }

  get operatorCount(): number {
    return this.#pools.operator.size
  }

  get tunnelCount(): number {
    return this.#pools.tunnel.size
  }

  /** Does any connection serve this? */
  serves({ identifiers, pool = 'operator' }: ServedBy): boolean {
    const index = this.#pools[pool]
    return identifiers === undefined ? index.processes.length > 0 : identifiers.some(identifier => index.has(identifier))
  }

  /** The connections of the process that has this one. */
  processOf({ instance, pool }: Pick<InnerConnection, 'instance' | 'pool'>): readonly InnerConnection[] {
    return this.#pools[pool].processOf({ instance })
  }

  /** Identifiers of the operator's inner layers that are connected. */
  get identifiers(): readonly string[] {
    return this.#pools.operator.identifiers
  }

  /** Takes in a connection, of this process or of another node. */
  add(connection: InnerConnection): void {
    const { pool, identifier, kid, instance, login, node } = connection
    if (node !== undefined) {
      this.#pools[pool].add(connection)
      return this.onAdd(connection)
    }
    const earlier = pool === 'tunnel' ? this.ofTunnel(identifier) : []
    if (pool === 'tunnel') this.#logins.came(instance, login)
    this.#pools[pool].add(connection)
    const ofKey = this.#byKey.get(kid)
    if (ofKey === undefined) this.#byKey.set(kid, new Set([connection]))
    else ofKey.add(connection)
    this.onAdd(connection)
    // Last, so that there is no moment in which nobody serves the tunnel.
    for (const { session } of earlier) if (session.isOpen) void takeOver(session)
  }

  /** Refuses this process for a while, since another node has room for it. */
  turnAway(instance: string): void {
    clearTimeout(this.#turnedAway.get(instance))
    this.#turnedAway.set(instance, setTimeout(() => this.#turnedAway.delete(instance), TURNED_AWAY_MS).unref())
  }

  /** Another node has gone: takes whoever comes. */
  welcomeAll(): void {
    for (const timer of this.#turnedAway.values()) clearTimeout(timer)
    this.#turnedAway.clear()
  }

  isTurnedAway(instance: string): boolean {
    return this.#turnedAway.has(instance)
  }

  /** Is the tunnel served by a process that has logged in after this one? Then this one comes back, and is not the newest login. */
  isTakenOver(tunnel: string, instance: string, login?: number): boolean {
    const isNewer = ({ node, instance: other, login: theirs }: InnerConnection): boolean =>
      node === undefined ? this.#logins.isBefore(instance, other, login) : login !== undefined && theirs !== undefined && login < theirs
    const all = this.#pools.tunnel.of([tunnel]).flat()
    return all.some(connection => connection.session.isOpen && isNewer(connection))
  }

  /** Another node has a newer login of this tunnel: lets the sessions of other processes here finish, and go. @param instance  that has logged in there */
  takenOverElsewhere(tunnel: string, instance: string): void {
    for (const connection of this.ofTunnel(tunnel))
      if (connection.instance !== instance && connection.session.isOpen) void takeOver(connection.session)
  }

  /** Lets the sessions of a key that a newer one has taken the place of finish, and go. */
  takeOver(kid: string): void {
    for (const { session } of this.ofKey(kid)) if (session.isOpen) void takeOver(session)
  }

  /** Idempotent. */
  remove(connection: InnerConnection): void {
    const { pool, kid, instance, node } = connection
    const wasLast = this.#pools[pool].remove(connection)
    if (wasLast === undefined) return
    if (node !== undefined) return this.onRemove(connection, wasLast)
    if (pool === 'tunnel') this.#logins.left(instance)
    const ofKey = this.#byKey.get(kid)
    if (ofKey?.delete(connection) === true && ofKey.size === 0) this.#byKey.delete(kid)
    this.onRemove(connection, wasLast)
  }

  /**
   * The inner layer with the least outstanding bytes, then the fewest streams, then the next in turn; of its connections the one with
   * the least outstanding bytes. Equal ones are filled in order: many streams in one connection share its messages, which cost more
   * than what is in them.
   * One of this process goes before those of other nodes, unless the target's wish says otherwise.
   * @param tried  connections that have failed this request already; another one of the same inner layer is the last resort,
   *               since they are often lost together, one a moment after the other
   * @param wish   what the target says of the choice; undefined: the load decides alone
   */
  pick(
    { identifiers, pool = 'operator' }: ServedBy,
    tried?: readonly InnerConnection[],
    wish?: Preference,
  ): InnerConnection | 'none' | 'full' {
    const index = this.#pools[pool]
    const processes = identifiers === undefined ? index.processes : index.of(identifiers)
    let best: InnerConnection | undefined
    let spare: InnerConnection | undefined
    let bestLoad: Load | undefined
    let bestRank = 0
    let isFull = false
    const count = processes.length
    const first = count > 1 ? (wish?.turn ?? this.#turn++) % count : 0
    for (let i = 0; i < count; i++) {
      const process = processes[(first + i) % count]!
      const { connection, load, isFull: isProcessFull } = pickOf(process, tried)
      if (connection === undefined) isFull ||= isProcessFull
      else if (tried?.some(other => isSameProcess(other, connection)) === true) spare ??= connection
      else {
        const rank = (wish === undefined ? 0 : rankOf(wish, connection)) + (connection.node === undefined ? OWN_RANK : 0)
        const isBetter =
          rank === bestRank ? wish?.turn === undefined && (bestLoad === undefined || isLess(load, bestLoad)) : rank > bestRank
        if (best !== undefined && !isBetter) continue
        best = connection
        bestLoad = load
        bestRank = rank
      }
    }
    return best ?? spare ?? (isFull ? 'full' : 'none')
  }

  /** The connections that this key has proven. */
  ofKey(kid: string): readonly InnerConnection[] {
    return [...(this.#byKey.get(kid) ?? [])]
  }

  /** The connections of this process that serve this tunnel, the one that gets its streams last. */
  ofTunnel(tunnel: string): readonly InnerConnection[] {
    return this.#pools.tunnel.of([tunnel]).flat().filter(isOwn)
  }

  /** The connection of the process `instance` here that would get its next stream; undefined: there is none that can take one. */
  ofProcess(process: Pick<InnerConnection, 'instance' | 'pool'>): InnerConnection | undefined {
    return pickOf(this.processOf(process).filter(isOwn), undefined).connection
  }
}

/** Lets an earlier login of a tunnel finish its streams. One that is lost, and does not know yet, goes when its liveness says so. */
async function takeOver(session: Carrier): Promise<void> {
  const reason = 'another login of this tunnel has taken its place'
  if (!(await settleWithin(session.drain('TAKEN_OVER', reason), TAKEN_OVER_MS))) session.destroy('TAKEN_OVER', reason)
}

/** Above all who is not avoided, then the score, an unsigned 32-bit number. */
const rankOf = ({ avoids, score }: Preference, connection: InnerConnection): number =>
  (score?.(connection) ?? 0) - (avoids?.(connection) === true ? 2 ** 33 : 0)

/** Between two scores. */
const OWN_RANK = 0.5

const isOwn = ({ node }: InnerConnection): boolean => node === undefined

interface Load {
  outstandingBytes: number
  streams: number
}

/** The connection of one inner layer that would get the next stream, and the load of all of them. */
function pickOf(
  process: readonly InnerConnection[],
  tried: readonly InnerConnection[] | undefined,
): { readonly connection: InnerConnection | undefined; readonly load: Load; readonly isFull: boolean } {
  const load: Load = { outstandingBytes: 0, streams: 0 }
  let best: InnerConnection | undefined
  let isFull = false
  for (const connection of process) {
    const { session } = connection
    if (!session.isOpen || tried?.includes(connection) === true) continue
    load.outstandingBytes += session.outstandingBytes
    load.streams += session.streamCount
    if (!session.hasRoom) isFull = true
    else if (best === undefined || isPreferred(connection, best)) best = connection
  }
  return { connection: best, load, isFull }
}

/** Of the connections of one process: one of this node, then the one that has less to do. */
const isPreferred = (connection: InnerConnection, best: InnerConnection): boolean =>
  isOwn(connection) === isOwn(best) ? isAhead(best.session, connection.session) : isOwn(connection)

const isAhead = (a: Carrier, b: Carrier): boolean =>
  b.outstandingBytes < a.outstandingBytes || (b.outstandingBytes === a.outstandingBytes && a.streamCount >= b.streamCount + STREAMS_AHEAD)

const isSameProcess = (a: InnerConnection, b: InnerConnection): boolean =>
  a.instance === b.instance || (a.identifier === b.identifier && a.kid === b.kid && a.address === b.address)

const isLess = (a: Load, b: Load): boolean =>
  a.outstandingBytes < b.outstandingBytes || (a.outstandingBytes === b.outstandingBytes && a.streams < b.streams)
