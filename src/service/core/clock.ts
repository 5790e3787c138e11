/** Time, as the rules know it: what is stored, and what is due. */
export interface ServiceClock {
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Calls `run` again and again until the returned function is called. It never keeps a process alive. */
  every(ms: number, run: () => void): () => void
}

/** The time of this machine. */
export const SYSTEM_CLOCK: ServiceClock = {
  now: () => Date.now(),
  every: (ms, run) => {
    const timer = setInterval(run, ms).unref()
    return () => clearInterval(timer)
  },
}

export const SECOND_MS = 1_000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS
