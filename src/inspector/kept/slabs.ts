/** Memory that small blocks are cut from, bytes. */
const SLAB_BYTES = 65_536
/** A budget of fewer is better spent block by block. */
const LEAST_SLABS = 64

/** The memory that slabs are a part of. */
interface Memory {
  readonly limitBytes: number
  mayHold(bytes: number): boolean
  hold(bytes: number): void
}

/** Memory that many small blocks share, and gives back once none of them is held any more. */
export interface Slab {
  readonly buffer: Buffer
  /** Bytes that were given out. */
  used: number
  /** Blocks that are held. */
  blocks: number
}

/**
 * Small blocks of bytes, cut from larger ones: memory of its own for each would cost more than everything else that is done for a small body.
 * A slab counts whole, as long as any block of it is held.
 */
export class Slabs {
  #current: Slab | undefined

  constructor(private readonly budget: Memory) {}

  /** A block of this size, at the end of what is used; undefined: there is no room, or so little that sharing is no use. */
  take(bytes: number): Slab | undefined {
    if (this.budget.limitBytes < LEAST_SLABS * SLAB_BYTES) return undefined
    let slab = this.#current
    if (slab === undefined || slab.used + bytes > SLAB_BYTES) {
      if (!this.budget.mayHold(SLAB_BYTES)) return undefined
      this.budget.hold(SLAB_BYTES)
      slab = { buffer: Buffer.allocUnsafeSlow(SLAB_BYTES), used: 0, blocks: 0 }
      this.#current = slab
    }
    slab.used += bytes
    slab.blocks++
    return slab
  }

  /** A block is not held any more. Its bytes stay as they are: somebody may still be sending them. */
  release(slab: Slab): void {
    if (--slab.blocks > 0) return
    this.budget.hold(-SLAB_BYTES)
    if (slab === this.#current) this.#current = undefined
  }
}
