/** A forward that may serve its tunnel. */
export interface Served {
  readonly tunnelId: string
  /** Its place among the logins of the tunnel: the highest is the newest. */
  readonly login: number
  /** Begins to serve; resolves when visitors reach it, or when that takes too long. */
  serve(): Promise<void>
  /** Serves no new visitors; those that are there finish. */
  rest(): void
  /** There are too many for this tunnel, and this is the oldest. */
  evicted(): void
}

/** Connections that hold one tunnel at a time. */
const MAX_HOLDERS = 16

/**
 * The forwards of each tunnel, of which the newest login serves. Those before it stay connected, since their clients would come back at once and the
 * two would take the tunnel from each other for ever; when the newest one leaves, the one before it serves again.
 */
export class TunnelBook {
  /** The newest last. */
  readonly #holders = new Map<string, Served[]>()

  /** Tunnels that somebody serves. */
  get count(): number {
    return this.#holders.size
  }

  /** Those that hold a tunnel. */
  holdersOf(tunnelId: string): readonly Served[] {
    return this.#holders.get(tunnelId) ?? []
  }

  /** All that hold a tunnel. */
  all(): Served[] {
    return [...this.#holders.values()].flat()
  }

  /** Lets `served` serve its tunnel, and the one before it rest once that is the case. */
  async take(served: Served): Promise<void> {
    const { tunnelId } = served
    const holders = this.#holders.get(tunnelId) ?? []
    this.#holders.set(tunnelId, holders)
    // What two connections have asked for at the same time may have been answered in either order.
    holders.splice(holders.findLastIndex(({ login }) => login <= served.login) + 1, 0, served)
    if (holders.length > MAX_HOLDERS) holders.shift()!.evicted()
    if (holders.at(-1) !== served) return served.rest()
    await served.serve()
    const now = this.#holders.get(tunnelId) ?? []
    if (now.at(-1) !== served) return served.rest() // a newer one has come, or it has left
    for (const other of now) if (other !== served) other.rest()
  }

  /** Forgets `served`, which serves no more. */
  leave(served: Served): void {
    const { tunnelId } = served
    const holders = this.#holders.get(tunnelId)
    const at = holders?.indexOf(served) ?? -1
    if (holders === undefined || at < 0) return
    const wasNewest = at === holders.length - 1
    holders.splice(at, 1)
    if (holders.length === 0) this.#holders.delete(tunnelId)
    else if (wasNewest)
      holders
        .at(-1)!
        .serve()
        .catch(() => undefined)
  }
}
