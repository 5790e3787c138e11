import { ERRORS, type ErrorCode } from '../../errors.ts'
import { isIdempotent } from '../../http/methods.ts'
import type { Retries } from '../../route/target.ts'
import type { Balancer } from '../inner-layers/balancer.ts'
import type { InnerConnection } from '../inner-layers/registry.ts'
import { ReplayBuffer } from './replay-buffer.ts'

const MAX_ATTEMPTS = 3
/** No byte of the request has reached an origin. TLS can fail in the middle of one as well. */
const UNREACHED: ReadonlySet<ErrorCode> = new Set(['ORIGIN_REFUSED', 'ORIGIN_DNS', 'ORIGIN_CONNECT_TIMEOUT'])
/** It may have been executed. */
const UNANSWERED: ReadonlySet<ErrorCode> = new Set(['ORIGIN_CLOSED', 'ORIGIN_TIMEOUT'])

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

  /**
   * May the request go to another inner layer after it failed with `code`?
   * @param retries  what the target says; undefined: failures of the origin are not repeated
   * @param budget   asked last, and only for failures of the origin
   */
  mayRepeat(code: ErrorCode, method: string, retries: Retries | undefined, budget: Pick<Balancer, 'mayRetry'>): boolean {
    const attempts = (this.#tried?.length ?? 0) + 1
    const allowed = retries === undefined ? MAX_ATTEMPTS : retries.attempts + 1
    if (attempts >= allowed || this.#replay?.isIncomplete === true) return false
    const { retry } = ERRORS[code]
    if (retry === 'always' || (retry === 'idempotent' && isIdempotent(method))) return true
    if (retries === undefined) return false
    return (UNREACHED.has(code) || (UNANSWERED.has(code) && isIdempotent(method))) && budget.mayRetry(retries)
  }

  /** `connection` has failed. */
  failed(connection: InnerConnection): void {
    this.#tried = [...(this.#tried ?? []), connection]
  }
}
