import type { ErrorCode } from '../errors.ts'
import type { Session } from '../mux/session.ts'

/** One proven connection of an inner layer. */
export interface InnerConnection {
  readonly session: Session
  readonly identifier: string
  /** Thumbprint of the key that proved it. */
  readonly kid: string
  readonly address: string
  readonly agent: string
  readonly since: Date
}

/** Step 5 of the path: the inner layers that are connected, and which of them gets the next stream. */
export class Registry {
  #all: InnerConnection[] = []
  #byIdentifier = new Map<string, InnerConnection[]>()
  #turn = 0

  /** Connections at the moment, in the order in which they came. */
  get connections(): readonly InnerConnection[] {
    return this.#all
  }

  add(connection: InnerConnection): void {
    this.#all = [...this.#all, connection]
    this.#index()
  }

  remove(connection: InnerConnection): void {
    this.#all = this.#all.filter(other => other !== connection)
    this.#index()
  }

  /**
   * The connection with the least outstanding bytes, then the fewest streams, then the next in turn.
   * @param identifiers  of the target; undefined: any inner layer
   * @param tried        connections that have failed this request already; another one of the same inner layer is the last resort,
   *                     since they are often lost together, one a moment after the other
   */
  pick(identifiers: readonly string[] | undefined, tried?: readonly InnerConnection[]): InnerConnection | 'none' | 'full' {
    const candidates = identifiers === undefined ? this.#all : this.#of(identifiers)
    let best: InnerConnection | undefined
    let spare: InnerConnection | undefined
    let isFull = false
    const count = candidates.length
    const first = count > 1 ? this.#turn++ % count : 0
    for (let i = 0; i < count; i++) {
      const candidate = candidates[(first + i) % count]!
      const { session } = candidate
      if (!session.isOpen || tried?.includes(candidate) === true) continue
      if (!session.hasRoom) isFull = true
      else if (tried?.some(other => isSamePeer(other, candidate)) === true) spare ??= candidate
      else if (best === undefined || isLess(session, best.session)) best = candidate
    }
    return best ?? spare ?? (isFull ? 'full' : 'none')
  }

  /** Ends the connections that `wants` names. */
  destroyWhere(wants: (connection: InnerConnection) => boolean, code: ErrorCode, reason: string): void {
    for (const connection of this.#all.filter(wants)) connection.session.destroy(code, reason)
  }

  #of(identifiers: readonly string[]): readonly InnerConnection[] {
    if (identifiers.length === 1) return this.#byIdentifier.get(identifiers[0]!) ?? []
    return identifiers.flatMap(identifier => this.#byIdentifier.get(identifier) ?? [])
  }

  #index(): void {
    this.#byIdentifier = new Map()
    for (const connection of this.#all) {
      const same = this.#byIdentifier.get(connection.identifier)
      if (same === undefined) this.#byIdentifier.set(connection.identifier, [connection])
      else same.push(connection)
    }
  }
}

const isSamePeer = (a: InnerConnection, b: InnerConnection): boolean =>
  a.identifier === b.identifier && a.kid === b.kid && a.address === b.address

const isLess = (a: Session, b: Session): boolean =>
  a.outstandingBytes < b.outstandingBytes || (a.outstandingBytes === b.outstandingBytes && a.streamCount < b.streamCount)
