/** Something open with a session; once it is over it has let go of everything. */
interface Watched {
  check: (() => string | undefined) | undefined
  ended: ((reason: string) => void) | undefined
  before: Watched | undefined
  after: Watched | undefined
}

/** Between two looks at what is open. */
const LOOK_MS = 15_000

/** Ends what is open with a session when that is over: looks now and then, and at once when sessions were revoked. */
export class SessionWatch {
  /**
   * A list whose links are cut as each goes. A set leaves its former table behind whenever that is full; once it has grown old, the table
   * keeps every request that was in it alive until the next full collection, and each small one copies them all.
   */
  #first: Watched | undefined
  #size = 0
  #timer: NodeJS.Timeout | undefined

  /** @param onFault  what a listener has thrown */
  constructor(private readonly onFault: (thrown: unknown) => void) {}

  /** The list of what is watched. */
  get size(): number {
    return this.#size
  }

  /**
   * @param check  says why the session is over; undefined: it is not
   * @param ended  called once
   * @returns ends it
   */
  watch(check: () => string | undefined, ended: (reason: string) => void): () => void {
    const watched: Watched = { check, ended, before: undefined, after: this.#first }
    if (this.#first !== undefined) this.#first.before = watched
    this.#first = watched
    this.#size++
    this.#timer ??= setInterval(() => this.look(), LOOK_MS).unref()
    return () => this.#forget(watched)
  }

  /** Looks now. */
  look(): void {
    // All of them first: what ends may end others, or begin some.
    const open: Watched[] = []
    for (let each = this.#first; each !== undefined; each = each.after) open.push(each)
    for (const watched of open) {
      const { check, ended } = watched
      try {
        const reason = check?.()
        if (reason === undefined) continue
        this.#forget(watched)
        ended?.(reason)
      } catch (thrown) {
        this.onFault(thrown)
      }
    }
    if (this.#size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Looks no more. */
  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    while (this.#first !== undefined) this.#forget(this.#first)
  }

  #forget(watched: Watched): void {
    if (watched.check === undefined) return
    const { before, after } = watched
    if (before === undefined) this.#first = after
    else before.after = after
    if (after !== undefined) after.before = before
    watched.check = watched.ended = watched.before = watched.after = undefined
    this.#size--
  }
}
