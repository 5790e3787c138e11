import { createLog, type Log, type LogFormat, type LogLevel } from '../telemetry/log.ts'
import { hasColor, type CliContext } from './context.ts'

/** A layer as the command line sees it. */
export interface Layer {
  start(): Promise<void>
  /** Drains; idempotent. */
  close(): Promise<void>
}

/** The log that the options ask for, on standard output. */
export function createServiceLog(
  options: { readonly 'log-level': LogLevel; readonly 'log-format': LogFormat | undefined },
  context: CliContext,
): Log {
  const log = createLog({
    level: options['log-level'],
    format: options['log-format'] ?? (context.stdout.isTTY === true ? 'pretty' : 'json'),
    destination: context.logDestination,
    color: hasColor(context.stdout, context.env),
  })
  context.onLog?.(log)
  return log
}

/**
 * Runs a layer until the process is asked to end, then drains it.
 * @param watching  what else to close in the end: the files that the layer was made from are watched until it has drained
 */
export async function serve(
  layer: Layer,
  log: Log,
  context: CliContext,
  watching: readonly { close(): Promise<void> }[] = [],
): Promise<void> {
  const stopped = context.untilStopped()
  try {
    await layer.start()
    await stopped
    await layer.close()
    log.info({}, 'ended')
  } finally {
    await Promise.all(watching.map(part => part.close()))
    await log.flush()
  }
}
