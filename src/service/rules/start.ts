import { GatewayError } from '../../errors.ts'
import type { Log } from '../../telemetry/log.ts'
import { SECOND_MS, type ServiceClock } from '../core/clock.ts'

const isAway = (thrown: unknown): boolean => thrown instanceof GatewayError && thrown.code === 'STORE_UNAVAILABLE'

/** Does what the database is needed for. @returns whether it was there */
export async function unlessAway(action: () => Promise<void>): Promise<boolean> {
  try {
    await action()
    return true
  } catch (thrown) {
    if (!isAway(thrown)) throw thrown
    return false
  }
}

/** The first thing that needs the database: where that is away, it is done when it is back. */
export class Start {
  #stop: (() => void) | undefined
  #work: Promise<void> = Promise.resolve()

  constructor(
    private readonly clock: ServiceClock,
    private readonly log: Log,
    private readonly action: () => Promise<void>,
  ) {}

  async run(): Promise<void> {
    if (await unlessAway(this.action)) return
    this.#stop = this.clock.every(SECOND_MS, () => {
      this.#work = this.#work.then(() => this.#again())
    })
  }

  async #again(): Promise<void> {
    if (this.#stop === undefined) return
    try {
      if (await unlessAway(this.action)) this.#end()
    } catch (err) {
      this.#end()
      this.log.error({ err }, 'the service could not begin with its work; start it again')
    }
  }

  #end(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  async close(): Promise<void> {
    this.#end()
    await this.#work
  }
}
