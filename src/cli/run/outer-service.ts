import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { join, resolve } from 'node:path'
import { readSecretsKey } from '../../config/service/secrets-key.ts'
import { readServiceConfig } from '../../config/service/service-file.ts'
import { LiveDirectory, type HeldSocket } from '../../directory/live-directory.ts'
import type { Events } from '../../events/events.ts'
import { GatewayError } from '../../errors.ts'
import { algorithmsOf, thumbprintOf } from '../../identity/key.ts'
import { forkService } from '../../service-host/fork-service.ts'
import { ServiceHost } from '../../service-host/service-host.ts'
import type { AccountAnswer, AccountCredentials, CertificateAnswer, HolderRequest, SocketLogin } from '../../service-host/ipc.ts'
import { accountCalls } from './account-calls.ts'
import type { SocketInspection, SocketKeeping } from '../inspect/socket-inspection.ts'
import type { AdminCall } from '../../admin/calls.ts'
import type { Peers } from '../../peers/peers.ts'
import type { Log, LogLevel } from '../../telemetry/log.ts'
import type { CliContext } from '../command/context.ts'
import type { ServiceProcessArguments } from './service-process.ts'

/** Options of the outer layer's command line, as far as it matters to the service. */
export interface OuterServiceOptions {
  /** Path of service.yaml. */
  readonly file: string
  readonly logLevel: LogLevel
  /** The way in which requests of sockets are recorded for their owners, and whether they are, whatever the file says; absent: nothing is. */
  readonly inspection?: { readonly isOn: boolean; readonly keeping: SocketKeeping }
  /** Told of the process, and by it of accounts. */
  readonly events: Events
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
  /** What it counts, it counts together with those of other outer layers. */
  join(peers: Pick<Peers, 'tell' | 'hear'>): void
  /** Reads the keys by which it seals, 32 bytes each. @throws GatewayError FILE_UNREADABLE, KEY_INVALID */
  readonly secrets: () => Promise<Buffer>
  /** Address for complaints about sockets. */
  readonly abuse: string | undefined
  /** Providers by whom visitors of sockets log in; undefined: the file names none. */
  readonly logins: OuterLogins | undefined
  /** Starts the process; resolves when its directory is in force, or as much as there is. */
  start(): Promise<void>
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

/** Reads the file of the service and prepares its process. @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE */
export async function createOuterService(options: OuterServiceOptions, log: Log, context: CliContext): Promise<OuterService> {
  const { program } = context
  if (program === undefined) throw new GatewayError('USAGE', 'a service needs the program as a file, to start a second process of it')
  const file = resolve(options.file)
  const config = await readServiceConfig(file)
  const { zone, ports, hosts, stateDirectory } = config
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = createPublicKey(privateKey)
  const tunnels = new Map<string, string>()
  const keys = new Map<string, string>()
  const ownHosts = [...new Set([hosts.api, hosts.auth, hosts.portal, hosts.download])]
  const directory = new LiveDirectory({
    zone,
    ports,
    endsTls: options.appScheme === 'https',
    hosts: ownHosts,
    portal: { host: hosts.portal, providers: config.portalProviders.map(({ name }) => name) },
    serviceKey: {
      kid: thumbprintOf(key),
      key,
      algorithms: algorithmsOf(key, 'the key of the service process'),
      identifiers: undefined,
      source: 'the service process',
    },
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
  const inspection = await inspectionOf(options, config.inspect === true, { directory, log })
  const { appPort, appScheme, socketPort, socketScheme } = options
  const logins: OuterLogins = {
    file,
    besides: join(stateDirectory, 'visitors.yaml'),
    read: async () => ({
      authUrl: authUrlOf(hosts.auth, options),
      providers: Object.fromEntries((await readServiceConfig(file)).identityProviders),
    }),
  }
  const process: ServiceProcessArguments = {
    file,
    logLevel: options.logLevel,
    facts: {
      appScheme,
      ...(appPort !== USUAL_PORTS[appScheme] && { appPort }),
      linkUrls: [`${socketScheme}://${zone === 'localhost' ? 'localhost' : hosts.api}:${socketPort}`],
      showsLetters: context.stdout.isTTY === true && log.format === 'pretty',
    },
  }
  const host: ServiceHost = new ServiceHost({
    fork: () => forkService(program, ['service-process', JSON.stringify(process)], context.execArgv),
    directory,
    tunnels: () => listOf(tunnels),
    keys: () => listOf(keys),
    onSilent: () => directory.serviceSilent(),
    onTurn: (state, isWell, reason) =>
      options.events.turn(state, isWell, { subject: state, fields: reason === undefined ? {} : { reason } }),
    onEvent: options.events.book.add,
    ...(inspection !== undefined && { requests: inspection }),
    stateFile: join(stateDirectory, 'directory.json'),
    log,
    clock: () => performance.now(),
  })
  return {
    directory,
    names: { hosts: ownHosts, zone },
    taps: inspection?.taps,
    serves: layer => inspection?.serves(layer),
    join: peers => host.join(peers),
    secrets: () => readSecretsKey(config.secretsFile),
    abuse: config.abuse,
    logins: config.identityProviders.size === 0 ? undefined : logins,
    start: () => host.start(),
    serve: port => host.link({ url: `ws://127.0.0.1:${port}`, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }),
    calls: accountCalls(request => host.operate(request)),
    who: credentials => host.who(credentials),
    held: { apiHost: hosts.api, find: name => directory.heldSocket(name), certify: request => host.certify(request) },
    onSocketLogin: login => host.socketLogin(login),
    close: async () => {
      await host.close()
      await inspection?.close()
    },
  }
}

/** Begins to record requests of sockets; where nobody wants that, nothing of it is loaded. */
async function inspectionOf(
  { inspection }: OuterServiceOptions,
  isInFile: boolean,
  { directory, log }: { readonly directory: LiveDirectory; readonly log: Log },
): Promise<SocketInspection | undefined> {
  if (inspection === undefined || !(inspection.isOn || isInFile)) return undefined
  const { createSocketInspection } = await import('../inspect/socket-inspection.ts')
  return createSocketInspection(inspection.keeping, directory, log)
}

/** The auth host as browsers see it. Logins are for https, wherever TLS ends, but on this machine itself. */
function authUrlOf(host: string, { appPort, appScheme }: Pick<OuterServiceOptions, 'appPort' | 'appScheme'>): string {
  const isLocal = host === 'localhost' || host.endsWith('.localhost')
  if (appScheme === 'http' && !isLocal) return `https://${host}`
  return `${appScheme}://${host}${appPort === USUAL_PORTS[appScheme] ? '' : `:${appPort}`}`
}
