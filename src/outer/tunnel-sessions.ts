import { understoodBy } from '../payload/log-note.ts'
import { decodeNote } from '../payload/origin-profile.ts'
import { guarded } from '../net/guard.ts'
import type { Log } from '../telemetry/log.ts'
import type { InnerConnection, Registry } from './inner-layers/registry.ts'
import type { LinkPort } from './inner-layers/link-port.ts'
import { LogFeed } from './log-feed.ts'
import type { DirectoryEffects, DirectorySource } from './options/outer-options.ts'
import type { PortFault, TcpEdge } from './tcp-edge/tcp-edge.ts'

/** The parts that follow a directory. */
export interface TunnelSessionsOptions {
  readonly directory: DirectorySource
  readonly registry: Registry
  readonly tcp: Pick<TcpEdge, 'changeSockets'>
  readonly listener: Pick<LinkPort, 'recheckKeys' | 'recheckKeysOf'>
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly log: Log
}

/** Keys whose time is over are looked for so often, milliseconds. */
const LOOK_MS = 30_000
/** A session whose key has been replaced goes on for so long when nobody comes with the newer one, milliseconds. */
const SUPERSEDED_MS = 30_000

/** The watch that a session of a tunnel has begun. */
interface Watched {
  readonly feed: LogFeed
  readonly leave: () => void
}

/** The sessions of tunnels, and what the directory of the service says of them: who comes and goes, who is cut, who watches. */
export class TunnelSessions {
  readonly #watched = new Map<InnerConnection, Watched>()
  #leave = (): void => undefined
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly options: TunnelSessionsOptions) {}

  /** Takes over what the directory says from now on; resolves when its ports are open, or cannot be. */
  async follow(): Promise<void> {
    const { directory, tcp, listener, log } = this.options
    this.#leave = directory.onChange(effects => this.#follow(effects))
    const look = guarded(this.#fail, () => listener.recheckKeys())
    this.#timer = setInterval(look, LOOK_MS).unref()
    const faults = await tcp.changeSockets(directory.ports, [])
    for (const { message } of faults) log.error({ code: 'LISTEN_FAILED' }, `a socket has no port: ${message}`)
  }

  /** Follows no longer. Idempotent. */
  close(): void {
    this.#leave()
    clearInterval(this.#timer)
  }

  readonly #fail = (thrown: unknown): void => this.options.log.error({ err: thrown }, 'internal fault in what follows the directory')

  async #follow({
    openedPorts,
    closedPorts,
    revokedKeys,
    supersededKeys,
    endedTunnels,
    isServiceSilent,
  }: DirectoryEffects): Promise<readonly PortFault[]> {
    const { registry, tcp, listener, directory } = this.options
    if (isServiceSilent === true && directory.serviceKey !== undefined)
      for (const { session } of registry.ofKey(directory.serviceKey.kid))
        session.destroy('LINK_DEAD', 'the service process does not answer')
    for (const tunnel of endedTunnels)
      for (const { session } of registry.ofTunnel(tunnel)) session.destroy('KEY_REMOVED', 'this tunnel is no more')
    listener.recheckKeysOf(revokedKeys)
    for (const kid of supersededKeys) this.#superseded(kid)
    return tcp.changeSockets(openedPorts, closedPorts)
  }

  /** The newer login takes the place of the older one when it comes; until then that one serves, so that visitors notice nothing. */
  #superseded(kid: string): void {
    const { registry } = this.options
    if (registry.ofKey(kid).length === 0) return
    setTimeout(
      guarded(this.#fail, () => registry.takeOver(kid)),
      SUPERSEDED_MS,
    ).unref()
  }

  /** A session has come. The service process knows of its own. */
  added({ identifier, address, kid, pool }: InnerConnection): void {
    const { directory } = this.options
    if (pool === 'operator') directory.keyUp(kid, address)
    else if (kid !== directory.serviceKey?.kid) directory.tunnelUp(identifier, address)
  }

  /** A session has gone. */
  removed(connection: InnerConnection): void {
    const { directory, registry } = this.options
    this.#unwatch(connection)
    const { identifier, kid, pool } = connection
    if (pool === 'operator') {
      if (registry.ofKey(kid).length === 0) directory.keyDown(kid)
      return
    }
    // An earlier login that goes is no news.
    if (kid !== directory.serviceKey?.kid && !registry.serves({ identifiers: [identifier], pool: 'tunnel' }))
      directory.tunnelDown(identifier)
  }

  /** A note of such a session. @throws GatewayError PROTOCOL */
  onNote(connection: InnerConnection, payload: Buffer): void {
    const note = decodeNote(payload)
    if (note.note !== 'watch-log' || this.#watched.has(connection)) return
    const { directory, clock } = this.options
    const feed = new LogFeed({ session: connection.session, isUnderstood: understoodBy(note), clock, onFault: this.#fail })
    const leave = directory.watchTunnel(connection.identifier, feed.add)
    if (leave !== undefined) this.#watched.set(connection, { feed, leave })
  }

  #unwatch(connection: InnerConnection): void {
    const watched = this.#watched.get(connection)
    this.#watched.delete(connection)
    watched?.leave()
    watched?.feed.close()
  }
}
