import { addressKey } from '../../address/address-key.ts'
import { SocketBook, type BookedSocket } from '../../net/socket-book.ts'
import type { SharedCounts, Tally } from '../../rates/shared-counts.ts'
import type { EdgeLimits } from './client-limits.ts'

/** Counts the connections of clients, in all and for each address. */
export class ConnectionLimits {
  /** Every connection of the ports, also those that do not count yet or were refused and wait for their answer. */
  readonly book = new SocketBook()
  readonly #counts = new Map<string, number>()
  readonly #known = new WeakSet<BookedSocket>()
  readonly #leaving = new WeakMap<BookedSocket, () => void>()
  readonly #all: Tally | undefined
  readonly #ofAddresses: Tally | undefined
  #count = 0

  /**
   * @param isExempt  is this the address of a proxy of ours, behind which many clients share one address
   * @param shared    counts of other processes; undefined: this one is alone
   */
  constructor(
    private readonly limits: Pick<EdgeLimits, 'connections' | 'connectionsPerAddress'>,
    private readonly isExempt: (address: string) => boolean,
    shared?: SharedCounts,
  ) {
    this.#all = shared?.tally('connections')
    this.#ofAddresses = shared?.tally('connections of an address')
  }

  /** Connections that are open. */
  get count(): number {
    return this.#count
  }

  /** Takes down that a port has accepted `socket`, before it is known who that is. Idempotent. */
  meet(socket: BookedSocket): void {
    this.book.enter(socket, () => this.#leaving.get(socket)?.())
  }

  /** Counts `socket` until it closes; or says why it may not stay. */
  admit(socket: BookedSocket, address: string): string | undefined {
    // One that left HTTP/1 for a moment comes back.
    if (this.#known.has(socket)) return undefined
    this.meet(socket)
    const { connections, connectionsPerAddress } = this.limits
    if (connections > 0 && this.#count + (this.#all?.others('') ?? 0) >= connections)
      return `${connections} connections are open (--max-connections)`
    const isCounted = connectionsPerAddress > 0 && !this.isExempt(address)
    const key = addressKey(address)
    const known = this.#counts.get(key) ?? 0
    if (isCounted && known + (this.#ofAddresses?.others(key) ?? 0) >= connectionsPerAddress)
      return `${connectionsPerAddress} connections of this address are open (--max-connections-per-address)`
    this.#known.add(socket)
    this.#change(1)
    if (isCounted) this.#changeOf(key, 1)
    this.#leaving.set(socket, () => {
      this.#change(-1)
      if (isCounted) this.#changeOf(key, -1)
    })
    return undefined
  }

  #change(by: 1 | -1): void {
    this.#count += by
    this.#all?.add('', by)
  }

  #changeOf(key: string, by: 1 | -1): void {
    const count = (this.#counts.get(key) ?? 0) + by
    if (count > 0) this.#counts.set(key, count)
    else this.#counts.delete(key)
    this.#ofAddresses?.add(key, by)
  }
}
