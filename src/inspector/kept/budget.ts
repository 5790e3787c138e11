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

  /** @param makeRoom  throws out the oldest record; false when there is none that may go */
  constructor(
    readonly limitBytes: number,
    private readonly makeRoom: () => boolean,
  ) {}

  get heldBytes(): number {
    return this.#heldBytes
  }

  mayHold(bytes: number): boolean {
    while (this.#heldBytes + bytes > this.limitBytes) if (!this.makeRoom()) return false
    return true
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes
  }
}
