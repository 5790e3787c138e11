import type { LocalService } from './local-service.ts'

const PERIOD_MS = 1_000

/** Says when nothing answers at the service of the user, and when something does again. `fate` completes "visitors …". */
export class OriginWatch {
  #isMissing = false
  #wasUp = false
  #isLooking = false
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(
    private readonly service: Pick<LocalService, 'place' | 'answers'>,
    private readonly say: (message: string) => void,
    private readonly fate = 'get 502',
  ) {}

  /** Looks once, and again each second while nothing answers. Nothing is looked at twice at a time. */
  look(): void {
    const { answers, place } = this.service
    if (this.#isLooking || this.#isClosed || answers === undefined) return
    this.#isLooking = true
    clearTimeout(this.#timer)
    void answers().then(isUp => {
      this.#isLooking = false
      if (this.#isClosed) return
      if (!isUp && !this.#isMissing)
        this.say(`nothing answers on ${place} ${this.#wasUp ? 'any more' : 'yet'}: visitors ${this.fate} until your service runs there`)
      this.#wasUp ||= isUp
      if (isUp && this.#isMissing) this.say(`${place} answers now`)
      this.#isMissing = !isUp
      if (!isUp) this.#timer = setTimeout(() => this.look(), PERIOD_MS).unref()
    })
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }
}
