import { ERRORS, type ErrorCode } from '../errors.ts'
import { isIdempotent } from '../http/methods.ts'
import type { InnerConnection } from './registry.ts'
import { ReplayBuffer } from './replay-buffer.ts'

const MAX_ATTEMPTS = 3

/** The inner layers that one request was sent to without an answer, and what of its upload is kept for the next one. */
export class Attempts {
  #tried: InnerConnection[] | undefined
  #replay: ReplayBuffer | undefined

  /** Connections that have failed; undefined: none yet. */
  get tried(): readonly InnerConnection[] | undefined {
    return this.#tried
  }

  /** The upload so far; undefined before it has begun, and once it is not needed any more. */
  get replay(): ReplayBuffer | undefined {
    return this.#replay
  }

  /** The upload begins. */
  keepUpload(): void {
    this.#replay = new ReplayBuffer()
  }

  /** An answer came: there will be no other attempt. */
  settle(): void {
    this.#replay = undefined
  }

  /** May the request go to another inner layer after it failed with `code`? */
  mayRepeat(code: ErrorCode, method: string): boolean {
    if ((this.#tried?.length ?? 0) + 1 >= MAX_ATTEMPTS || this.#replay?.isIncomplete === true) return false
    const { retry } = ERRORS[code]
    return retry === 'always' || (retry === 'idempotent' && isIdempotent(method))
  }

  /** `connection` has failed. */
  failed(connection: InnerConnection): void {
    this.#tried = [...(this.#tried ?? []), connection]
  }
}
