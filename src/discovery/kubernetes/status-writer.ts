import { isConflict, isNotFound } from './kube-client.ts'

const RETRY_MS = 10_000

/** Writes what is to stand at objects, one lot after the other; what could not be written is tried again until something newer comes. */
export class StatusWriter<News> {
  #writing = Promise.resolve()
  #retry: NodeJS.Timeout | undefined

  /**
   * @param steps    the writes that a lot takes, each made when the one before is done
   * @param trouble  hears why one has failed
   */
  constructor(
    private readonly steps: (news: News) => Iterable<() => Promise<unknown>>,
    private readonly trouble: (error: unknown) => void,
  ) {}

  /** Puts down what is new. */
  apply(news: News): void {
    clearTimeout(this.#retry)
    this.#writing = this.#writing.then(() => this.#write(news))
  }

  /** Writes what is under way, and nothing after it. */
  close(): Promise<void> {
    clearTimeout(this.#retry)
    return this.#writing.then(() => clearTimeout(this.#retry))
  }

  async #write(news: News): Promise<void> {
    for (const step of this.steps(news)) {
      try {
        await step()
      } catch (error) {
        // Gone, or changed by somebody else, of which a watch will tell.
        if (isNotFound(error) || isConflict(error)) continue
        this.trouble(error)
        clearTimeout(this.#retry)
        this.#retry = setTimeout(() => this.apply(news), RETRY_MS)
        return
      }
    }
  }
}
