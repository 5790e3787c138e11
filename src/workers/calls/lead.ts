/** Decides which of several processes does what only one may do at a time: the first that asked, until it has said that it is over, or has ended. */
export class Lead<Worker> {
  readonly #waiting: Worker[] = []
  #lead: Worker | undefined

  /** @param tell  says to one that it may begin */
  constructor(private readonly tell: (worker: Worker) => void) {}

  /** The one that may; undefined: nobody. */
  get lead(): Worker | undefined {
    return this.#lead
  }

  asks(worker: Worker): void {
    this.#waiting.push(worker)
    this.#next()
  }

  /** It does it no more, and will not again. Idempotent. */
  over(worker: Worker): void {
    const at = this.#waiting.indexOf(worker)
    if (at >= 0) this.#waiting.splice(at, 1)
    if (this.#lead === worker) this.#lead = undefined
    this.#next()
  }

  #next(): void {
    if (this.#lead !== undefined) return
    this.#lead = this.#waiting.shift()
    if (this.#lead !== undefined) this.tell(this.#lead)
  }
}
