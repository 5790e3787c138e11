/** The tunnels that are connected to this process, in memory: how many sessions, and from where the last one came. */
export class LiveTunnels {
  readonly #sessions = new Map<string, { count: number; address: string }>()

  /** Is one of these connected? */
  hasAny(tunnelIds: readonly string[]): boolean {
    return tunnelIds.some(id => this.#sessions.has(id))
  }

  /** Address from which it is connected; undefined: it is not. */
  addressOf(tunnelId: string): string | undefined {
    return this.#sessions.get(tunnelId)?.address
  }

  connected(tunnelId: string, address: string): void {
    // The newest login is told before the end of the one that it takes over from.
    this.#sessions.set(tunnelId, { count: (this.#sessions.get(tunnelId)?.count ?? 0) + 1, address })
  }

  /** @returns whether no session of it is left */
  disconnected(tunnelId: string): boolean {
    const session = this.#sessions.get(tunnelId)
    if (session === undefined) return false
    session.count--
    if (session.count > 0) return false
    return this.#sessions.delete(tunnelId)
  }

  get ids(): readonly string[] {
    return [...this.#sessions.keys()]
  }
}
