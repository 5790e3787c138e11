/** Questions under way: each costs a hash, or a signature. */
const MAX_ASKED = 64

interface Asked<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly timer: NodeJS.Timeout
}

/** Questions to the service process, by number. Each is answered, whatever becomes of that process. */
export class Questions<Answer> {
  readonly #asked = new Map<number, Asked<Answer>>()
  #nextId: number

  /**
   * @param answerMs  what is not there by then will not come
   * @param away      the answer where there is none, with the reason
   * @param firstId   number of the first one
   */
  constructor(
    private readonly answerMs: number,
    private readonly away: (why: string) => Answer,
    firstId = 1,
  ) {
    this.#nextId = firstId
  }

  /** @param send  puts the question with this number to the process that runs now; undefined: none does */
  ask(send: ((id: number) => void) | undefined): Promise<Answer> {
    if (send === undefined) return Promise.resolve(this.away('the service process is not there'))
    if (this.#asked.size >= MAX_ASKED) return Promise.resolve(this.away('too many logins at a time'))
    const id = this.#nextId++
    return new Promise(resolve => {
      const timer = setTimeout(() => this.answered(id, this.away('the service process does not answer')), this.answerMs)
      this.#asked.set(id, { resolve, timer })
      send(id)
    })
  }

  answered(id: number, answer: Answer): void {
    const asked = this.#asked.get(id)
    if (asked === undefined) return
    this.#asked.delete(id)
    clearTimeout(asked.timer)
    asked.resolve(answer)
  }

  /** The process is gone, and its answers with it. */
  gone(): void {
    for (const id of [...this.#asked.keys()]) this.answered(id, this.away('the service process has ended'))
  }
}
