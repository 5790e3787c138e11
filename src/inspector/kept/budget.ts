import { Slabs } from './slabs.ts'

/** The part of a budget that belongs to one record. */
export interface Holder {
  /** True when so many bytes more may be held, after older records have made room. */
  mayHold(bytes: number): boolean
  /** Holds so many bytes more, or fewer. */
  hold(bytes: number): void
  /** Memory for small blocks, which counts by itself. */
  readonly slabs: Slabs
}

/** The memory that all records together may take. */
export class Budget {
  readonly slabs: Slabs = new Slabs(this)
  #heldBytes = 0
  #pool: BudgetPool | undefined

  /**
   * @param makeRoom  throws out the oldest record; false when there is none that may go
   * @param pool      memory that others take a part of as well
   */
  constructor(
    readonly limitBytes: number,
    readonly makeRoom: () => boolean,
    pool?: BudgetPool,
  ) {
    this.#pool = pool
    pool?.join(this)
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  mayHold(bytes: number): boolean {
    while (this.#heldBytes + bytes > this.limitBytes) if (!this.makeRoom()) return false
    return this.#pool?.mayHold(bytes) ?? true
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes
    this.#pool?.hold(bytes)
  }

  /** Leaves the pool, with what it holds. */
  close(): void {
    this.#pool?.leave(this)
    this.#pool = undefined
  }
}

/** Memory that several budgets share: when it is full, the one that holds the most makes room, so that nobody can push out others. */
export class BudgetPool {
  readonly #members = new Set<Budget>()
  #heldBytes = 0

  constructor(private readonly limitBytes: number) {}

  get heldBytes(): number {
    return this.#heldBytes
  }

  join(budget: Budget): void {
    this.#members.add(budget)
  }

  leave(budget: Budget): void {
    if (this.#members.delete(budget)) this.#heldBytes -= budget.heldBytes
  }

  mayHold(bytes: number): boolean {
    while (this.#heldBytes + bytes > this.limitBytes) if (!this.#makeRoom()) return false
    return true
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes
  }

  #makeRoom(): boolean {
    let largest: Budget | undefined
    for (const budget of this.#members) if (budget.heldBytes > (largest?.heldBytes ?? 0)) largest = budget
    if (largest === undefined || largest.makeRoom()) return largest !== undefined
    // All that it has is under way: the next largest, and so on.
    const others = [...this.#members].sort((a, b) => b.heldBytes - a.heldBytes)
    return others.some(budget => budget.makeRoom())
  }
}
