import { addressKey } from '../../address/address-key.ts'
import { FrameBudget } from './frame-budget.ts'

/** Of a connection, as many times may the connections of its address spend together. */
const ADDRESS_SCALE = 4
/** Decoded bytes of the heads of open requests: of one connection, and of all connections of one address. */
const CONNECTION_HEAD_BYTES = 1_048_576
const ADDRESS_HEAD_BYTES = 16_777_216
/** The same of all connections of a process, those of trusted proxies with them; then each may have no more than the smaller number. */
const PROCESS_HEAD_BYTES = 67_108_864
const FAIR_HEAD_BYTES = 65_536
/** After this time without a connection nothing of an address is worth remembering: its budget is full again, milliseconds. */
const FORGET_MS = 20_000
const MAX_ADDRESSES = 10_000

/** Heads of open requests of all connections. */
interface AllHeads {
  bytes: number
}

/** The budget that all connections of one address share. */
class AddressBudget {
  readonly frames: FrameBudget
  headBytes = 0
  connections = 0
  leftMs = 0

  constructor(clock: () => number) {
    this.frames = new FrameBudget(clock, ADDRESS_SCALE)
  }
}

/**
 * The most that one connection of HTTP/2 may cost, by itself and together with the others of its address: a client that opens one
 * connection after the other has no more than one that keeps a connection open.
 */
export class Http2Budget {
  readonly #frames: FrameBudget
  #headBytes = 0

  /**
   * @param shared  undefined for a proxy that is trusted, behind which many clients share one address
   * @param all     of the process
   */
  constructor(
    clock: () => number,
    private readonly shared: AddressBudget | undefined,
    private readonly all: AllHeads,
  ) {
    this.#frames = new FrameBudget(clock)
  }

  /** False when there is no budget left for it. */
  spend(cost: number): boolean {
    const isShareLeft = this.shared?.frames.spend(cost) ?? true
    return this.#frames.spend(cost) && isShareLeft
  }

  /** Gives something back. @param cost  negative */
  earn(cost: number): void {
    this.#frames.earn(cost)
    this.shared?.frames.earn(cost)
  }

  /**
   * Counts the head of a request until `release`: what HPACK unpacks from a few bytes (RFC 7541 §7.3) is held as long as the request is open.
   * @returns false when it is too much
   */
  hold(bytes: number): boolean {
    const { shared, all } = this
    const own = this.#headBytes + bytes
    if (own > CONNECTION_HEAD_BYTES) return false
    if (shared !== undefined && shared.headBytes + bytes > ADDRESS_HEAD_BYTES) return false
    if (own > FAIR_HEAD_BYTES && all.bytes + bytes > PROCESS_HEAD_BYTES) return false
    this.#headBytes = own
    all.bytes += bytes
    if (shared !== undefined) shared.headBytes += bytes
    return true
  }

  release(bytes: number): void {
    this.#headBytes -= bytes
    this.all.bytes -= bytes
    if (this.shared !== undefined) this.shared.headBytes -= bytes
  }
}

/** The budgets of all connections. */
export class Http2Budgets {
  readonly #addresses = new Map<string, AddressBudget>()
  readonly #all: AllHeads = { bytes: 0 }

  /** @param clock  milliseconds, rising */
  constructor(private readonly clock: () => number) {}

  /** The budget of a new connection, and what is to be called once it is over. */
  open(address: string, isTrusted: boolean): { readonly budget: Http2Budget; readonly close: () => void } {
    if (isTrusted) return { budget: new Http2Budget(this.clock, undefined, this.#all), close: () => undefined }
    const key = addressKey(address)
    let shared = this.#addresses.get(key)
    if (shared === undefined) {
      if (this.#addresses.size >= MAX_ADDRESSES) this.#forget(0)
      this.#addresses.set(key, (shared = new AddressBudget(this.clock)))
    }
    const entry = shared
    entry.connections++
    const close = (): void => {
      entry.connections--
      entry.leftMs = this.clock()
    }
    return { budget: new Http2Budget(this.clock, entry, this.#all), close }
  }

  /** Forgets addresses that have no connection, and had none for a while. */
  forget(): void {
    this.#forget(FORGET_MS)
  }

  #forget(ageMs: number): void {
    const before = this.clock() - ageMs
    for (const [key, { connections, leftMs }] of this.#addresses) if (connections === 0 && leftMs <= before) this.#addresses.delete(key)
  }
}
