/** A pool of connections that may be let go of. */
interface Pool {
  readonly isIdle: boolean
  destroy(): void
}

/** Makes room for one more where there are `max`: the oldest of `pools` that nobody uses goes. */
export function evictIdle(pools: Map<string, Pool>, max: number): void {
  if (pools.size < max) return
  for (const [key, pool] of pools) {
    if (!pool.isIdle) continue
    pools.delete(key)
    pool.destroy()
    return
  }
}
