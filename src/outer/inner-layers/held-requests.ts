/** A request that waits for an inner layer. */
export interface HeldRequest {
  /** One has come: try again. */
  retry(): void
}

/** Requests that came while no inner layer was there for them, and wait for one to come back (L5). */
export class HeldRequests {
  readonly #held = new Set<HeldRequest>()

  /** @param max  requests that may wait at a time */
  constructor(private readonly max: number) {}

  /** Takes a request in; false when too many wait already. */
  add(request: HeldRequest): boolean {
    if (this.#held.size >= this.max) return false
    this.#held.add(request)
    return true
  }

  /** The request waits no longer. */
  delete(request: HeldRequest): void {
    this.#held.delete(request)
  }

  /** An inner layer has come. */
  wake(): void {
    const all = [...this.#held]
    this.#held.clear()
    for (const request of all) request.retry()
  }
}
