import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { join, resolve } from 'node:path'
import { readSecretsKey } from '../../config/service/secrets-key.ts'
import { readServiceConfig } from '../../config/service/service-file.ts'
import { LiveDirectory, type HeldSocket, type LiveDirectoryOptions } from '../../directory/live-directory.ts'
import type { Events } from '../../events/events.ts'
import { GatewayError } from '../../errors.ts'
import type { RegisteredKey } from '../../identity/key-registry.ts'
import { algorithmsOf, thumbprintOf } from '../../identity/key.ts'
import { forkService } from '../../service-host/fork-service.ts'
import type { CertificatesAnswer, CertificatesRequest } from '../../service-host/kept-certificates.ts'
import { ServiceHost } from '../../service-host/service-host.ts'
import type {
  AccountAnswer,
  AccountCredentials,
  CertificateAnswer,
  HolderRequest,
  ServiceChild,
  SocketLogin,
} from '../../service-host/ipc.ts'
import { accountCalls } from './account-calls.ts'
import type { shareSockets } from '../cluster/shared-views.ts'
import type { PeerCalls } from '../../peers/peer-calls.ts'
import type { RequestSource } from '../../service-host/recorded-requests.ts'
import type { SocketInspection, SocketKeeping } from '../inspect/socket-inspection.ts'
import type { AdminCall } from '../../admin/calls.ts'
import type { Peers } from '../../peers/peers.ts'
import type { Log, LogLevel } from '../../telemetry/log.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { outerLayerOptions } from '../options/layers.ts'
import type { ServiceConfig } from '../../service/config.ts'
import type { ServiceProcessArguments } from './service-process.ts'

/** Options of the outer layer's command line, as far as it matters to the service. */
export interface OuterServiceOptions {
  /** Path of service.yaml. */
  readonly file: string
  readonly logLevel: LogLevel
  /** The way in which requests of sockets are recorded for their owners, and whether they are, whatever the file says; absent: nothing is. */
  readonly inspection?: { readonly isOn: boolean; readonly keeping: SocketKeeping; readonly tag?: string | undefined }
  /** Told of the process, and by it of accounts. */
  readonly events: Events
  /** The other nodes; undefined: there are none. */
  readonly nodes?: PeerCalls | undefined
  readonly appPort: number
  readonly appScheme: 'http' | 'https'
  readonly socketPort: number
  readonly socketScheme: 'ws' | 'wss'
}

/** The service of an outer layer: its directory, and the process that keeps it. */
export interface OuterService {
  readonly directory: LiveDirectory
  /** Its own hosts, such as that of its API, and the zone of its sockets. */
  readonly names: { readonly hosts: readonly string[]; readonly zone: string }
  /** Records requests of sockets for their owners; undefined: nothing does. */
  readonly taps: SocketInspection['taps'] | undefined
  /** The layer sends again what was recorded. */
  serves(layer: Parameters<SocketInspection['serves']>[0]): void
  /** Joins its counts with those of other outer layers. */
  join(peers: Pick<Peers, 'tell' | 'hear'>): void
  /** Reads the keys by which it seals, 32 bytes each. @throws GatewayError FILE_UNREADABLE, KEY_INVALID */
  readonly secrets: () => Promise<Buffer>
  /** Address for complaints about sockets. */
  readonly abuse: string | undefined
  /** Providers by whom visitors of sockets log in; undefined: the file names none. */
  readonly logins: OuterLogins | undefined
  /** Starts the process; resolves when its directory is in force, or as much as there is. */
  start(asked?: Promise<unknown>): Promise<void>
  /** The outer layer takes links of the service process on this port of this machine. */
  serve(port: number): void
  /** Calls of the admin port about its accounts. */
  readonly calls: readonly AdminCall[]
  /** Asks whose credentials of an account they are. Never rejects. */
  readonly who: (credentials: AccountCredentials) => Promise<AccountAnswer>
  /** Its sockets that programs open with certificates. */
  readonly held: {
    readonly apiHost: string
    find(host: string): HeldSocket | undefined
    certify(request: HolderRequest): Promise<CertificateAnswer>
  }
  /** Finds and keeps certificates of hosts, never rejects; undefined: its database is of this machine alone, where they are kept as files. */
  readonly certificates: ((request: CertificatesRequest) => Promise<CertificatesAnswer>) | undefined
  /** Tells it who has come in at a socket by a login. */
  readonly onSocketLogin: (login: SocketLogin) => void
  close(): Promise<void>
}

/** Logins that the file of the service names. */
export interface OuterLogins {
  readonly file: string
  /** The file beside the secrets of the service that a file of visitors would be. */
  readonly besides: string
  /** @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE, as a rejection */
  read(): Promise<{ readonly authUrl: string; readonly providers: Readonly<Record<string, object>> }>
}

const USUAL_PORTS = { http: 80, https: 443 } as const

const listOf = (up: ReadonlyMap<string, string>): { id: string; address: string }[] => [...up].map(([id, address]) => ({ id, address }))

/** The options of the service, from those of its outer layer. @param isTls  do the ports speak TLS? */
export const serviceOptionsOf = (
  options: ValuesOf<typeof outerLayerOptions> & { readonly service: string },
  {
    isTls,
    events,
    tag,
    nodes,
  }: {
    readonly isTls: { readonly app: boolean; readonly socket: boolean }
    readonly events: Events
    readonly tag?: string | undefined
    readonly nodes?: PeerCalls | undefined
  },
): OuterServiceOptions => ({
  file: options.service,
  logLevel: options['log-level'],
  inspection: { isOn: options.inspect, keeping: options, tag },
  events,
  nodes,
  appPort: options['app-port'],
  appScheme: isTls.app ? 'https' : 'http',
  socketPort: options['socket-port'],
  socketScheme: isTls.socket ? 'wss' : 'ws',
})

/** The file of the service as the processes of an outer layer need it, whichever of them has the service process beside it. */
export interface ServiceFrame {
  /** Absolute path of service.yaml. */
  readonly file: string
  readonly config: ServiceConfig
  /** Its own hosts, such as that of its API. */
  readonly hosts: readonly string[]
  /** Are requests of sockets recorded? */
  readonly isInspected: boolean
  /** Options of its directory, without what it is told. @param key  public key of the service process */
  readonly directory: (key: KeyObject) => LiveDirectoryOptions & { readonly serviceKey: RegisteredKey }
  readonly logins: OuterLogins | undefined
  /** Arguments of the service process. @param showsLetters  somebody sits before the log */
  readonly process: (showsLetters: boolean) => ServiceProcessArguments
}

/** Reads the file of the service. @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE */
export async function readServiceFrame(options: OuterServiceOptions): Promise<ServiceFrame> {
  const file = resolve(options.file)
  const config = await readServiceConfig(file)
  const { zone, ports, hosts, stateDirectory } = config
  const ownHosts = [...new Set([hosts.api, hosts.auth, hosts.portal, hosts.download])]
  const { appPort, appScheme, socketPort, socketScheme, inspection } = options
  const logins: OuterLogins = {
    file,
    besides: join(stateDirectory, 'visitors.yaml'),
    read: async () => ({
      authUrl: authUrlOf(hosts.auth, options),
      providers: Object.fromEntries((await readServiceConfig(file)).identityProviders),
    }),
  }
  return {
    file,
    config,
    hosts: ownHosts,
    isInspected: inspection !== undefined && (inspection.isOn || config.inspect === true),
    directory: key => ({
      zone,
      ports,
      endsTls: appScheme === 'https',
      hosts: ownHosts,
      portal: { host: hosts.portal, providers: config.portalProviders.map(({ name }) => name) },
      serviceKey: {
        kid: thumbprintOf(key),
        key,
        algorithms: algorithmsOf(key, 'the key of the service process'),
        identifiers: undefined,
        source: 'the service process',
      },
    }),
    logins: config.identityProviders.size === 0 ? undefined : logins,
    process: showsLetters => ({
      file,
      logLevel: options.logLevel,
      facts: {
        appScheme,
        ...(appPort !== USUAL_PORTS[appScheme] && { appPort }),
        linkUrls: [`${socketScheme}://${zone === 'localhost' ? 'localhost' : hosts.api}:${socketPort}`],
        showsLetters,
      },
    }),
  }
}

/** Starts the service process of an outer layer. @throws GatewayError USAGE */
export function serviceStarter({ process }: ServiceFrame, log: Log, { program, execArgv, stdout }: CliContext): () => ServiceChild {
  if (program === undefined) throw new GatewayError('USAGE', 'a service needs the program as a file, to start a second process of it')
  const facts = JSON.stringify(process(stdout.isTTY === true && log.format === 'pretty'))
  return () => forkService(program, ['service-process', facts], execArgv)
}

/** Reads the file of the service and prepares its process. @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE */
export async function createOuterService(options: OuterServiceOptions, log: Log, context: CliContext): Promise<OuterService> {
  const frame = await readServiceFrame(options)
  const fork = serviceStarter(frame, log, context)
  const { config } = frame
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const tunnels = new Map<string, string>()
  const keys = new Map<string, string>()
  const directory = new LiveDirectory({
    ...frame.directory(createPublicKey(privateKey)),
    onTunnelUp: (id, address) => {
      tunnels.set(id, address)
      host.tunnels([{ id, address }], [])
    },
    onTunnelDown: id => {
      tunnels.delete(id)
      host.tunnels([], [id])
    },
    onKeyUp: (id, address) => {
      keys.set(id, address)
      host.keys([{ id, address }], [])
    },
    onKeyDown: id => {
      if (keys.delete(id)) host.keys([], [id])
    },
    fault: () => host.fault,
  })
  const inspection = await inspectionOf(options, frame, { directory, log })
  const { nodes } = options
  const requests = nodes === undefined ? inspection : await withOtherNodes(nodes, { directory, requests: inspection }, log)
  const host: ServiceHost = new ServiceHost({
    fork,
    directory,
    tunnels: () => listOf(tunnels),
    keys: () => listOf(keys),
    onSilent: () => directory.serviceSilent(),
    onTurn: (state, isWell, reason) =>
      options.events.turn(state, isWell, { subject: state, fields: reason === undefined ? {} : { reason } }),
    onEvent: options.events.book.add,
    ...(requests !== undefined && { requests }),
    stateFile: join(config.stateDirectory, 'directory.json'),
    log,
    clock: () => performance.now(),
  })
  return {
    ...servedBy(frame, directory, inspection),
    join: peers => host.join(peers),
    start: asked => host.start(asked),
    serve: port => host.link({ url: `ws://127.0.0.1:${port}`, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }),
    calls: accountCalls(request => host.operate(request)),
    who: credentials => host.who(credentials),
    held: { apiHost: config.hosts.api, find: name => directory.heldSocket(name), certify: request => host.certify(request) },
    certificates: config.store.kind === 'postgres' ? request => host.certificates(request) : undefined,
    onSocketLogin: login => host.socketLogin(login),
    close: async () => {
      await host.close()
      await inspection?.close()
    },
  }
}

/** Shows who comes to sockets at other nodes too; without any, nothing of it is loaded. */
const withOtherNodes = async (...given: Parameters<typeof shareSockets>): Promise<RequestSource | undefined> =>
  (await import('../cluster/shared-views.ts')).shareSockets(...given)

/** The parts of a service that need no service process. */
export function servedBy<Directory extends LiveDirectory>(
  { config, hosts, logins }: ServiceFrame,
  directory: Directory,
  inspection: SocketInspection | undefined,
): Pick<OuterService, 'names' | 'taps' | 'serves' | 'secrets' | 'abuse' | 'logins'> & { readonly directory: Directory } {
  return {
    directory,
    names: { hosts, zone: config.zone },
    taps: inspection?.taps,
    serves: layer => inspection?.serves(layer),
    secrets: () => readSecretsKey(config.secretsFile),
    abuse: config.abuse,
    logins,
  }
}

/** Begins to record requests of sockets; where nobody wants that, nothing of it is loaded. */
export async function inspectionOf(
  { inspection }: OuterServiceOptions,
  { isInspected }: ServiceFrame,
  { directory, log }: { readonly directory: LiveDirectory; readonly log: Log },
): Promise<SocketInspection | undefined> {
  if (inspection === undefined || !isInspected) return undefined
  const { createSocketInspection } = await import('../inspect/socket-inspection.ts')
  return createSocketInspection(inspection.keeping, directory, log, inspection.tag)
}

/** The auth host as browsers see it. Logins are for https, wherever TLS ends, but on this machine itself. */
function authUrlOf(host: string, { appPort, appScheme }: Pick<OuterServiceOptions, 'appPort' | 'appScheme'>): string {
  const isLocal = host === 'localhost' || host.endsWith('.localhost')
  if (appScheme === 'http' && !isLocal) return `https://${host}`
  return `${appScheme}://${host}${appPort === USUAL_PORTS[appScheme] ? '' : `:${appPort}`}`
}
