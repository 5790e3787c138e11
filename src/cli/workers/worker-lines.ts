/** Characters of a line that has no end; beyond, it is one. */
const MAX_CHARS = 1_048_576

/** Puts the log lines of workers into one log: whole ones, in their order, and what is left of a worker that has died in the middle of one. */
export class WorkerLines<Worker> {
  readonly #rests = new Map<Worker, string>()

  /** @param write  takes whole lines */
  constructor(private readonly write: (lines: string) => void) {}

  /** A worker has written this. */
  take(worker: Worker, text: string): void {
    const all = (this.#rests.get(worker) ?? '') + text
    const end = all.lastIndexOf('\n') + 1
    if (end > 0) this.write(all.slice(0, end))
    const rest = all.slice(end)
    if (rest.length <= MAX_CHARS) return void this.#rests.set(worker, rest)
    this.write(`${rest}\n`)
    this.#rests.delete(worker)
  }

  /** A worker has ended. */
  end(worker: Worker): void {
    const rest = this.#rests.get(worker) ?? ''
    this.#rests.delete(worker)
    if (rest !== '') this.write(`${rest}\n`)
  }
}
