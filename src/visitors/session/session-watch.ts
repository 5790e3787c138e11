/** What is open with a session. */
interface Watched {
  readonly check: () => string | undefined
  readonly ended: (reason: string) => void
}

/** Between two looks at what is open. */
const LOOK_MS = 15_000

/** Ends what is open with a session when that is over: looks now and then, and at once when sessions were revoked. */
export class SessionWatch {
  readonly #open = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined

  /** @param onFault  what a listener has thrown */
  constructor(private readonly onFault: (thrown: unknown) => void) {}

  /** What is watched. */
  get size(): number {
    return this.#open.size
  }

  /**
   * @param check  says why the session is over; undefined: it is not
   * @param ended  called once
   * @returns ends it
   */
  watch(check: () => string | undefined, ended: (reason: string) => void): () => void {
    const watched: Watched = { check, ended }
    this.#open.add(watched)
    this.#timer ??= setInterval(() => this.look(), LOOK_MS).unref()
    return () => this.#open.delete(watched)
  }

  /** Looks now. */
  look(): void {
    for (const watched of [...this.#open]) {
      try {
        const reason = watched.check()
        if (reason === undefined) continue
        this.#open.delete(watched)
        watched.ended(reason)
      } catch (thrown) {
        this.onFault(thrown)
      }
    }
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Looks no more. */
  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#open.clear()
  }
}
