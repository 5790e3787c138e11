import { LogFile } from '../../telemetry/log-file.ts'
import { createLog, type Log } from '../../telemetry/log.ts'
import type { serviceOptions } from './command.ts'
import { hasColor, type CliContext } from './context.ts'
import type { ValuesOf } from './option.ts'
import { tellReady, tellStopping } from './service-manager.ts'
import { keepWatchdog } from './watchdog.ts'

/** A layer as the command line sees it. */
export interface Layer {
  /** @param asked  resolves when the process is asked to end */
  start(asked?: Promise<unknown>): Promise<void>
  /** Drains; idempotent. */
  close(): Promise<void>
}

/**
 * The log that the options ask for: on standard output, or in a file.
 * @throws GatewayError FILE_UNREADABLE when the file cannot be opened
 */
export async function createServiceLog(options: ValuesOf<typeof serviceOptions>, context: CliContext): Promise<Log> {
  const file = await openLogFile(options, context)
  const isTerminal = file === undefined && context.stdout.isTTY === true
  const log = createLog({
    level: options['log-level'],
    format: options['log-format'] ?? (isTerminal ? 'pretty' : 'json'),
    destination: file ?? context.logDestination,
    color: file === undefined && hasColor(context.stdout, context.env),
    onFault: message => context.stderr.write(`socket-gateway: ${message}\n`),
  })
  context.onLog?.(log)
  return log
}

async function openLogFile(options: ValuesOf<typeof serviceOptions>, { stderr }: CliContext): Promise<LogFile | undefined> {
  const path = options['log-file']
  if (path === undefined) return undefined
  const file = new LogFile({
    path,
    maxBytes: options['log-max-size'],
    maxAgeMs: options['log-max-age'],
    maxFiles: options['log-max-files'],
    nowMs: Date.now,
    onFault: message => stderr.write(`socket-gateway: ${message}\n`),
  })
  await file.open()
  return file
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
  // A closed terminal is no reason to cut requests.
  const stopped = context.untilStopped({ hangup: true })
  // What can be told is well: its loop turns.
  const endWatchdog = keepWatchdog(context, log, () => Promise.resolve(true))
  try {
    await layer.start(stopped)
    await tellReady(context, log)
    await stopped
    tellStopping(context)
    await layer.close()
    log.info({}, 'ended')
  } finally {
    endWatchdog()
    await Promise.all(watching.map(part => part.close()))
    await log.flush()
  }
}
