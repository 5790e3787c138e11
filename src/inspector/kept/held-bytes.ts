import type { Holder } from './budget.ts'

/** Smallest block of memory that is taken at once. */
const FIRST_BYTES = 256
/** Memory of a block beside its bytes, as V8 and the allocator have it, about. */
const BLOCK_OVERHEAD = 200

const EMPTY = Buffer.alloc(0)

/** Bytes that are kept, in one block of their own: no slice of a buffer that is larger or belongs to somebody else. */
export class HeldBytes {
  #block: Buffer = EMPTY
  #length = 0
  #isCut = false

  /** @param limit  most bytes that are kept; what comes beyond is dropped, and said to be */
  constructor(
    private readonly holder: Holder,
    private readonly limit: number,
  ) {}

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
    this.#block.set(chunk.subarray(from, from + taken), this.#length)
    this.#length += taken
    if (taken < wanted) this.#isCut = true
  }

  /** Drops whatever follows. */
  cut(): void {
    this.#isCut = true
  }

  /** Nothing follows: gives back the room that was not needed. */
  finish(): void {
    if (this.#block.length > this.#length) this.#move(this.#length)
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
    const wanted = Math.min(this.limit, Math.max(length, FIRST_BYTES, size * 2))
    if (!this.holder.mayHold(wanted)) return false
    this.#move(wanted)
    return true
  }

  #move(size: number): void {
    const before = this.#block.length === 0 ? 0 : this.#block.length + BLOCK_OVERHEAD
    const block = size === 0 ? EMPTY : Buffer.allocUnsafeSlow(size)
    this.#block.copy(block, 0, 0, this.#length)
    this.#block = block
    this.holder.hold((size === 0 ? 0 : size + BLOCK_OVERHEAD) - before)
  }
}
