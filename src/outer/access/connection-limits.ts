import { addressKey } from '../../address/address-key.ts'
import { SocketBook, type BookedSocket } from '../../net/socket-book.ts'
import type { EdgeLimits } from './client-limits.ts'

/** Counts the connections of clients, in all and for each address. */
export class ConnectionLimits {
  /** Every connection of the ports, also those that do not count yet or were refused and wait for their answer. */
  readonly book = new SocketBook()
  readonly #counts = new Map<string, number>()
  readonly #known = new WeakSet<BookedSocket>()
  readonly #leaving = new WeakMap<BookedSocket, () => void>()
  #count = 0

  /** @param isExempt  is this the address of a proxy of ours, behind which many clients share one address */
  constructor(
    private readonly limits: Pick<EdgeLimits, 'connections' | 'connectionsPerAddress'>,
    private readonly isExempt: (address: string) => boolean,
  ) {}

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
    if (connections > 0 && this.#count >= connections) return `${connections} connections are open (--max-connections)`
    const isCounted = connectionsPerAddress > 0 && !this.isExempt(address)
    const key = addressKey(address)
    const known = this.#counts.get(key) ?? 0
    if (isCounted && known >= connectionsPerAddress)
      return `${connectionsPerAddress} connections of this address are open (--max-connections-per-address)`
    this.#known.add(socket)
    this.#count++
    if (isCounted) this.#counts.set(key, known + 1)
    this.#leaving.set(socket, () => {
      this.#count--
      if (isCounted) this.#leave(key)
    })
    return undefined
  }

  #leave(key: string): void {
    const left = (this.#counts.get(key) ?? 0) - 1
    if (left > 0) this.#counts.set(key, left)
    else this.#counts.delete(key)
  }
}
