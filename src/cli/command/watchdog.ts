/** The watchdog of the service manager, which ends a process that does not say in time that it is well. sd_watchdog_enabled(3). */
import { guarded } from '../../net/guard.ts'
import type { Log } from '../../telemetry/log.ts'
import type { CliContext } from './context.ts'
import { tell } from './service-manager.ts'

/** It is told so often in its time: a machine that is busy starts the program that tells it late. */
const TIMES = 3
/** Each word to it takes a process of its own, so not more often than this, milliseconds. */
const LEAST_MS = 100

/** The time within which the service manager wants to hear, milliseconds; undefined: it does not, or not of this process. */
export function watchdogMs({ env, pid, parent }: Pick<CliContext, 'env' | 'pid' | 'parent'>): number | undefined {
  const { WATCHDOG_USEC: microseconds, WATCHDOG_PID: owner, NOTIFY_SOCKET: socket = '' } = env
  if (parent !== undefined || socket === '' || (owner !== undefined && owner !== String(pid))) return undefined
  const ms = Number(microseconds) / 1_000
  return ms > 0 && Number.isFinite(ms) ? ms : undefined
}

/**
 * Tells the service manager again and again that all is well, for as long as it is.
 * @param isWell  asked each time, and told within how many milliseconds it has to answer
 * @returns ends it; nothing was begun where nobody wants to hear
 */
export function keepWatchdog(
  context: Pick<CliContext, 'env' | 'pid' | 'parent'>,
  log: Pick<Log, 'warn' | 'error'>,
  isWell: (withinMs: number) => Promise<boolean>,
): () => void {
  const ms = watchdogMs(context)
  if (ms === undefined) return () => undefined
  const everyMs = Math.max(LEAST_MS, ms / TIMES)
  const fail = (thrown: unknown): void => log.error({ err: thrown }, 'internal fault in what tells the watchdog')
  let isBusy = false
  let isTold = true
  const look = async (): Promise<void> => {
    if (!(await isWell(everyMs))) return
    const untold = await tell('WATCHDOG=1', context)
    if (untold !== undefined && isTold)
      log.warn({}, `the watchdog of the service manager does not hear that this process is well: ${untold}`)
    isTold = untold === undefined
  }
  const turn = (): void => {
    if (isBusy) return
    isBusy = true
    look()
      .catch(fail)
      .finally(() => (isBusy = false))
  }
  const timer = setInterval(guarded(fail, turn), everyMs).unref()
  return () => clearInterval(timer)
}
