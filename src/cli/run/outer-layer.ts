import { randomBytes } from 'node:crypto'
import type { AdminOptions } from '../../admin/admin.ts'
import type { AdminCall, RequestAnswerer } from '../../admin/calls.ts'
import { explain, protectionsOf } from '../../config/explain.ts'
import type { OpenedCluster } from '../cluster/open-cluster.ts'
import type { SharedAccess } from '../../outer/access/access-check.ts'
import { formatFault } from '../../config/document/fault.ts'
import { lintTargetsInSlices } from '../../config/lint.ts'
import { TargetsFile } from '../../config/watch.ts'
import { parseTargets } from '../../config/targets.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { Events } from '../../events/events.ts'
import { KeyFiles } from '../../identity/public-keys.ts'
import { createOuterLayer, type OuterLayer } from '../../outer/outer-layer.ts'
import type { TableSource } from '../../outer/options/outer-options.ts'
import type { RouteTable } from '../../route/table.ts'
import type { Log } from '../../telemetry/log.ts'
import { readAdminOptions } from '../options/admin.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import { checkClusterOptions } from '../options/cluster.ts'
import { edgeLimitsOf } from '../options/limits.ts'
import type { ValuesOf } from '../command/option.ts'
import type { outerLayerOptions } from '../options/layers.ts'
import { warnOfFileLimit } from '../command/file-limit.ts'
import { createServiceLog, serve, type Layer } from '../command/serve.ts'
import { inheritedHosts, inheritedTcp } from '../command/service-manager.ts'
import { createInvitations, type OuterInvitations } from './outer-invitations.ts'
import type { OuterService, serviceOptionsOf } from './outer-service.ts'
import { openState } from './outer-state.ts'
import type { EdgeInspection } from '../inspect/inspection.ts'
import { layeredTaps } from '../inspect/layered-taps.ts'
import { readErrorPages } from './error-pages.ts'
import { checkAcmeOptions } from '../acme/acme-options.ts'
import type { AcmeValues, OpenAcme } from '../acme/open-acme.ts'
import type { Told } from '../events/open-events.ts'
import type { RunningVisitors } from '../visitors/start-visitors.ts'
import type { WorkerRole } from './worker-role.ts'
import { checkPortsDiffer, type WantedPort } from '../command/colliding-ports.ts'
import { createAppCertificates, createNodeCertificates, createTlsPorts } from '../options/tls.ts'

/** Longest URL that is explained. */
const MAX_URL = 8_192

/** The call of the admin port that says what would happen to a request, without sending it. */
export const explainCall = (source: Pick<TableSource, 'table'>): AdminCall => ({
  method: 'GET',
  path: 'explain',
  answer: ({ query }) => explain(source.table, query.get('method') ?? 'GET', (query.get('url') ?? '').slice(0, MAX_URL)),
})

/** Targets of which it is said, as many as the status has. */
const MAX_TARGETS = 1_000

/** The call of the admin port that says who may come to the targets, and how much they may ask for. */
export const protectionCall = (source: Pick<TableSource, 'table'>): AdminCall => ({
  method: 'GET',
  path: 'protection',
  answer: () => ({ items: protectionsOf(source.table, MAX_TARGETS) }),
})

/** Names that stand for trusting no proxy at all. */
const NOBODY = 'none'

/**
 * Runs the outer layer in this process, until it is asked to end.
 * @param worker  its part among others; undefined: it is alone
 * @throws GatewayError when a file is not valid or a port cannot be opened
 */
export async function runOuterLayer(
  given: ValuesOf<typeof outerLayerOptions>,
  context: CliContext,
  worker?: WorkerRole,
): Promise<ExitStatus> {
  const state = await openState(given)
  const inherited = worker?.inherited ?? inheritedHosts(context)
  const options = {
    ...(state?.options ?? given),
    ...inherited,
    // Its number is that of the socket.
    ...(inherited['app-http-host'] !== undefined && { 'app-http-port': given['app-http-port'] ?? 0 }),
  }
  if (options.targets !== undefined && options.target.length > 0)
    throw new GatewayError('USAGE', '--targets and --target: give one of them; a file may have the same in one line, HOST: URL')
  checkClusterOptions(options)
  checkAcmeOptions(options)
  const admin = worker?.admin ?? (await readAdminOptions(options))
  if (options.inspect && admin === undefined)
    throw new GatewayError('USAGE', '--inspect: the inspector of an outer layer is at its admin port, and --admin-port none opens none')
  const ports = portsOf(options, admin)
  checkPortsDiffer(ports)
  const errorPages = options['error-pages'] === undefined ? undefined : await readErrorPages(options['error-pages'])
  const whole = await createServiceLog(options, context)
  const log = worker === undefined ? whole : whole.child({ worker: worker.number })
  const onFault = (thrown: unknown): void => log.error({ err: thrown }, 'internal fault while events were told')
  const events = worker?.events ?? new Events({ nowMs: Date.now, onFault })
  let isStarted = false
  const keys = new KeyFiles(options['public-key'], {
    onChange: registry => {
      if (isStarted) log.info({ keys: registry.size }, `public keys reloaded: ${registry.size} in force`)
    },
    onFault: fault => log.error({ code: fault.code }, `public key not in force: ${fault.message}`),
  })
  const acme = options.acme === undefined ? undefined : await openAcme({ ...options, acme: options.acme }, context, log, worker)
  const tls = createTlsPorts(acme?.options ?? options, log, acme?.onMissing)
  const stores = [tls.app, tls.socket].filter(store => store !== undefined)
  const targets = options.targets === undefined ? undefined : watchTargets(options.targets, log)
  const invitations = state === undefined || worker !== undefined ? undefined : createInvitations(state, { keys }, log, context)
  const joining = invitations?.endpoint ?? (options.invite.length === 0 ? undefined : worker?.joining(keys, log))
  // Behind the ids of records: what several processes record is shown together.
  const tag = worker?.tag ?? (options.cluster === undefined ? undefined : randomBytes(3).toString('hex'))
  const inspection = options.inspect ? new (await import('../inspect/inspection.ts')).EdgeInspection(options, log, tag) : undefined
  let service: OuterService | undefined
  let visitors: RunningVisitors | undefined
  let told: Told | undefined
  let opened: OpenedCluster | undefined
  let layer: OuterLayer
  try {
    // First of all: what is told before anybody listens is told to nobody.
    if (options.events !== undefined && worker === undefined) told = await openEvents(options.events, events, log)
    await keys.start()
    isStarted = true
    for (const store of stores) await store.start()
    if (keys.registry.size === 0 && options.service === undefined && joining === undefined)
      log.warn({}, 'there is no public key yet, so no inner layer can connect; put a certificate into the directory')
    if (targets !== undefined) await checkTargets(targets, ports, { log, hasTls: tls.app !== undefined })
    const table = targets ?? targetsOf(options)
    opened = options.cluster === undefined ? undefined : await createCluster({ ...options, cluster: options.cluster }, log)
    const facts = { tls, events, worker, tag, nodes: opened?.shared.peers.calls }
    service = options.service === undefined ? undefined : await createService({ ...options, service: options.service }, facts, log, context)
    const shared = opened?.shared ?? worker?.shared
    if (shared !== undefined) service?.join(shared.peers)
    visitors = await startVisitors(options.visitors, service, shared, log)
    await openStore(inspection, { worker, secrets: service?.secrets }, log)
    const cluster = opened?.cluster ?? worker?.cluster
    const taps = layeredTaps(inspection?.taps, service?.taps)
    const inspector = inspection && (opened === undefined ? inspection.api.handle : await withOtherInspectors(opened, inspection, log))
    acme?.prepare({ table, service, store: tls.app!, events, log })
    layer = createOuterLayer(
      {
        appPort: options['app-port'],
        ...(options['app-host'] !== undefined && { appHost: options['app-host'] }),
        ...(tls.app !== undefined && { appCertificates: tls.app }),
        ...(acme !== undefined && { challenges: acme.challenges }),
        ...(options['app-http-port'] !== undefined && { appHttpPort: options['app-http-port'] }),
        ...(inherited['app-http-host'] !== undefined && { appHttpHost: inherited['app-http-host'] }),
        ...(options.hsts !== undefined && { hstsSeconds: options.hsts }),
        http2: options.http2,
        appH2c: options['app-h2c'],
        ...(context.nghttp2 !== undefined && { nghttp2: context.nghttp2 }),
        ...(context.onMoved !== undefined && { onMoved: context.onMoved }),
        tcpCertificates: (clientCa, clientCrl) =>
          createAppCertificates(acme?.options ?? options, log, { clientCa, clientCrl, onMissing: acme?.onMissing }),
        tcpInherited: inheritedTcp(inherited),
        socketPort: options['socket-port'],
        ...(options['socket-host'] !== undefined && { socketHost: options['socket-host'] }),
        ...(tls.socket !== undefined && { socketCertificates: tls.socket }),
        keys,
        ...(joining !== undefined && { joining }),
        ...(table !== undefined && { targets: table }),
        ...(cluster !== undefined && { cluster }),
        ...(shared !== undefined && { shared }),
        ...(service !== undefined && { directory: service.directory }),
        ...(service?.abuse !== undefined && { abuse: service.abuse }),
        ...(visitors !== undefined && { visitors: visitors.check, reloads: reloadsOf(visitors) }),
        timeoutMs: options.timeout,
        validityMs: options.validity,
        linkNames: options['link-name'],
        trustProxy: options['trust-proxy'].filter(entry => entry !== NOBODY),
        trustFields: options['trust-fields'],
        ...(errorPages !== undefined && { errorPages }),
        removeCsps: options['remove-csps'],
        proxyProtocol: options['proxy-protocol'],
        serverTiming: options['server-timing'],
        drainDelayMs: options['drain-delay'],
        drainTimeoutMs: options['drain-timeout'],
        limits: edgeLimitsOf(options),
        events,
        ...(taps !== undefined && { taps }),
        ...(admin !== undefined && {
          admin: {
            ...admin,
            calls: [...(table === undefined ? [] : [explainCall(table), protectionCall(table)]), ...(service?.calls ?? [])],
            ...(inspector !== undefined && { others: [inspector] }),
            features: [
              ...(table === undefined ? [] : ['explain']),
              ...(inspection === undefined ? [] : ['inspector']),
              ...(service === undefined ? [] : ['accounts']),
            ],
          },
        }),
      },
      { log },
    )
  } catch (error) {
    const parts = [acme, told, keys, targets, visitors, opened, ...stores].filter(part => part !== undefined)
    await Promise.all(parts.map(part => part.close()))
    await log.flush()
    throw error
  }
  inspection?.serves(layer)
  service?.serves(layer)
  const count = options['max-connections']
  warnOfFileLimit(log, { count, because: `--max-connections is ${count}` }, context)
  const parts = [acme, service, inspection, targets, visitors, keys, opened, ...stores, told].filter(part => part !== undefined)
  await serve(layerWith(layer, { service, invitations, acme, worker }), log, context, parts)
  return 0
}

/** The outer layer with its service, whose sockets are in force before clients come and are served until the last one has gone, and with what it says to inner layers that are invited. */
function layerWith(
  layer: OuterLayer,
  parts: {
    readonly service: OuterService | undefined
    readonly invitations: OuterInvitations | undefined
    readonly acme: OpenAcme | undefined
    readonly worker: WorkerRole | undefined
  },
): Layer {
  const { service, invitations, acme, worker } = parts
  return {
    start: async asked => {
      await service?.start(asked)
      await layer.start()
      service?.serve(layer.servicePort)
      await acme?.start()
      await invitations?.announce(layer.ports.socket)
      worker?.onStarted(layer)
    },
    close: async () => {
      const yielding = acme?.close().then(() => worker?.onYielded())
      await Promise.all([yielding, layer.close()])
    },
  }
}

/** @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE; GatewayError USAGE for a port that is wanted twice */
async function checkTargets(
  targets: TargetsFile,
  ports: readonly WantedPort[],
  { log, hasTls }: { readonly log: Log; readonly hasTls: boolean },
): Promise<void> {
  const { file } = targets
  const table = await targets.start()
  const [blind] = table.blind
  if (blind !== undefined && !hasTls)
    throw new GatewayError(
      'CONFIG_INVALID',
      `${file}:${blind.options.line}: ${blind.options.key} is blind, so clients say its name in TLS, which the app port does not speak: give --tls-certificate or --acme, for the names that are not blind`,
    )
  checkPortsDiffer([...ports, ...table.tcp.map(({ options: { port, host } }) => ({ name: `tcp "${port}" in ${file}`, port, host }))])
  await hintAtWarnings(table, file, log)
}

/** Prepares orders of certificates; without them, nothing of it is loaded. */
const openAcme = async <Values extends AcmeValues>(...given: OpenAcmeArguments<Values>): Promise<OpenAcme<Values>> =>
  (await import('../acme/open-acme.ts')).openAcme(...given)

type OpenAcmeArguments<Values> = [values: Values, context: CliContext, log: Log, worker: WorkerRole | undefined]

/** Tells whoever is to be told of events; without a file, nothing of it is loaded. */
const openEvents = async (file: string, events: Events, log: Log): Promise<Told> =>
  (await import('../events/open-events.ts')).openEvents(file, events, log)

/** Reads the files of visitors; where neither they nor the service name a provider, nothing of it is loaded. */
async function startVisitors(
  file: string | undefined,
  service: OuterService | undefined,
  shared: SharedAccess | undefined,
  log: Log,
): Promise<RunningVisitors | undefined> {
  const { logins } = service ?? {}
  if (file === undefined && logins === undefined) return undefined
  const { startVisitors: start } = await import('../visitors/start-visitors.ts')
  const theirs = logins === undefined ? {} : { logins: { ...logins, isAlone: file === undefined } }
  const onLoginsEnded = service?.directory.onLoginsEnded.bind(service.directory)
  const { who: accounts, held, onSocketLogin } = service ?? {}
  return start({ file: file ?? logins!.besides, accounts, held, onLoginsEnded, onSocketLogin, shared, ...theirs }, log)
}

/** Reads what makes this process a node of a cluster; without one, nothing of it is loaded. */
async function createCluster(options: ValuesOf<typeof outerLayerOptions> & { readonly cluster: string }, log: Log): Promise<OpenedCluster> {
  const { openCluster } = await import('../cluster/open-cluster.ts')
  const opened = await openCluster(options, () => createNodeCertificates(options, log), log)
  await opened.cluster.certificates?.start()
  return opened
}

/** Shows what the inspectors of other nodes keep as well. */
async function withOtherInspectors(
  { cluster, shared }: OpenedCluster,
  { api, inspector }: EdgeInspection,
  log: Log,
): Promise<RequestAnswerer> {
  const { shareInspector } = await import('../cluster/shared-views.ts')
  const own = { handle: api.handle, has: (id: string) => inspector.get(id) !== undefined, name: cluster.name ?? '' }
  return shareInspector(shared.peers.calls, own, log)
}

/** Faults of the files of visitors, for whoever is told of events. */
const reloadsOf = (visitors: RunningVisitors) => () => [{ what: 'visitors', fault: visitors.fault() }]

/** Reads what an earlier process has kept of what was inspected, once nobody else writes there. @throws GatewayError FILE_UNREADABLE, KEY_INVALID */
async function openStore(
  inspection: EdgeInspection | undefined,
  { worker, secrets }: { readonly worker: WorkerRole | undefined; readonly secrets: (() => Promise<Buffer>) | undefined },
  log: Log,
): Promise<void> {
  if (worker === undefined || worker.isAlone()) return inspection?.open(secrets)
  const fail = (thrown: unknown): void => log.error({ err: thrown }, `requests are not kept on disk: ${messageOf(thrown)}`)
  void worker.alone.then(() => inspection?.open(secrets)).catch(fail)
}

/** The facts that the service needs beside the options. */
type ServiceFacts = Pick<Parameters<typeof serviceOptionsOf>[1], 'events' | 'nodes' | 'tag'>

/** Prepares the service; without one, nothing of it is loaded. */
async function createService(
  options: ValuesOf<typeof outerLayerOptions> & { readonly service: string },
  { tls, worker, ...facts }: { readonly tls: ReturnType<typeof createTlsPorts>; readonly worker: WorkerRole | undefined } & ServiceFacts,
  log: Log,
  context: CliContext,
): Promise<OuterService> {
  const service = await import('./outer-service.ts')
  const isTls = { app: tls.app !== undefined, socket: tls.socket !== undefined }
  const of = service.serviceOptionsOf(options, { isTls, ...facts })
  return worker === undefined ? service.createOuterService(of, log, context) : worker.service(of, log)
}

function portsOf(options: ValuesOf<typeof outerLayerOptions>, admin: AdminOptions | undefined): readonly WantedPort[] {
  return [
    { name: '--app-port', port: options['app-port'], host: options['app-host'] },
    { name: '--app-http-port', port: options['app-http-port'] ?? 0, host: options['app-host'] },
    { name: '--socket-port', port: options['socket-port'], host: options['socket-host'] },
    ...(admin === undefined ? [] : [{ name: '--admin-port', port: admin.port, host: admin.host }]),
  ]
}

/** The targets of --target. @throws ConfigError CONFIG_INVALID */
function targetsOf({ target }: ValuesOf<typeof outerLayerOptions>): TableSource | undefined {
  if (target.length === 0) return undefined
  const twice = target.find(([host], index) => target.findIndex(([other]) => other === host) < index)
  if (twice !== undefined) throw new GatewayError('USAGE', `--target: ${JSON.stringify(twice[0])} is given twice`)
  return { table: parseTargets(JSON.stringify({ targets: Object.fromEntries(target) }), '--target') }
}

function watchTargets(file: string, log: Log): TargetsFile {
  return new TargetsFile(file, {
    onChange: table => {
      log.info({ targets: table.targets.length }, `targets reloaded: ${table.targets.length} in force`)
      void hintAtWarnings(table, file, log)
    },
    onFault: error => {
      for (const fault of error.faults.map(formatFault))
        log.error({ code: error.code }, `targets not reloaded, the last good ones stay in force: ${fault}`)
    },
  })
}

async function hintAtWarnings(table: RouteTable, file: string, log: Log): Promise<void> {
  const { length } = await lintTargetsInSlices(table)
  if (length > 0)
    log.warn(
      { warnings: length },
      `${length} ${length === 1 ? 'target looks' : 'things in the targets look'} dangerous or useless; see: socket-gateway targets check ${file}`,
    )
}
