import { createHash } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfAny } from '../files/change-file.ts'
import { replaceFile } from '../files/replace-file.ts'
import type { AnswersElsewhere } from './exchange.ts'

const FOLDER_MODE = 0o700

/** Answers to challenges for all processes of one machine that serve the same ports, in the folder of the certificates: an authority comes to any of them. */
export class SharedAnswers implements AnswersElsewhere {
  readonly #folder: string

  /** @param folder  of the certificates */
  constructor(folder: string) {
    this.#folder = join(folder, 'answers')
  }

  async answerAt(place: string): Promise<string | undefined> {
    try {
      return await readIfAny(this.#fileOf(place))
    } catch {
      return undefined // as if there were none: who asks is a stranger
    }
  }

  async publish(place: string, keyAuthorization: string): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE })
    await replaceFile(this.#fileOf(place), keyAuthorization)
  }

  async withdraw(place: string): Promise<void> {
    await rm(this.#fileOf(place), { force: true })
  }

  /** Leftovers of a process that was ended in the middle of an order. */
  async clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** A place has what a stranger has asked for in it. */
  #fileOf(place: string): string {
    return join(this.#folder, createHash('sha256').update(place).digest('hex'))
  }
}
