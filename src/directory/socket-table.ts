import type { DirectoryKey, DirectoryMessage, DirectorySnapshot, DirectorySocket, EndedLogins } from './directory.ts'
import type { ErrorCode } from '../errors.ts'
import type { TcpPort } from '../route/tcp-port.ts'
import { isEqual } from './is-equal.ts'
import { GrantedKeys } from './granted-keys.ts'
import { SocketOwner, type OtherPlaces, type Usage } from './owner.ts'
import { Quota } from './quota.ts'
import { createSocketEntry, type SocketEntry } from './socket-target.ts'

/** The part of the world that the service process may give away. */
export interface DirectoryBounds {
  /** Names of sockets are one label below it. */
  readonly zone: string
  /** The ports of sockets, both ends included; absent: none. */
  readonly ports?: { readonly from: number; readonly to: number }
  /** Ports can end TLS, so that those of sockets of type tcp can ask for a certificate as well; default: they cannot. */
  readonly endsTls?: boolean
}

/** A socket that is not in force as it was asked for. */
export interface SocketFault {
  readonly socketId: string
  readonly code: ErrorCode
  readonly message: string
}

/** The consequences of a message for what is open. */
export interface DirectoryEffects {
  /** Ports to be opened, or to be as they are here from now on. */
  readonly openedPorts: readonly TcpPort[]
  readonly closedPorts: readonly number[]
  /** Keys that prove nothing any more, or something else. */
  readonly revokedKeys: readonly string[]
  /** Keys that prove nothing any more because their tunnel has a newer one: what they have proven goes on until that one comes. */
  readonly supersededKeys: readonly string[]
  /** Tunnels whose sessions end. */
  readonly endedTunnels: readonly string[]
  /** Logins of visitors that are over. */
  readonly endedLogins: readonly EndedLogins[]
  /** The service process does not answer: its links end. */
  readonly isServiceSilent?: boolean
}

/** Effects while they are gathered. */
class Effects {
  readonly opened = new Map<number, TcpPort>()
  readonly closed = new Set<number>()
  readonly revoked = new Set<string>()
  readonly superseded = new Set<string>()
  readonly ended = new Set<string>()
  endedLogins: readonly EndedLogins[] = []
  readonly faults: SocketFault[] = []

  get whole(): DirectoryEffects {
    const closedPorts = [...this.closed].filter(port => !this.opened.has(port))
    return {
      openedPorts: [...this.opened.values()],
      closedPorts,
      revokedKeys: [...this.revoked],
      supersededKeys: [...this.superseded],
      endedTunnels: [...this.ended],
      endedLogins: this.endedLogins,
    }
  }
}

/**
 * The sockets in force by host name and id. It is changed in place: one change costs what it names, however many sockets there are. What
 * the service process says beyond its bounds does not come into force.
 */
export class SocketTable {
  readonly keys = new GrantedKeys()
  readonly #byId = new Map<string, SocketEntry>()
  readonly #byHost = new Map<string, SocketEntry>()
  readonly #byPort = new Map<number, SocketEntry>()
  readonly #byTunnel = new Map<string, SocketEntry>()
  /** The processes at which visitors come in as well. */
  readonly elsewhere: OtherPlaces = { watch: undefined }
  readonly #used = new Set<SocketOwner>()
  /** By account: of those that have sockets here, or a limit. */
  readonly #quotas = new Map<string, Quota>()
  /** Account → until when logins by it are over. */
  readonly #endedLogins = new Map<string, number>()
  /** Of the last snapshot: what it has in it already is not taken again. */
  #snapshotSeq = -1
  #lastSeq = -1
  /** PEM of the authorities that certify visitors. */
  #authorities = ''

  /** @param nowMs  milliseconds since 1970 */
  constructor(
    private readonly bounds: DirectoryBounds,
    private readonly nowMs: () => number = Date.now,
  ) {}

  /** The number of sockets. */
  get size(): number {
    return this.#byId.size
  }

  /** The ports of all sockets that have one. */
  get ports(): readonly TcpPort[] {
    return [...this.#byPort.values()].map(({ port }) => port!)
  }

  /** The socket of a host. */
  match(host: string): SocketEntry | undefined {
    return this.#byHost.get(host)
  }

  /** Could a socket have this name? */
  isInZone(host: string): boolean {
    const { zone } = this.bounds
    return host.endsWith(`.${zone}`) && !host.slice(0, -zone.length - 1).includes('.')
  }

  get(socketId: string): SocketEntry | undefined {
    return this.#byId.get(socketId)
  }

  /** The socket that has a port. */
  ofPort(port: number): SocketEntry | undefined {
    return this.#byPort.get(port)
  }

  /** The socket that a tunnel is of. */
  ofTunnel(tunnelId: string): SocketEntry | undefined {
    return this.#byTunnel.get(tunnelId)
  }

  /** All that is in force, as a message. */
  snapshot(): DirectorySnapshot {
    const sockets = [...this.#byId.values()].map(({ socket }) => socket)
    const authorities = this.#authorities === '' ? {} : { authorities: this.#authorities }
    const limited = [...this.#quotas.values()].filter(({ isSet }) => isSet).map(({ told }) => told)
    const quotas = limited.length === 0 ? {} : { quotas: limited }
    const seq = Math.max(0, this.#lastSeq)
    return { type: 'snapshot', seq, sockets, keys: this.keys.all, endedLogins: this.endedLogins, ...authorities, ...quotas }
  }

  /** Logins of visitors that are over. */
  get endedLogins(): readonly EndedLogins[] {
    return [...this.#endedLogins].map(([accountId, atMs]) => ({ accountId, atMs }))
  }

  /** The use of the sockets since the last call: those alone that were. */
  takeUsage(): readonly Usage[] {
    for (const quota of this.#quotas.values()) quota.look()
    const usage = [...this.#used].map(owner => owner.take())
    this.#used.clear()
    return usage
  }

  /** Takes over a message that `parseDirectoryMessage` has let through. */
  apply(message: DirectoryMessage): { readonly effects: DirectoryEffects; readonly faults: readonly SocketFault[] } {
    const effects = new Effects()
    this.#endLogins(message, effects)
    this.#trust(message, effects)
    this.#limit(message)
    this.#lastSeq = message.type === 'snapshot' ? message.seq : Math.max(this.#lastSeq, message.seq)
    if (message.type === 'snapshot') this.#replace(message, effects)
    else if (message.seq > this.#snapshotSeq) {
      this.#removeKeys(message.removedKeys, message.keys, effects)
      for (const id of message.removedSockets) this.#remove(id, effects)
      for (const tunnel of message.endedTunnels) effects.ended.add(tunnel)
      this.#add(message, effects)
    }
    return { effects: effects.whole, faults: effects.faults }
  }

  #limit({ type, quotas = [] }: DirectoryMessage): void {
    const named = new Set(quotas.map(({ accountId }) => accountId))
    const none = { bytesPerDay: 0, day: 0, used: 0 }
    if (type === 'snapshot') for (const [accountId, quota] of this.#quotas) if (!named.has(accountId)) quota.set({ accountId, ...none })
    for (const quota of quotas) this.#quotaOf(quota.accountId).set(quota)
  }

  #quotaOf(accountId: string): Quota {
    const known = this.#quotas.get(accountId)
    if (known !== undefined) return known
    const quota = new Quota(accountId, this.nowMs)
    this.#quotas.set(accountId, quota)
    return quota
  }

  /** An end is for ever, whatever order messages come in. */
  #endLogins({ type, endedLogins }: DirectoryMessage, effects: Effects): void {
    const before = new Map(this.#endedLogins)
    // What a snapshot does not have any more is older than any login.
    if (type === 'snapshot') this.#endedLogins.clear()
    for (const { accountId, atMs } of endedLogins) this.#endedLogins.set(accountId, Math.max(atMs, before.get(accountId) ?? 0))
    effects.endedLogins = endedLogins.filter(({ accountId, atMs }) => atMs > (before.get(accountId) ?? -1))
  }

  /** Ports that ask for certificates ask for those of other authorities, whatever order messages come in. */
  #trust({ authorities }: DirectoryMessage, effects: Effects): void {
    if (authorities === undefined || authorities === this.#authorities) return
    this.#authorities = authorities
    for (const { socket } of [...this.#byPort.values()]) if (socket.visitors !== null) this.#put(socket, effects)
  }

  #replace(snapshot: DirectorySnapshot, effects: Effects): void {
    this.#snapshotSeq = snapshot.seq
    const ids = new Set(snapshot.sockets.map(({ id }) => id))
    const kids = new Set(snapshot.keys.map(({ kid }) => kid))
    this.#removeKeys(
      [...this.keys.kids].filter(kid => !kids.has(kid)),
      snapshot.keys,
      effects,
    )
    for (const id of this.#byId.keys()) if (!ids.has(id)) this.#remove(id, effects)
    this.#add(snapshot, effects)
  }

  /** @param added  the keys that come at the same time: one of them may be the newer one of a tunnel */
  #removeKeys(kids: readonly string[], added: readonly DirectoryKey[], effects: Effects): void {
    const tunnels = new Set(added.flatMap(({ tunnelId }) => (tunnelId === null ? [] : [tunnelId])))
    for (const kid of kids) {
      if (this.keys.supersede(kid, tunnels, Date.now())) effects.superseded.add(kid)
      else if (this.keys.delete(kid)) effects.revoked.add(kid)
    }
  }

  #add({ sockets, keys }: Pick<DirectorySnapshot, 'sockets' | 'keys'>, effects: Effects): void {
    for (const key of keys) if (this.keys.set(key)) effects.revoked.add(key.kid)
    for (const socket of sockets) {
      const known = this.#byId.get(socket.id)
      // Most of a snapshot, when the service process has started anew. Ports are tried again.
      if (known?.target !== undefined && isEqual(known.socket, socket)) continue
      const message = this.#refusalOf(socket)
      if (message === undefined) this.#put(socket, effects)
      else {
        // What was in force under this id is not what was asked for, either.
        this.#remove(socket.id, effects)
        effects.faults.push({ socketId: socket.id, code: 'CONFIG_INVALID', message })
      }
    }
  }

  /** Why a socket must not come into force. */
  #refusalOf({ id, dnsName, customDomains, port, tunnelIds }: DirectorySocket): string | undefined {
    const { zone, ports } = this.bounds
    if (!this.isInZone(dnsName)) return `${dnsName} is no name of the zone ${zone}`
    if (port !== null && (ports === undefined || port < ports.from || port > ports.to)) return `port ${port} is none of the service`
    for (const host of [dnsName, ...customDomains]) {
      const other = this.#byHost.get(host)
      if (other !== undefined && other.socket.id !== id) return `${host} is the name of another socket`
    }
    const outside = customDomains.find(host => host === zone || host.endsWith(`.${zone}`))
    if (outside !== undefined) return `${outside} is in the zone ${zone}, and no domain of its own`
    const holder = port === null ? undefined : this.#byPort.get(port)
    if (holder !== undefined && holder.socket.id !== id) return `port ${port} is the one of another socket`
    const taken = tunnelIds.find(tunnel => (this.#byTunnel.get(tunnel)?.socket.id ?? id) !== id)
    return taken === undefined ? undefined : `tunnel ${taken} is one of another socket`
  }

  #put(socket: DirectorySocket, effects: Effects): void {
    const previous = this.#byId.get(socket.id)
    const isSameOwner = previous?.socket.accountId === socket.accountId
    const owner = isSameOwner ? previous.owner : this.#ownerOf(socket)
    const entry = createSocketEntry(socket, owner, { previous, authorities: this.#authorities, endsTls: this.bounds.endsTls === true })
    if (previous !== undefined) this.#unlink(previous, new Set(socket.tunnelIds), effects)
    this.#byId.set(socket.id, entry)
    for (const host of [socket.dnsName, ...socket.customDomains]) this.#byHost.set(host, entry)
    for (const tunnel of socket.tunnelIds) this.#byTunnel.set(tunnel, entry)
    const { port } = entry
    if (port === undefined) return
    this.#byPort.set(port.options.port, entry)
    effects.opened.set(port.options.port, port)
  }

  #ownerOf({ id, accountId }: DirectorySocket): SocketOwner {
    return new SocketOwner(id, accountId, used => void this.#used.add(used), this.#quotaOf(accountId), this.elsewhere)
  }

  #remove(id: string, effects: Effects): void {
    const entry = this.#byId.get(id)
    if (entry === undefined) return
    this.#byId.delete(id)
    this.#unlink(entry, new Set(), effects)
  }

  /** @param kept  tunnels that stay with the socket */
  #unlink({ socket, port }: SocketEntry, kept: ReadonlySet<string>, effects: Effects): void {
    for (const host of [socket.dnsName, ...socket.customDomains]) this.#byHost.delete(host)
    for (const tunnel of socket.tunnelIds) {
      this.#byTunnel.delete(tunnel)
      if (!kept.has(tunnel)) effects.ended.add(tunnel)
    }
    if (port === undefined) return
    this.#byPort.delete(port.options.port)
    effects.opened.delete(port.options.port)
    effects.closed.add(port.options.port)
  }
}
