/** Chunks below this are gathered, bytes: each object around a chunk weighs some hundred bytes. */
const SMALL_BYTES = 4_096
/** Bytes that wait keep at most about this much in memory, as a multiple of their own size; a smaller part of something is copied. */
const MAX_PINNED_FACTOR = 2.25
/** Memory in which small chunks are gathered, at first and at most, bytes. */
const FIRST_BLOCK_BYTES = 1_024
const MAX_BLOCK_BYTES = 16_384
/** Memory for what is left of a piece; more of one is kept as it is. */
const REST_BYTES = 20_480
/** Memory for a piece that is as long as one read of a socket, and the shortest piece that gets it, bytes. */
const PIECE_BYTES = 65_536
const MIN_PIECE_BYTES = 28_672
/** The memory for such pieces that is kept. */
const MAX_FREE = 8

/** Memory for pieces of bulk that goes round among the queues of a session: garbage of 64 KiB for each read is what full collections are made for. */
export class PieceMemory {
  readonly #free: Buffer[] = []

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES)
  }

  giveBack(memory: Buffer): void {
    if (this.#free.length < MAX_FREE) this.#free.push(memory)
  }
}

/**
 * Bytes that wait, in order. What it holds follows the bytes, never the number of pieces in which they came: a peer that sends one
 * byte at a time must not cost a hundred times as much as one that does not. So small chunks behind others are copied together.
 */
export class ByteQueue {
  // Always the same array: an old one that is given up with pieces in it would keep these until a full collection.
  readonly #pieces: Buffer[] = []
  #bytes = 0
  /** The block whose beginning is the last piece, and how much of it is used. */
  #block: Buffer | undefined
  #usedBytes = 0
  /** Memory for what is left of a piece, and whether some of it was taken and perhaps not copied yet. */
  #rest: Buffer | undefined
  #isRestTaken = false
  /** Memory that goes round and holds a piece each, by its buffer; undefined until there is some, since most queues never have any. */
  #lent: Map<ArrayBufferLike, Buffer> | undefined
  /** Such of which all was taken and perhaps not copied yet. */
  #taken: Buffer[] | undefined

  /** @param memory  for what is pushed as a copy */
  constructor(private readonly memory?: PieceMemory) {}

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes that wait, in pieces that do not change any more. */
  get pieces(): readonly Buffer[] {
    return [...this.#pieces]
  }

  /** Adds `chunk`, which must not change while it waits. */
  push(chunk: Buffer): void {
    this.#bytes += chunk.length
    // One that comes alone, as in every small answer, is not copied.
    if (chunk.length < SMALL_BYTES && this.#pieces.length > 0) this.#gather(chunk)
    else {
      this.#block = undefined
      this.#pieces.push(chunk)
    }
  }

  /** Adds a copy of `chunk`, which may change afterwards. */
  pushCopy(chunk: Buffer): void {
    const { length } = chunk
    if (this.memory === undefined || length < MIN_PIECE_BYTES || length > PIECE_BYTES)
      return this.push(length < SMALL_BYTES && this.#pieces.length > 0 ? chunk : Buffer.from(chunk))
    const memory = this.memory.take()
    chunk.copy(memory)
    this.#lent ??= new Map()
    this.#lent.set(memory.buffer, memory)
    this.push(memory.subarray(0, length))
  }

  /** Takes the next `length` bytes, of at most `bytes`; the pieces do not change any more. */
  take(length: number): Buffer[] {
    this.#bytes -= length
    if (this.#rest !== undefined && this.#pieces[0]?.buffer === this.#rest.buffer) this.#isRestTaken = true
    const pieces = this.#pieces
    if (this.#bytes === 0) {
      this.#block = undefined
      return this.#whole(pieces.length === 1 ? [pieces.pop()!] : pieces.splice(0))
    }
    // One splice, not a shift per piece: a long queue would be moved again and again.
    let count = 0
    let left = length
    while (pieces[count]!.length <= left) left -= pieces[count++]!.length
    const taken = this.#whole(pieces.splice(0, count))
    if (left > 0) {
      taken.push(pieces[0]!.subarray(0, left))
      pieces[0] = pieces[0]!.subarray(left)
    }
    return taken
  }

  /**
   * What is left of the first piece will wait: it keeps no more in memory than itself. The copies of a queue share one memory, as each of
   * them would live long enough to be costly garbage; `copied` says when it can be written to again.
   */
  ownFirst(): void {
    const [first] = this.#pieces
    if (first === undefined || isWhole(first) || first.length > REST_BYTES || first.buffer === this.#rest?.buffer) return
    // A block is still written to behind its piece.
    if (this.#block !== undefined && this.#pieces.length === 1) return
    if (this.#rest === undefined || this.#isRestTaken) this.#rest = Buffer.allocUnsafeSlow(REST_BYTES)
    this.#isRestTaken = false
    first.copy(this.#rest)
    this.#pieces[0] = this.#rest.subarray(0, first.length)
    const memory = this.#lent?.get(first.buffer)
    if (memory !== undefined) this.#giveBack(memory)
  }

  /** Is `copied` waited for? */
  get isCopyAwaited(): boolean {
    return this.#taken !== undefined
  }

  /** Whatever was taken is not used any more. */
  copied(): void {
    this.#isRestTaken = false
    if (this.#taken === undefined) return
    for (const memory of this.#taken) this.#giveBack(memory)
    this.#taken = undefined
  }

  /** Drops what waits. Some of it may have been taken and not be copied yet, so its memory is not written to again. */
  clear(): void {
    this.#lent = undefined
    if (this.#pieces.length > 0) this.#pieces.length = 0
    this.#bytes = 0
    this.#block = undefined
  }

  /** Pieces of which nothing is left here. */
  #whole(pieces: Buffer[]): Buffer[] {
    const lent = this.#lent
    if (lent === undefined || lent.size === 0) return pieces
    for (const { buffer } of pieces) {
      const memory = lent.get(buffer)
      if (memory === undefined) continue
      this.#taken ??= []
      this.#taken.push(memory)
    }
    return pieces
  }

  #giveBack(memory: Buffer): void {
    this.#lent?.delete(memory.buffer)
    this.memory?.giveBack(memory)
  }

  #gather(chunk: Buffer): void {
    const pieces = this.#pieces
    if (this.#block === undefined) this.#gatherLast()
    const block = this.#block
    if (block !== undefined && this.#usedBytes + chunk.length <= block.length) {
      chunk.copy(block, this.#usedBytes)
      // Some of its beginning may have been taken already.
      const start = this.#usedBytes - pieces[pieces.length - 1]!.length
      this.#usedBytes += chunk.length
      pieces[pieces.length - 1] = block.subarray(start, this.#usedBytes)
      return
    }
    pieces.push(this.#inBlock(chunk, Math.min(MAX_BLOCK_BYTES, block === undefined ? FIRST_BLOCK_BYTES : block.length * 2)))
  }

  /** A small piece came alone, and more come now: where it was, it may keep the pool of node:buffer, 64 KiB on newer ones. */
  #gatherLast(): void {
    const pieces = this.#pieces
    const last = pieces[pieces.length - 1]!
    if (last.length >= SMALL_BYTES || isWhole(last) || last.buffer === this.#rest?.buffer || this.#lent?.has(last.buffer) === true) return
    pieces[pieces.length - 1] = this.#inBlock(last, FIRST_BLOCK_BYTES)
  }

  /** A copy of `chunk` at the beginning of a new block of at least `bytes`. */
  #inBlock(chunk: Buffer, bytes: number): Buffer {
    const fresh = Buffer.allocUnsafeSlow(Math.max(bytes, chunk.length))
    chunk.copy(fresh)
    this.#block = fresh
    this.#usedBytes = chunk.length
    return fresh.subarray(0, chunk.length)
  }
}

const isWhole = (bytes: Buffer): boolean => bytes.length * MAX_PINNED_FACTOR >= bytes.buffer.byteLength

/** Bytes that do not keep much else in memory: who waits must not hold what came for all the others in the same message. */
export function ownBytes(bytes: Buffer): Buffer {
  if (isWhole(bytes)) return bytes
  // Not from the pool of node:buffer, which is as large as a message itself on newer ones.
  const own = bytes.length < SMALL_BYTES ? Buffer.allocUnsafe(bytes.length) : Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}
