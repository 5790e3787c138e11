import type { ErrorCode } from '../../errors.ts'
import type { Session } from '../../mux/session.ts'

/** One proven connection of an inner layer. */
export interface InnerConnection {
  readonly session: Session
  readonly identifier: string
  /** Thumbprint of the key that proved it. */
  readonly kid: string
  readonly address: string
  readonly agent: string
  /** The same for all connections of one process. */
  readonly instance: string
  readonly since: Date
}

/** The connections of one process: they share its machine and its fate. */
type Peer = InnerConnection[]

/** Streams by which one connection of a process may be ahead of another before the other gets the next. */
const STREAMS_AHEAD = 64

/** What a target wants beyond a light load. */
export interface Preference {
  /** The next in turn gets it, whatever its load: which turn it is. */
  readonly turn: number | undefined
  /** Connections that are asked only when there is no other. */
  readonly avoids: ((connection: InnerConnection) => boolean) | undefined
  /** The highest gets it; equal ones by their load. */
  readonly score: ((connection: InnerConnection) => number) | undefined
}

/** Step 5 of the path: the inner layers that are connected, and which of them gets the next stream. */
export class Registry {
  #all: readonly InnerConnection[] = []
  #peers: readonly Peer[] = []
  #byIdentifier = new Map<string, Peer[]>()
  #turn = 0
  /** A connection has come. */
  onAdd: (connection: InnerConnection) => void = () => undefined
  /** A connection has gone, and is no longer among `connections`. */
  onRemove: (connection: InnerConnection) => void = () => undefined

  /** Connections at the moment, in the order in which they came. */
  get connections(): readonly InnerConnection[] {
    return this.#all
  }

  add(connection: InnerConnection): void {
    this.#all = [...this.#all, connection]
    this.#index()
    this.onAdd(connection)
  }

  remove(connection: InnerConnection): void {
    this.#all = this.#all.filter(other => other !== connection)
    this.#index()
    this.onRemove(connection)
  }

  /**
   * The inner layer with the least outstanding bytes, then the fewest streams, then the next in turn; of its connections the one with
   * the least outstanding bytes. Equal ones are filled in order: many streams in one connection share its messages, which cost more
   * than what is in them.
   * @param identifiers  of the target; undefined: any inner layer
   * @param tried        connections that have failed this request already; another one of the same inner layer is the last resort,
   *                     since they are often lost together, one a moment after the other
   * @param wish         what the target says of the choice; undefined: the load decides alone
   */
  pick(
    identifiers: readonly string[] | undefined,
    tried?: readonly InnerConnection[],
    wish?: Preference,
  ): InnerConnection | 'none' | 'full' {
    const peers = identifiers === undefined ? this.#peers : this.#of(identifiers)
    let best: InnerConnection | undefined
    let spare: InnerConnection | undefined
    let bestLoad: Load | undefined
    let bestRank = 0
    let isFull = false
    const count = peers.length
    const first = count > 1 ? (wish?.turn ?? this.#turn++) % count : 0
    for (let i = 0; i < count; i++) {
      const peer = peers[(first + i) % count]!
      const { connection, load, isFull: isPeerFull } = pickOf(peer, tried)
      if (connection === undefined) isFull ||= isPeerFull
      else if (tried?.some(other => isSamePeer(other, connection)) === true) spare ??= connection
      else {
        const rank = wish === undefined ? 0 : rankOf(wish, connection)
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

  /** Ends the connections that `wants` names. */
  destroyWhere(wants: (connection: InnerConnection) => boolean, code: ErrorCode, reason: string): void {
    for (const connection of this.#all.filter(wants)) connection.session.destroy(code, reason)
  }

  #of(identifiers: readonly string[]): readonly Peer[] {
    if (identifiers.length === 1) return this.#byIdentifier.get(identifiers[0]!) ?? []
    return identifiers.flatMap(identifier => this.#byIdentifier.get(identifier) ?? [])
  }

  #index(): void {
    const peers = new Map<string, Peer>()
    this.#byIdentifier = new Map()
    for (const connection of this.#all) {
      const known = peers.get(connection.instance)
      if (known !== undefined) {
        known.push(connection)
        continue
      }
      const peer = [connection]
      peers.set(connection.instance, peer)
      const same = this.#byIdentifier.get(connection.identifier)
      if (same === undefined) this.#byIdentifier.set(connection.identifier, [peer])
      else same.push(peer)
    }
    this.#peers = [...peers.values()]
  }
}

/** Above all who is not avoided, then the score, an unsigned 32-bit number. */
const rankOf = ({ avoids, score }: Preference, connection: InnerConnection): number =>
  (score?.(connection) ?? 0) - (avoids?.(connection) === true ? 2 ** 33 : 0)

interface Load {
  outstandingBytes: number
  streams: number
}

/** The connection of one inner layer that would get the next stream, and the load of all of them. */
function pickOf(
  peer: Peer,
  tried: readonly InnerConnection[] | undefined,
): { readonly connection: InnerConnection | undefined; readonly load: Load; readonly isFull: boolean } {
  const load: Load = { outstandingBytes: 0, streams: 0 }
  let best: InnerConnection | undefined
  let isFull = false
  for (const connection of peer) {
    const { session } = connection
    if (!session.isOpen || tried?.includes(connection) === true) continue
    load.outstandingBytes += session.outstandingBytes
    load.streams += session.streamCount
    if (!session.hasRoom) isFull = true
    else if (best === undefined || isAhead(best.session, session)) best = connection
  }
  return { connection: best, load, isFull }
}

const isAhead = (a: Session, b: Session): boolean =>
  b.outstandingBytes < a.outstandingBytes || (b.outstandingBytes === a.outstandingBytes && a.streamCount >= b.streamCount + STREAMS_AHEAD)

const isSamePeer = (a: InnerConnection, b: InnerConnection): boolean =>
  a.instance === b.instance || (a.identifier === b.identifier && a.kid === b.kid && a.address === b.address)

const isLess = (a: Load, b: Load): boolean =>
  a.outstandingBytes < b.outstandingBytes || (a.outstandingBytes === b.outstandingBytes && a.streams < b.streams)
