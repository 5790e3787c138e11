import { GatewayError } from '../../errors.ts'
import type { Kysely } from 'kysely'
import type { AccountQuota, DirectoryChange, DirectorySnapshot, DirectorySocket } from '../../directory/directory.ts'
import type { Change } from '../../store/change-feed.ts'
import type { Database } from '../../store/schema.ts'
import type { Store } from '../../store/store.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ServiceConfig } from '../config.ts'
import type { DataPlane } from '../contract.ts'
import { belongingsOf, directoryKeys, directorySockets, endedLoginsOf, quotasOf, tunnelsInForce } from './directory-rows.ts'

/** The time that a call waits until what it has changed is in force. */
const WAIT_MS = 250

/** The kinds of rows in `changes`. What `account` stands for is all that belongs to it, `config` for all sockets. */
export type ChangeKind = 'socket' | 'tunnel' | 'key' | 'account' | 'logins' | 'quota' | 'config' | 'secret'

interface Waiting {
  readonly seq: number
  readonly done: () => void
}

/**
 * Keeps the data plane in step with the tables. It follows `changes`, also those of other processes, and reads what the objects in them are by
 * now; so it does not matter which of two changes it sees first, and many at once become few messages.
 */
export class DirectoryFeed {
  #seq = 0
  /** Of the first snapshot, until the changes are followed. */
  #snapshotSeq: number | undefined
  #isRunning = false
  #stop: (() => Promise<void>) | undefined
  /** One thing after the other: no change may overtake a snapshot. */
  #turn: Promise<unknown> = Promise.resolve()
  readonly #waiting = new Set<Waiting>()
  /** Ports that the data plane could not open, by socket. */
  readonly #failed = new Map<string, GatewayError>()
  readonly #accountListeners = new Set<(accountId: string) => void>()
  /** Ports in force, by socket: only a new one has to be opened. */
  readonly #ports = new Map<string, number>()

  constructor(
    private readonly options: {
      readonly store: Store
      readonly config: () => ServiceConfig
      readonly dataPlane: DataPlane
      readonly now: () => number
      readonly log: Log
      /** The time that a call waits until what it has changed is in force, milliseconds; default: 250. */
      readonly inForceMs?: number
      /** Another secret is in force. */
      readonly onSecrets?: () => Promise<void>
      /** PEM of the authorities of visitors' certificates; absent: there are none. */
      readonly authorities?: () => Promise<string>
    },
  ) {}

  /** Follows the changes from the last snapshot on, or from now on. @throws GatewayError STORE_UNAVAILABLE */
  async start(): Promise<void> {
    const { store, log } = this.options
    const seq = this.#snapshotSeq ?? (await store.read(async () => undefined)).seq
    this.#seq = seq
    this.#isRunning = true
    this.#stop = store.follow({
      since: seq,
      onChanges: changes => this.#inTurn(() => this.#apply(changes)),
      onFault: err => log.warn({ err }, 'a change could not be passed on to the data plane yet; it is tried again'),
    })
  }

  async close(): Promise<void> {
    this.#isRunning = false
    for (const { done } of this.#waiting) done()
    await this.#stop?.()
  }

  /** All that is in force. */
  snapshot(): Promise<DirectorySnapshot> {
    const { store, config, now } = this.options
    return this.#inTurn(async () => {
      const { value, seq } = await store.read(async db => ({
        sockets: await directorySockets(db, config()),
        keys: await directoryKeys(db, now()),
        endedLogins: await endedLoginsOf(db),
        quotas: (await quotasOf(db, { config: config(), now: now() })).filter(({ bytesPerDay }) => bytesPerDay > 0),
      }))
      for (const socket of value.sockets) this.#notePort(socket)
      this.#snapshotSeq = seq
      const { quotas, ...rest } = value
      return { type: 'snapshot', seq, ...rest, ...(quotas.length > 0 && { quotas }), ...(await this.#authorities()) }
    })
  }

  /**
   * Resolves when change `seq` is in force, or after 250 ms.
   * @param socketId  rejects with LISTEN_FAILED when the port of this one could not be opened
   */
  async inForce(seq: number, socketId?: string): Promise<void> {
    if (this.#isRunning && seq > this.#seq) {
      await new Promise<void>(resolve => {
        const done = (): void => {
          clearTimeout(timer)
          this.#waiting.delete(waiting)
          resolve()
        }
        const waiting = { seq, done }
        const timer = setTimeout(done, this.options.inForceMs ?? WAIT_MS)
        this.#waiting.add(waiting)
      })
    }
    const failed = socketId === undefined ? undefined : this.#failed.get(socketId)
    if (failed === undefined) return
    this.#failed.delete(socketId!)
    throw failed
  }

  async #authorities(): Promise<{ readonly authorities?: string }> {
    const { authorities } = this.options
    return authorities === undefined ? {} : { authorities: await authorities() }
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(action, action)
    this.#turn = result.catch(() => undefined)
    return result
  }

  async #apply(changes: readonly Change[]): Promise<void> {
    const { store, config, dataPlane, now } = this.options
    this.#forget(changes)
    const of = (kind: ChangeKind): string[] => [...new Set(changes.filter(change => change.kind === kind).map(change => change.object_id))]
    const seq = changes.at(-1)!.seq
    const hasSecrets = of('secret').length > 0
    if (hasSecrets) await this.options.onSecrets?.()
    const authorities = hasSecrets ? await this.#authorities() : {}
    const { value } = await store.read(async db => {
      const belongings = await belongingsOf(db, of('account'))
      const [socketIds, tunnelIds, kids] = [
        [...new Set([...of('socket'), ...belongings.sockets])],
        [...new Set([...of('tunnel'), ...belongings.tunnels])],
        [...new Set([...of('key'), ...belongings.kids])],
      ]
      const sockets = await directorySockets(db, config(), of('config').length > 0 ? undefined : socketIds)
      const keys = await directoryKeys(db, now(), kids)
      const tunnels = await tunnelsInForce(db, tunnelIds)
      const missing = (ids: readonly string[], present: ReadonlySet<string>): string[] => ids.filter(id => !present.has(id))
      return {
        sockets,
        keys,
        removedSockets: missing(socketIds, new Set(sockets.map(({ id }) => id))),
        removedKeys: missing(kids, new Set(keys.map(({ kid }) => kid))),
        endedTunnels: missing(tunnelIds, tunnels),
        endedLogins: await endedLoginsOf(db, of('logins')),
        quotas: await this.#quotas(db, of('config').length > 0, [...of('account'), ...of('quota')], sockets),
      }
    })
    for (const id of value.removedSockets) {
      this.#ports.delete(id)
      this.#failed.delete(id)
    }
    const opening = value.sockets.filter(({ id, port }) => port !== null && this.#ports.get(id) !== port)
    const others = value.sockets.filter(socket => !opening.includes(socket))
    const nothing = { removedSockets: [], removedKeys: [], sockets: [], keys: [], endedTunnels: [], endedLogins: [] }
    const step = (part: Partial<DirectoryChange>): Promise<void> => dataPlane.apply({ type: 'change', seq, ...nothing, ...part })
    // What goes, goes first: it may free a port or a name.
    const first = { ...value, ...authorities, sockets: others }
    if (Object.values(first).some(({ length }) => length > 0)) await this.#tell(() => step(first))
    // Each new port in a step of its own, so that one that cannot be opened concerns nobody else.
    await Promise.all(opening.map(socket => this.#open(socket, () => step({ sockets: [socket] }))))
    this.#seq = seq
    for (const waiting of this.#waiting) if (waiting.seq <= seq) waiting.done()
  }

  /** Of accounts that have changed, also where they have none any more; and of those whose sockets come, where they have one. */
  async #quotas(
    db: Kysely<Database>,
    isConfig: boolean,
    accountIds: readonly string[],
    sockets: readonly DirectorySocket[],
  ): Promise<readonly AccountQuota[]> {
    const changed = new Set(accountIds)
    const all = [...new Set([...changed, ...sockets.map(({ accountId }) => accountId)])]
    if (all.length === 0) return []
    const quotas = await quotasOf(db, { config: this.options.config(), now: this.options.now() }, all)
    return quotas.filter(({ accountId, bytesPerDay }) => isConfig || bytesPerDay > 0 || changed.has(accountId))
  }

  /** A socket that cannot be served (its name is another one's by now, say) must not hold up all that comes after it. */
  async #tell(step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (thrown) {
      if (!(thrown instanceof GatewayError) || thrown.code !== 'LISTEN_FAILED') throw thrown
      this.options.log.warn({ err: thrown }, 'a socket is not in force')
    }
  }

  #forget(changes: readonly Change[]): void {
    for (const { kind, object_id } of changes) if (kind === 'account') for (const listener of this.#accountListeners) listener(object_id)
  }

  /** Calls `listener` with each account of which somebody says that it has changed, in whichever process. */
  onAccountChange(listener: (accountId: string) => void): void {
    this.#accountListeners.add(listener)
  }

  async #open(socket: DirectorySocket, apply: () => Promise<void>): Promise<void> {
    try {
      await apply()
      this.#failed.delete(socket.id)
      this.#notePort(socket)
    } catch (thrown) {
      if (!(thrown instanceof GatewayError) || thrown.code !== 'LISTEN_FAILED') throw thrown
      this.options.log.warn({ err: thrown, socket: socket.id, port: socket.port }, 'the port of a socket could not be opened')
      this.#failed.set(socket.id, thrown)
    }
  }

  #notePort({ id, port }: DirectorySocket): void {
    if (port !== null) this.#ports.set(id, port)
  }
}
