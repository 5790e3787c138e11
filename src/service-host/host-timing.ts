import type { StartTiming } from './start-watch.ts'
import type { WatchdogTiming } from './watchdog.ts'

/** Times of the host, milliseconds. */
export interface ServiceHostTiming {
  /** Wait before the service is started again; doubles up to `longestWaitMs`. */
  readonly firstWaitMs: number
  readonly longestWaitMs: number
  /** Up for so long, and ready, it counts as well, and the next wait is the first one again. */
  readonly wellAfterMs: number
  /** For the service to send its directory, before the one of the last run is taken. */
  readonly patienceMs: number
  /** For the service to end by itself. */
  readonly stopMs: number
  readonly watchdog: WatchdogTiming
  readonly start: StartTiming
}

/** Those of a service that serves people. */
export const TIMING: ServiceHostTiming = {
  firstWaitMs: 100,
  longestWaitMs: 30_000,
  wellAfterMs: 3_000,
  patienceMs: 2_000,
  stopMs: 10_000,
  watchdog: { askMs: 1_000, silentAsks: 5, hungAsks: 10 },
  start: { askMs: 1_000, hungAsks: 60, lateAsks: 300, workAsks: 3_600 },
}
