import { ADJECTIVES } from './adjectives.ts'
import { NOUNS } from './nouns.ts'
import type { RefusedWords } from './refused-words.ts'

const FIRST_NUMBER = 100
const LAST_NUMBER = 9_999
/** A list of the operator that refuses more than this refuses nearly everything. */
const TRIES = 1_000

/** A whole number, at random and evenly, from 0 to below `end`. */
export type RandomInteger = (end: number) => number

/** Makes the first labels of sockets: adjective-noun-number, such as twilight-sky-7409. */
export class SocketNames {
  constructor(
    private readonly random: RandomInteger,
    private readonly refused: RefusedWords,
  ) {}

  /** Returns a label at random. Whether it is free is decided by the store, which knows all of them and the retired ones. */
  next(): string {
    let label = this.#any()
    for (let tries = 0; tries < TRIES && this.refused.find(label) !== undefined; tries++) label = this.#any()
    return label
  }

  #any(): string {
    const number = FIRST_NUMBER + this.random(LAST_NUMBER - FIRST_NUMBER + 1)
    return `${ADJECTIVES[this.random(ADJECTIVES.length)]!}-${NOUNS[this.random(NOUNS.length)]!}-${number}`
  }
}
