/** Times of the watch over a start. */
export interface StartTiming {
  /** Between two questions, milliseconds. */
  readonly askMs: number
  /** Questions one after the other without a sign of life. */
  readonly hungAsks: number
  /** Questions until a process that answers has to be ready. */
  readonly lateAsks: number
  /** Questions for work that keeps it from answering, which it has said before. */
  readonly workAsks: number
}

/** Told of what is asked, and of the end of patience, once. */
export interface StartEvents {
  readonly ask: () => void
  /** @param why  such as "has given no sign of life for 60 s" */
  readonly onHung: (why: string) => void
}

/**
 * Watches over a process from its start until it is ready. Questions are counted, not milliseconds, as {@link Watchdog} does.
 */
export class StartWatch {
  #timer: NodeJS.Timeout | undefined
  #silent = 0
  #asked = 0
  #work: string | undefined

  constructor(
    private readonly timing: StartTiming,
    private readonly events: StartEvents,
  ) {}

  /** Begins to ask. */
  start(): void {
    this.stop()
    this.#timer = setInterval(() => this.#ask(), this.timing.askMs).unref()
  }

  /** It is ready, or gone. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#work = undefined
    this.#silent = this.#asked = 0
  }

  /** It has said something. */
  heard(): void {
    this.#silent = 0
    this.#work = undefined
  }

  /** It has said that it answers nothing until it has done `what`. */
  busy(what: string): void {
    this.#silent = 0
    this.#work = what
  }

  #ask(): void {
    const { askMs, hungAsks, lateAsks, workAsks } = this.timing
    const work = this.#work
    this.#silent++
    // What it was busy with does not count as time to get ready.
    if (work === undefined) this.#asked++
    const seconds = (asks: number): string => `${(asks * askMs) / 1000} s`
    if (work !== undefined) {
      if (this.#silent > workAsks) return this.#end(`has not done what it began ${seconds(workAsks)} ago (${work})`)
    } else if (this.#silent > hungAsks) return this.#end(`has given no sign of life for ${seconds(hungAsks)}, and was not ready`)
    else if (this.#asked > lateAsks) return this.#end(`was not ready after ${seconds(lateAsks)}`)
    this.events.ask()
  }

  #end(why: string): void {
    this.stop()
    this.events.onHung(why)
  }
}
