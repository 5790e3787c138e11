/** Chance that a seed repeats, and bytes that only their seed makes. */
import { createHash } from 'node:crypto'

/** mulberry32: 0 … 1, the same for the same seed. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Choices from one source of chance. */
export class Chance {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = randomOf(seed)
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit)
  }

  /** A whole number from `min` to `max`. */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  one<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!
  }

  /** True once in `times`. */
  rarely(times: number): boolean {
    return this.below(times) === 0
  }
}

/** `length` bytes that only this seed makes (xorshift32). */
export const bytesOf = (seed: number, length: number): Buffer => {
  const words = new Uint32Array(Math.ceil(length / 4))
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    words[i] = state ^= state << 5
  }
  return Buffer.from(words.buffer, 0, length)
}

/** Short, and different for different bytes. */
export const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('base64url')
