import { connect } from 'node:net'
import { formatHostPort, type HostPort } from '../../address/host-port.ts'
import { lookupName } from '../../net/lookup-name.ts'

const PROBE_MS = 2_000
const PERIOD_MS = 1_000

/** Does anything take a connection there? */
export const answers = ({ host, port }: HostPort): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect({ host, port, lookup: lookupName })
    const end = (isUp: boolean): void => {
      socket.destroy()
      resolve(isUp)
    }
    socket.setTimeout(PROBE_MS, () => end(false))
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })

/** Says when nothing answers at the service of the user, and when something does again. */
export class OriginWatch {
  #isMissing = false
  #isLooking = false
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(
    private readonly origin: HostPort,
    private readonly say: (message: string) => void,
  ) {}

  /** Looks once, and again each second while nothing answers. Nothing is looked at twice at a time. */
  look(): void {
    if (this.#isLooking || this.#isClosed) return
    this.#isLooking = true
    clearTimeout(this.#timer)
    void answers(this.origin).then(isUp => {
      this.#isLooking = false
      if (this.#isClosed) return
      const place = formatHostPort(this.origin)
      if (!isUp && !this.#isMissing) this.say(`nothing answers on ${place} yet: visitors get 502 until your service runs there`)
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
