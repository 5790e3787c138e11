/**
 * Where the time of one request went, as browsers show it (Server-Timing, W3C). Times are milliseconds. The inner layer adds its own part,
 * `connect` and `origin`, to the same answer, since it is asked to by the origin profile.
 */
export class ServerTiming {
  #dispatchedMs = 0
  #linkMs = 0

  /** @param clock  milliseconds, rising; the request began at `startedMs` of it */
  constructor(
    private readonly startedMs: number,
    private readonly clock: () => number,
  ) {}

  /** The request leaves for an inner layer. @param roundTripMs  of its link, 0 when it is not measured yet */
  dispatched(roundTripMs: number): void {
    this.#dispatchedMs = this.clock()
    this.#linkMs = roundTripMs
  }

  /** The head of the answer has come: adds what is known. */
  addTo(fields: string[]): void {
    const edge = duration('edge', this.#dispatchedMs - this.startedMs)
    const link = duration('link', this.#linkMs)
    const firstByte = duration('first-byte', this.clock() - this.startedMs)
    fields.push('Server-Timing', `${edge}, ${link}, ${firstByte}`)
  }
}

const duration = (name: string, ms: number): string => `${name};dur=${ms.toFixed(1)}`
