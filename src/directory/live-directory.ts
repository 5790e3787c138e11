import type { Keys, RegisteredKey } from '../identity/key-registry.ts'
import type { LogLine } from '../payload/log-note.ts'
import type { Access } from '../route/access.ts'
import type { RouteTable, TargetTable } from '../route/table.ts'
import type { Owner } from '../route/target.ts'
import type { TcpPort } from '../route/tcp-port.ts'
import type { DirectorySnapshot, EndedLogins } from './directory.ts'
import { LayeredKeys } from './granted-keys.ts'
import { LayeredTable, overruledIn, serviceTargets, type OverruledTarget, type PortalHost } from './layered-table.ts'
import type { OtherPlaces, Usage } from './owner.ts'
import { parseDirectoryMessage } from './parse-message.ts'
import { SocketTable, type DirectoryBounds, type DirectoryEffects, type SocketFault } from './socket-table.ts'

/** A port that could not be opened. */
export interface PortFault {
  readonly port: number
  readonly message: string
}

/** Options of a directory. */
export interface LiveDirectoryOptions extends DirectoryBounds {
  /** Hosts that the service process serves itself, such as that of its API; they go before sockets. */
  readonly hosts?: readonly string[]
  /** One of them, where people log in by providers; absent: by their password alone. */
  readonly portal?: PortalHost
  /** Public key of the service process; absent: it has no links of its own. */
  readonly serviceKey?: RegisteredKey
  /** The fault that keeps the service from being whole; undefined: it is. Anybody may read it (`/readyz`). */
  readonly fault?: () => string | undefined
  /** A tunnel has come up, or has a newer login; `address` is that of the inner layer. */
  readonly onTunnelUp?: (tunnelId: string, address: string) => void
  /** A tunnel has no connection any more. */
  readonly onTunnelDown?: (tunnelId: string) => void
  /** An inner layer that was enrolled has come. */
  readonly onKeyUp?: (kid: string, address: string) => void
  /** No inner layer with this key is left. */
  readonly onKeyDown?: (kid: string) => void
  /** Milliseconds since 1970: the day of quotas. */
  readonly nowMs?: () => number
}

/** A socket of type tcp or tls that only some may have. */
export interface HeldSocket {
  /** HOST:PORT. */
  readonly name: string
  readonly host: string
  readonly port: number
  readonly accountId: string
  readonly access: Access
}

type Listener = (effects: DirectoryEffects) => Promise<readonly PortFault[]>

/**
 * The sockets and keys of the service, as the data plane has them in memory: takes messages of the service process over, and tells whoever
 * serves by them.
 */
export class LiveDirectory {
  readonly #table: SocketTable
  readonly #service: ReturnType<typeof serviceTargets>
  readonly #listeners = new Set<Listener>()
  /** Tunnel → address of its inner layer. */
  readonly #up = new Map<string, string>()

  /** @throws GatewayError BAD_HOST */
  constructor(private readonly options: LiveDirectoryOptions) {
    this.#table = new SocketTable(options, options.nowMs)
    this.#service = serviceTargets(options.hosts ?? [], options.portal)
  }

  /** The number of sockets. */
  get size(): number {
    return this.#table.size
  }

  get fault(): string | undefined {
    return this.options.fault?.()
  }

  get serviceKey(): RegisteredKey | undefined {
    return this.options.serviceKey
  }

  /** Public ports of sockets. */
  get ports(): readonly TcpPort[] {
    return this.#table.ports
  }

  /** The table of the file with the sockets in it, now and later. */
  layer(file: RouteTable): TargetTable {
    return new LayeredTable(file, this.#table, this.#service)
  }

  /** Targets of the file that are not in force, since the host is the service's own or that of a socket. */
  overruled(file: Pick<TargetTable, 'targets'>): readonly OverruledTarget[] {
    return overruledIn(file, this.#service, this.#table)
  }

  /** The keys of the operator with those of the service behind them. */
  layerKeys(operator: Keys): Keys {
    return new LayeredKeys(operator, this.#table.keys)
  }

  /** Is this a key of the service? */
  hasKey(kid: string): boolean {
    return this.#table.keys.get(kid) !== undefined
  }

  /** Is there a socket with this host? @param host  in lower case */
  hasSocket(host: string): boolean {
    return this.#table.match(host) !== undefined
  }

  /** The socket of a host at which people prove by a certificate who they are. @param host  in lower case */
  heldSocket(host: string): HeldSocket | undefined {
    const { socket, tunnel } = this.#table.match(host) ?? {}
    if (socket === undefined || tunnel?.access === undefined) return undefined
    return { name: tunnel.name, host: socket.dnsName, port: tunnel.port, accountId: socket.accountId, access: tunnel.access }
  }

  /** The owner of the socket that a tunnel is of. */
  ownerOf(tunnelId: string): (Owner & { watch(watcher: (line: LogLine) => void): () => void }) | undefined {
    return this.#table.ofTunnel(tunnelId)?.owner
  }

  /** Tells `watcher` who comes to the socket of a tunnel, until the returned function is called. @returns undefined for a tunnel that is not there */
  watchTunnel(tunnelId: string, watcher: (line: LogLine) => void): (() => void) | undefined {
    return this.ownerOf(tunnelId)?.watch(watcher)
  }

  /**
   * Takes a message of the service process over. Resolves when all of it is in force, ports included, with the sockets that are not.
   * @param message  a snapshot or a change, as `directory.ts` has them, unchecked
   * @throws GatewayError CONFIG_INVALID, as a rejection: nothing of it is in force then
   */
  async apply(message: unknown): Promise<readonly SocketFault[]> {
    const { effects, faults } = this.#table.apply(parseDirectoryMessage(message))
    const found = await Promise.all([...this.#listeners].map(listener => listener(effects)))
    // One that has gone meanwhile misses nothing.
    const ofPorts = found.flat().flatMap(({ port, message: why }): readonly SocketFault[] => {
      const entry = this.#table.ofPort(port)
      return entry === undefined ? [] : [{ socketId: entry.socket.id, code: 'LISTEN_FAILED', message: why }]
    })
    return [...faults, ...ofPorts]
  }

  /**
   * Tells `listener` of logins of visitors by accounts of the service that are over: of those that are known at once, and of each that comes.
   * @returns ends it
   */
  onLoginsEnded(listener: (ended: readonly EndedLogins[]) => void): () => void {
    const known = this.#table.endedLogins
    if (known.length > 0) listener(known)
    return this.onChange(({ endedLogins }) => {
      if (endedLogins.length > 0) listener(endedLogins)
      return Promise.resolve([])
    })
  }

  /** The service process does not answer: its links end, so that nobody waits for it. It dials again when it is back. */
  serviceSilent(): void {
    const nothing = { openedPorts: [], closedPorts: [], revokedKeys: [], supersededKeys: [], endedTunnels: [], endedLogins: [] }
    for (const listener of this.#listeners) void listener({ ...nothing, isServiceSilent: true })
  }

  /** All that is in force, for a start without the service process. */
  snapshot(): DirectorySnapshot {
    return this.#table.snapshot()
  }

  /** Calls `listener` after each change; what it resolves with are ports that could not be opened. @returns ends it */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The use of the sockets since the last call: those alone that were. */
  takeUsage(): readonly Usage[] {
    return this.#table.takeUsage()
  }

  /** Is what comes to a socket recorded for its owner? Undefined: it is not there. */
  isInspected(socketId: string): boolean | undefined {
    const entry = this.#table.get(socketId)
    return entry && entry.socket.inspect === true
  }

  /** The socket that a host is of now. @param host  in lower case */
  socketAt(host: string): string | undefined {
    return this.#table.match(host)?.socket.id
  }

  /** Tells `watcher` who comes to a socket, at whichever process, until the returned function is called. @returns undefined for a socket that is not there */
  watch(socketId: string, watcher: (line: LogLine) => void): (() => void) | undefined {
    return this.#table.get(socketId)?.owner.watch(watcher)
  }

  /** The same of those alone who come in at this process, for another one. */
  watchHere(socketId: string, watcher: (line: LogLine) => void): (() => void) | undefined {
    return this.#table.get(socketId)?.owner.watchHere(watcher)
  }

  /** From now on, those who watch a socket see who comes in at other processes too. */
  watchElsewhere(watch: NonNullable<OtherPlaces['watch']>): void {
    this.#table.elsewhere.watch = watch
  }

  /** Tunnels that are up, without those that the service process serves itself. */
  get tunnels(): readonly { readonly id: string; readonly address: string }[] {
    return [...this.#up].map(([id, address]) => ({ id, address }))
  }

  tunnelUp(tunnelId: string, address: string): void {
    this.#up.set(tunnelId, address)
    this.options.onTunnelUp?.(tunnelId, address)
  }

  /** Of keys of the service alone: those of files are nothing that it knows. */
  keyUp(kid: string, address: string): void {
    if (this.hasKey(kid)) this.options.onKeyUp?.(kid, address)
  }

  keyDown(kid: string): void {
    this.options.onKeyDown?.(kid)
  }

  tunnelDown(tunnelId: string): void {
    this.#up.delete(tunnelId)
    this.options.onTunnelDown?.(tunnelId)
  }
}
