import { performance } from 'node:perf_hooks'
import type { LocalService } from './local-service.ts'

const PERIOD_MS = 1_000
/** The shortest time between two handshakes with the service, milliseconds. */
const TLS_MS = 10_000

/** Says when nothing answers at the service of the user, and when something does again. `fate` completes "visitors …". */
export class OriginWatch {
  #isMissing = false
  #wasUp = false
  #isLooking = false
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  #nextTlsMs = -Infinity

  constructor(
    private readonly service: Pick<LocalService, 'place' | 'answers' | 'speaksTls'>,
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

  /** Says when the service speaks HTTPS and is asked by HTTP, or the other way round. @param protocol  by which the socket asks it, of a request that failed */
  lookAtTls(protocol: string): void {
    const { speaksTls, place } = this.service
    const nowMs = performance.now()
    if (this.#isClosed || nowMs < this.#nextTlsMs || speaksTls === undefined || (protocol !== 'http' && protocol !== 'https')) return
    this.#nextTlsMs = nowMs + TLS_MS
    void speaksTls().then(isTls => {
      if (this.#isClosed || isTls === undefined || isTls === (protocol === 'https')) return
      this.#nextTlsMs = Infinity
      const [spoken, wanted] = isTls ? ['HTTPS', 'HTTP'] : ['plain HTTP', 'HTTPS']
      this.say(
        `${place} speaks ${spoken}, and this socket asks it by ${wanted}: visitors ${this.fate}; give --upstream-type ${isTls ? 'https' : 'http'}, to connect or to socket update`,
      )
    })
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }
}
