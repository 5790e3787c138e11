import type { Log } from '../../telemetry/log.ts'
import type { ValuesOf } from '../command/option.ts'
import type { inspectOptions } from '../options/inspect.ts'
import type { OriginInspection } from './inspection.ts'

/** Starts the inspector that the options ask for, with its port; undefined: none. @throws GatewayError USAGE, LISTEN_FAILED */
export async function startInspection(values: ValuesOf<typeof inspectOptions>, log: Log): Promise<OriginInspection | undefined> {
  const { inspect } = values
  if (inspect === undefined) return undefined
  const { OriginInspection: Inspection } = await import('./inspection.ts')
  const inspection = new Inspection(inspect, values, log)
  await inspection.start()
  return inspection
}
