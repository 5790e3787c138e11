import type { Holder } from './budget.ts'
import type { Slab } from './slabs.ts'

/** Smallest block of memory that is taken at once. */
const FIRST_BYTES = 64
/** Largest block that shares memory with others. */
const SMALL_BYTES = 4_096
/** Memory of a block beside its bytes, as V8 and the allocator have it, about. */
const BLOCK_OVERHEAD = 200

const EMPTY = Buffer.alloc(0)

/** Bytes that are kept, in one block: no slice of a buffer that belongs to somebody else. */
export class HeldBytes {
  #block: Buffer = EMPTY
  /** The memory that a small block is a part of. */
  #slab: Slab | undefined
  #length = 0
  #isCut = false

  readonly #firstBytes: number

  /**
   * @param limit  most bytes that are kept; what comes beyond is dropped, and said to be
   * @param expected  bytes that were announced, which need not come
   */
  constructor(
    private readonly holder: Holder,
    private readonly limit: number,
    expected = 0,
  ) {
    this.#firstBytes = expected > FIRST_BYTES && expected <= SMALL_BYTES ? expected : FIRST_BYTES
  }

  get length(): number {
    return this.#length
  }

  /** True when something was dropped. */
  get isCut(): boolean {
    return this.#isCut
  }

  /** The bytes; changes with what follows. */
  get bytes(): Buffer {
    return this.#block.subarray(0, this.#length)
  }

  /** Copies `chunk[from…to)` behind what is there. */
  append(chunk: Uint8Array, from = 0, to = chunk.length): void {
    if (this.#isCut) return
    const wanted = to - from
    if (wanted <= 0) return
    const room = this.limit - this.#length
    const taken = Math.min(wanted, room)
    if (taken > 0 && !this.#reserve(this.#length + taken)) {
      this.#isCut = true
      return
    }
    if (taken === chunk.length) this.#block.set(chunk, this.#length)
    else if (taken > 0) this.#block.set(chunk.subarray(from, from + taken), this.#length)
    this.#length += taken
    if (taken < wanted) this.#isCut = true
  }

  /** Drops whatever follows. */
  cut(): void {
    this.#isCut = true
  }

  /** Nothing follows: gives back the room that was not needed. */
  finish(): void {
    if (this.#slab === undefined && this.#block.length > this.#length) this.#move(this.#length)
  }

  /** Gives all of it back. */
  release(): void {
    this.#isCut = true
    this.#length = 0
    this.#move(0)
  }

  #reserve(length: number): boolean {
    const { length: size } = this.#block
    if (length <= size) return true
    const wanted = Math.min(this.limit, size === 0 ? Math.max(length, this.#firstBytes) : Math.max(length, size * 2))
    if (wanted <= SMALL_BYTES) {
      const slab = this.holder.slabs.take(wanted)
      if (slab !== undefined) {
        this.#set(slab.buffer.subarray(slab.used - wanted, slab.used), slab)
        return true
      }
    }
    if (!this.holder.mayHold(wanted)) return false
    this.#move(wanted)
    return true
  }

  /** To a block of its own. */
  #move(size: number): void {
    const before = this.#block.length === 0 || this.#slab !== undefined ? 0 : this.#block.length + BLOCK_OVERHEAD
    this.#set(size === 0 ? EMPTY : Buffer.allocUnsafeSlow(size), undefined)
    this.holder.hold((size === 0 ? 0 : size + BLOCK_OVERHEAD) - before)
  }

  #set(block: Buffer, slab: Slab | undefined): void {
    if (this.#length > 0) this.#block.copy(block, 0, 0, this.#length)
    const last = this.#slab
    this.#block = block
    this.#slab = slab
    if (last !== undefined) this.holder.slabs.release(last)
  }
}
