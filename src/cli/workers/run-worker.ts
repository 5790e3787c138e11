import { performance } from 'node:perf_hooks'
import { GatewayError } from '../../errors.ts'
import { WorkerSide } from '../../workers/worker-side.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { outerLayerOptions } from '../options/layers.ts'
import { runOuterLayer } from '../run/outer-layer.ts'

/**
 * Runs one worker of an outer layer, until the primary or a signal asks it to end.
 * @throws GatewayError USAGE when people start it, and as `runOuterLayer`
 */
export async function runWorker(values: ValuesOf<typeof outerLayerOptions>, context: CliContext): Promise<ExitStatus> {
  const { parent, stderr } = context
  if (parent === undefined) throw new GatewayError('USAGE', 'outer-layer-worker is started by "outer-layer --workers N", not by hand')
  const side = new WorkerSide({
    channel: parent,
    clock: () => performance.now(),
    sharedClock: () => performance.timeOrigin + performance.now(),
    nowMs: Date.now,
    onFault: thrown => void stderr.write(`socket-gateway: internal fault in a worker: ${String(thrown)}\n`),
  })
  const beginning = await side.began
  const { number, adminPath, logFormat } = beginning
  // The primary has the log file and the admin port, and writes what this process logs.
  const { 'log-file': _file, ...rest } = values
  const own = { ...rest, 'log-file': undefined, 'log-format': logFormat }
  const untilStopped: CliContext['untilStopped'] = options =>
    Promise.race([context.untilStopped(options), side.stopped.then(() => undefined)])
  return runOuterLayer(
    own,
    { ...context, untilStopped },
    {
      number,
      events: side.events,
      cluster: side.cluster(beginning),
      shared: side.shared(beginning),
      admin: { port: 0, path: adminPath },
      onStarted: layer => {
        side.say({ type: 'ready', ports: layer.ports })
        side.spread(layer)
      },
    },
  )
}
