import { ServiceError } from '../input/service-error.ts'

/** Transactions of one account that may wait; some ten milliseconds each. */
const MAX_WAITING = 2_000
const RETRY_S = 5

interface Queue {
  /** Resolves when those before are done, whatever became of them. */
  tail: Promise<void>
  count: number
}

/**
 * Turns of an account at what its row in the database is locked for. Without them many calls of one account would each take a connection, and wait with
 * it for the same lock, until none is left for anybody else. The lock is what counts all the same, for other processes.
 */
export class AccountTurns {
  readonly #queues = new Map<string, Queue>()

  /** Does `work` after all that came before it for this account. @throws ServiceError OVERLOADED with Retry-After when too many wait */
  async inTurn<T>(accountId: string, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(accountId) ?? { tail: Promise.resolve(), count: 0 }
    if (queue.count > MAX_WAITING)
      throw new ServiceError('OVERLOADED', `${MAX_WAITING} calls of this account wait already; try again in ${RETRY_S} s.`, {
        fields: ['Retry-After', String(RETRY_S)],
      })
    this.#queues.set(accountId, queue)
    queue.count++
    const before = queue.tail
    let done = (): void => undefined
    queue.tail = new Promise(resolve => (done = resolve))
    try {
      await before
      return await work()
    } finally {
      done()
      if (--queue.count === 0) this.#queues.delete(accountId)
    }
  }
}
