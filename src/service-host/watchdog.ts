/** Times of a watchdog. */
export interface WatchdogTiming {
  /** Between two questions, milliseconds. */
  readonly askMs: number
  /** Questions without an answer until the process counts as silent, and until it counts as hung. */
  readonly silentAsks: number
  readonly hungAsks: number
}

/** Told of what a watchdog finds, each once until an answer comes. */
export interface WatchdogEvents {
  readonly ask: () => void
  readonly onSilent: (silentMs: number) => void
  readonly onBack: () => void
  readonly onHung: (silentMs: number) => void
}

/**
 * Asks a process again and again whether it is there. Questions are counted, not milliseconds: where this process has no turn itself, because the
 * machine is busy or was asleep, it asks less, too.
 */
export class Watchdog {
  #timer: NodeJS.Timeout | undefined
  #unanswered = 0

  constructor(
    private readonly timing: WatchdogTiming,
    private readonly events: WatchdogEvents,
  ) {}

  /** True from the first event on until an answer comes. */
  get isSilent(): boolean {
    return this.#unanswered > this.timing.silentAsks
  }

  /** Begins to ask. */
  start(): void {
    this.stop()
    this.#timer = setInterval(() => this.#ask(), this.timing.askMs).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#unanswered = 0
  }

  /** An answer has come. */
  answered(): void {
    const wasSilent = this.isSilent
    this.#unanswered = 0
    if (wasSilent) this.events.onBack()
  }

  #ask(): void {
    const { askMs, silentAsks, hungAsks } = this.timing
    const unanswered = this.#unanswered++
    if (unanswered === silentAsks) this.events.onSilent(unanswered * askMs)
    if (unanswered === hungAsks) this.events.onHung(unanswered * askMs)
    this.events.ask()
  }
}
