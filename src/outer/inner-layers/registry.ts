import type { ErrorCode } from '../../errors.ts'
import type { Carrier } from './carrier.ts'

/** One proven connection of an inner layer. */
export interface InnerConnection {
  readonly session: Carrier
  readonly identifier: string
  /** Thumbprint of the key that proved it. */
  readonly kid: string
  readonly address: string
  readonly agent: string
  /** The same for all connections of one process. */
  readonly instance: string
  readonly since: Date
}

/** The connections of one process, never empty: they share its machine and its fate. */
type InnerProcess = InnerConnection[]

/** Streams by which one connection of a process may be ahead of another before the other gets the next. */
const STREAMS_AHEAD = 64

/** The wishes of a target beyond a light load. */
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
  readonly #all = new Set<InnerConnection>()
  /** The same as a list, made when somebody asks: thousands may come and go in a moment. */
  #list: readonly InnerConnection[] | undefined
  /** Of all identifiers, in the order in which they came. */
  readonly #processes: InnerProcess[] = []
  readonly #byInstance = new Map<string, InnerProcess>()
  readonly #byIdentifier = new Map<string, InnerProcess[]>()
  #turn = 0
  /** A connection has come. */
  onAdd: (connection: InnerConnection) => void = () => undefined
  /** A connection has gone, and is no longer among `connections`. @param wasLast  of its process */
  onRemove: (connection: InnerConnection, wasLast: boolean) => void = () => undefined

  /** Connections at the moment, in the order in which they came. */
  get connections(): readonly InnerConnection[] {
    return (this.#list ??= [...this.#all])
  }

  /** The number of connections. */
  get size(): number {
    return this.#all.size
  }

  /** Does any connection serve this? @param identifiers  of the target; undefined: any inner layer */
  serves(identifiers: readonly string[] | undefined): boolean {
    return identifiers === undefined ? this.#all.size > 0 : identifiers.some(identifier => this.#byIdentifier.has(identifier))
  }

  /** The connections of the process that has this one. */
  processOf({ instance }: Pick<InnerConnection, 'instance'>): readonly InnerConnection[] {
    return this.#byInstance.get(instance) ?? []
  }

  /** Identifiers of the inner layers that are connected. */
  get identifiers(): readonly string[] {
    return [...this.#byIdentifier.keys()]
  }

  add(connection: InnerConnection): void {
    this.#all.add(connection)
    this.#list = undefined
    const { instance, identifier } = connection
    const known = this.#byInstance.get(instance)
    if (known !== undefined) known.push(connection)
    else {
      const process: InnerProcess = [connection]
      this.#byInstance.set(instance, process)
      this.#processes.push(process)
      const same = this.#byIdentifier.get(identifier)
      if (same === undefined) this.#byIdentifier.set(identifier, [process])
      else same.push(process)
    }
    this.onAdd(connection)
  }

  /** Idempotent. */
  remove(connection: InnerConnection): void {
    if (!this.#all.delete(connection)) return
    this.#list = undefined
    const { instance, identifier } = connection
    const process = this.#byInstance.get(instance)!
    drop(process, connection)
    const wasLast = process.length === 0
    if (wasLast) {
      this.#byInstance.delete(instance)
      drop(this.#processes, process)
      const same = this.#byIdentifier.get(identifier)!
      drop(same, process)
      if (same.length === 0) this.#byIdentifier.delete(identifier)
    }
    this.onRemove(connection, wasLast)
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
    const processes = identifiers === undefined ? this.#processes : this.#of(identifiers)
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
    for (const connection of this.connections.filter(wants)) connection.session.destroy(code, reason)
  }

  #of(identifiers: readonly string[]): readonly InnerProcess[] {
    if (identifiers.length === 1) return this.#byIdentifier.get(identifiers[0]!) ?? []
    return identifiers.flatMap(identifier => this.#byIdentifier.get(identifier) ?? [])
  }
}

function drop<T>(list: T[], item: T): void {
  const at = list.indexOf(item)
  if (at >= 0) list.splice(at, 1)
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
  process: InnerProcess,
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
    else if (best === undefined || isAhead(best.session, session)) best = connection
  }
  return { connection: best, load, isFull }
}

const isAhead = (a: Carrier, b: Carrier): boolean =>
  b.outstandingBytes < a.outstandingBytes || (b.outstandingBytes === a.outstandingBytes && a.streamCount >= b.streamCount + STREAMS_AHEAD)

const isSameProcess = (a: InnerConnection, b: InnerConnection): boolean =>
  a.instance === b.instance || (a.identifier === b.identifier && a.kid === b.kid && a.address === b.address)

const isLess = (a: Load, b: Load): boolean =>
  a.outstandingBytes < b.outstandingBytes || (a.outstandingBytes === b.outstandingBytes && a.streams < b.streams)
