import { performance } from 'node:perf_hooks'
import { JoinEndpoint } from '../../enrolment/join-endpoint.ts'
import type { Joined } from '../../enrolment/invitations.ts'
import { GatewayError } from '../../errors.ts'
import { WorkerSide } from '../../workers/worker-side.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { storeFolderOf } from '../inspect/store-folders.ts'
import type { outerLayerOptions } from '../options/layers.ts'
import { untilInForce } from '../run/outer-invitations.ts'
import { runOuterLayer } from '../run/outer-layer.ts'
import type { WorkerRole } from '../run/worker-role.ts'

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
  const { number, adminPath, logFormat, tag, inherited, serviceKey } = beginning
  side.answers('ping', () => undefined)
  const store = values['inspect-store']
  const own = {
    ...values,
    // The primary has the log file and the admin port, and writes what this process logs.
    'log-file': undefined,
    'log-format': logFormat,
    // Memory and disk are shared out.
    'inspect-memory': Math.floor(values['inspect-memory'] / values.workers),
    'inspect-store': store && storeFolderOf(store, number),
  }
  const untilStopped: CliContext['untilStopped'] = options =>
    Promise.race([context.untilStopped(options), side.stopped.then(() => undefined)])
  const role: WorkerRole = {
    number,
    tag,
    inherited,
    events: side.events,
    cluster: side.cluster(beginning),
    shared: side.shared(beginning),
    admin: { port: 0, path: adminPath },
    lead: side.lead,
    alone: side.alone,
    isAlone: () => side.isAlone,
    tellMissing: name => side.say({ type: 'missing', name }),
    hearMissing: listener => (side.onMissing = listener),
    onYielded: () => side.say({ type: 'yielded' }),
    joining: (keys, log) => {
      side.answers('key-in-force', kid => untilInForce(keys, String(kid)))
      const join = async (secret: string, certificate: string, address: string): Promise<Joined> =>
        (await side.calls.ask('join', { secret, certificate, address })) as Joined
      return new JoinEndpoint({ join }, log)
    },
    service: async (options, log) => (await import('./worker-service.ts')).createWorkerService(options, { side, serviceKey }, log),
    onStarted: layer => {
      side.say({ type: 'ready', ports: { ...layer.ports, service: layer.servicePort } })
      side.spread(layer)
    },
  }
  return runOuterLayer(own, { ...context, untilStopped }, role)
}
