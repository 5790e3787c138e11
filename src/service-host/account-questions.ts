import type { AccountAnswer, AccountCredentials, ToService } from './ipc.ts'

/** A hash takes a fraction of a second; whatever is not there by then will not come. */
const ANSWER_MS = 10_000
/** Questions under way: each costs a hash. */
const MAX_ASKED = 64

const away = (why: string): AccountAnswer => ({ kind: 'away', why })

interface Asked {
  readonly resolve: (answer: AccountAnswer) => void
  readonly timer: NodeJS.Timeout
}

/** Questions to the service process whose credentials something is. Each is answered, whatever becomes of that process. */
export class AccountQuestions {
  readonly #asked = new Map<number, Asked>()
  #nextId = 1

  constructor(private readonly answerMs = ANSWER_MS) {}

  /** @param send  to the process that runs now; undefined: none does */
  ask(credentials: AccountCredentials, send: ((message: ToService) => void) | undefined): Promise<AccountAnswer> {
    if (send === undefined) return Promise.resolve(away('the service process is not there'))
    if (this.#asked.size >= MAX_ASKED) return Promise.resolve(away('too many logins at a time'))
    const id = this.#nextId++
    return new Promise(resolve => {
      const timer = setTimeout(() => this.answered(id, away('the service process does not answer')), this.answerMs)
      this.#asked.set(id, { resolve, timer })
      send({ type: 'who', id, credentials })
    })
  }

  answered(id: number, answer: AccountAnswer): void {
    const asked = this.#asked.get(id)
    if (asked === undefined) return
    this.#asked.delete(id)
    clearTimeout(asked.timer)
    asked.resolve(answer)
  }

  /** The process is gone, and its answers with it. */
  gone(): void {
    for (const id of [...this.#asked.keys()]) this.answered(id, away('the service process has ended'))
  }
}
