import { byteSet } from './bytes.ts'
import { CENSOR, type SecretNames } from './secret-names.ts'
import type { Redactor, Sink } from './sink.ts'

const NOTHING = new Uint8Array(0)
/** Whatever has one was judged. */
const SEPARATORS = byteSet(':=%')
const MASK = Buffer.from(CENSOR)

/**
 * Reads bytes in pieces of any size. What may be the begin of a name, an escape or an address at the end of a piece waits for the next one, so
 * that readers find these whole; that is a few hundred bytes at most.
 */
export abstract class PieceReader implements Redactor {
  #rest: Uint8Array = NOTHING
  /** Bytes of it that were given on already. */
  #given = 0
  #count = 0

  constructor(
    protected readonly names: SecretNames,
    private readonly sink: Sink,
  ) {}

  get count(): number {
    return this.#count
  }

  push(chunk: Uint8Array): void {
    const last = this.#rest
    const bytes = last.length === 0 ? chunk : joined(last, chunk)
    const done = this.read(bytes, false)
    this.#given = Math.max(0, this.#given - done)
    // A copy: the piece belongs to somebody else, and has secrets in it.
    this.#rest = done === bytes.length ? NOTHING : Uint8Array.prototype.slice.call(bytes, done)
    if (last.length === 0) return
    // Nothing of what was taken out stays in memory that is given back as it is.
    last.fill(0)
    bytes.fill(0)
  }

  end(): void {
    const rest = this.#rest
    if (rest.length > 0) this.read(rest, true)
    rest.fill(0)
    this.#rest = NOTHING
    this.#given = 0
  }

  /** Gives on what waits, since something of another kind stands here; a name before it may have its value behind it. */
  pause(): void {
    const rest = this.#rest
    if (rest.length === 0) return
    this.read(rest, true)
    this.#rest = NOTHING
    if (rest.some(byte => SEPARATORS[byte] === 1)) return
    this.#rest = rest
    this.#given = rest.length
  }

  /** @param isLast  nothing follows @returns how many bytes are done with: all of them after the last piece */
  protected abstract read(bytes: Uint8Array, isLast: boolean): number

  /** Gives on what may be kept. */
  protected keep(bytes: Uint8Array, from: number, to: number): void {
    const start = Math.max(from, this.#given)
    if (to > start) this.sink(bytes, start, to)
  }

  /** Gives on what stands for something that was taken out. */
  protected mask(mask: Uint8Array = MASK): void {
    this.#count++
    this.sink(mask, 0, mask.length)
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length)
  bytes.set(first)
  bytes.set(second, first.length)
  return bytes
}
