/** TLS that ends at an inner layer: an outer layer of its own in this process, whose clients come in the streams of the real ones. */
import { parseTargets } from '../../config/targets.ts'
import { TargetsFile } from '../../config/watch.ts'
import { formatFault } from '../../config/document/fault.ts'
import { GatewayError } from '../../errors.ts'
import { Events } from '../../events/events.ts'
import { KeyRegistry } from '../../identity/key-registry.ts'
import type { InnerLayer } from '../../inner/inner-layer.ts'
import { createOuterLayer, type OuterLayer } from '../../outer/outer-layer.ts'
import type { TableSource } from '../../outer/options/outer-options.ts'
import type { TlsNames } from '../../origin/tcp-origin.ts'
import type { RouteTable } from '../../route/table.ts'
import type { Log } from '../../telemetry/log.ts'
import type { OpenAcme } from '../acme/open-acme.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { innerLayerOptions } from '../options/layers.ts'
import { createAppCertificates } from '../options/tls.ts'
import type { RunningVisitors } from '../visitors/start-visitors.ts'
import { HandedConnections, LOOPBACK } from './handed-connections.ts'
import { joinLayers } from './joined-layers.ts'
import { checkCertificates, faultsOf, isNamed, namesOf, servedPart, type ServedBy } from './served-names.ts'

type InnerValues = ValuesOf<typeof innerLayerOptions>

const STATE = 'inner-layer-state'

/** TLS that ends here, prepared. */
export interface Blind {
  /** For the inner layer that connects to outer layers. */
  readonly names: TlsNames
  /** Opens what serves them, by the origins of that inner layer. */
  start(inner: InnerLayer): Promise<void>
  /** An outer layer is connected: from now on, an authority that asks comes through. */
  up(): void
  /** Lets requests in flight finish. */
  drain(): Promise<void>
  /** Ends the rest. */
  close(): Promise<void>
}

/**
 * Reads what the options name.
 * @throws GatewayError USAGE for what cannot be kept to here; CONFIG_INVALID, FILE_UNREADABLE, KEY_INVALID
 */
export async function openBlind(
  values: InnerValues,
  { identifier, context, log }: { readonly identifier: string; readonly context: CliContext; readonly log: Log },
): Promise<Blind> {
  const names = namesOf(values['tls-for'])
  const acme = await acmeOf(values, context, log)
  const certificates = createAppCertificates(acme?.options ?? values, log, { port: 'names of --tls-for', onMissing: acme?.onMissing })
  if (certificates === undefined)
    throw new GatewayError('USAGE', '--tls-for: TLS needs a certificate; give --tls-certificate and --tls-key, or --acme')
  const targets = targetsOf(values, log)
  let visitors: RunningVisitors | undefined
  const served = (): ServedBy => ({ names, identifier, authHost: visitors?.authHost() })
  const close = async (): Promise<void> => {
    await Promise.all([acme?.close(), targets.close(), visitors?.close(), certificates.close()])
  }
  try {
    await certificates.start()
    if (acme === undefined) checkCertificates(names, host => certificates.match(host).covers(host))
    await targets.start()
    if (values.visitors !== undefined)
      visitors = await (await import('../visitors/start-visitors.ts')).startVisitors({ file: values.visitors }, log)
    const [fault, ...more] = faultsOf(targets.table, served())
    if (fault !== undefined) throw new GatewayError('USAGE', [fault, ...more].join('; '))
    targets.onChange(() => {
      for (const text of faultsOf(targets.table, served())) log.error({ code: 'CONFIG_INVALID' }, `targets, as reloaded: ${text}`)
    })
  } catch (error) {
    await close()
    throw error
  }
  const table = servedTargets(targets)
  acme?.prepare({
    table,
    service: undefined,
    store: certificates,
    events: new Events({ nowMs: Date.now, onFault: thrown => log.error({ err: thrown }, 'internal fault while events were told') }),
    log,
  })
  const handed = new HandedConnections()
  const outer: OuterLayer = createOuterLayer(
    {
      isAlone: true,
      appPort: 0,
      appHost: LOOPBACK,
      appCertificates: certificates,
      ...(acme !== undefined && { challenges: acme.challenges }),
      ...(values.hsts !== undefined && { hstsSeconds: values.hsts }),
      ...(context.nghttp2 !== undefined && { nghttp2: context.nghttp2 }),
      keys: { registry: new KeyRegistry([]) },
      targets: table,
      ...(visitors !== undefined && { visitors: visitors.check }),
      proxied: handed,
      // Who comes, the outer layer has said; what a request says of it is nobody's we know.
      trustProxy: [],
      drainDelayMs: 0,
      drainTimeoutMs: values['drain-timeout'],
    },
    { log },
  )
  let leave: (() => void) | undefined
  let isUp = false
  return {
    names: {
      connect: async ({ name, isChallenge, client }, signal) => {
        const isOurs = isNamed(names, name) && (!isChallenge || (await acme?.challenges.contextOf(name)) !== undefined)
        if (isOurs) return handed.connect(outer.ports.app, client.address, signal)
        const reason = isChallenge ? `has asked no authority about ${name}` : `does not end TLS of ${name} (--tls-for)`
        throw new GatewayError('REFUSED_STREAM', `this inner layer ${reason}`)
      },
    },
    start: async inner => {
      await outer.start()
      leave = joinLayers(outer, inner, { identifier, log })
      log.info({ names }, `TLS of ${names.join(', ')} ends here, and the outer layer cannot read it`)
    },
    up: () => {
      if (isUp) return
      isUp = true
      acme?.start().catch((fault: unknown) => log.error({ err: fault }, 'certificates cannot be ordered'))
    },
    drain: () => outer.close(),
    close: async () => {
      leave?.()
      await close()
    },
  }
}

/** Prepares orders of certificates; without them, nothing of it is loaded. */
async function acmeOf(values: InnerValues, context: CliContext, log: Log): Promise<OpenAcme<InnerValues> | undefined> {
  const { acme } = values
  if (acme === undefined) return undefined
  const { openAcme } = await import('../acme/open-acme.ts')
  // Nobody comes here without TLS.
  return openAcme({ ...values, acme, state: STATE, 'app-http-port': undefined, 'acme-name': [] }, context, log)
}

/** Targets that are followed, or that never change. */
type Followed = TableSource & {
  readonly table: RouteTable
  start(): Promise<unknown>
  close(): Promise<void>
  onChange(listener: () => void): () => void
}

function targetsOf({ targets: file, target }: InnerValues, log: Log): Followed {
  if ((file === undefined) === (target.length === 0))
    throw new GatewayError('USAGE', '--tls-for: give either --targets or --target, which say what is served at those names')
  if (file === undefined) {
    const table = parseTargets(JSON.stringify({ targets: Object.fromEntries(target) }), '--target')
    return { table, start: () => Promise.resolve(), close: () => Promise.resolve(), onChange: () => () => undefined }
  }
  return new TargetsFile(file, {
    onChange: table => log.info({ targets: table.targets.length }, `targets reloaded: ${table.targets.length} in force`),
    onFault: error => {
      for (const fault of error.faults.map(formatFault))
        log.error({ code: error.code }, `targets not reloaded, the last good ones stay in force: ${fault}`)
    },
  })
}

/** The same without what no inner layer has, whatever is reloaded. */
function servedTargets(targets: Followed): TableSource {
  let last = { from: targets.table, made: servedPart(targets.table) }
  return {
    get table() {
      const from = targets.table
      if (last.from !== from) last = { from, made: servedPart(from) }
      return last.made
    },
    get fault() {
      return targets.fault
    },
    ...(targets.file !== undefined && { file: targets.file }),
    onChange: listener => targets.onChange(listener),
  }
}
