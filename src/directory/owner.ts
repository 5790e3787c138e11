import type { LogLine } from '../payload/log-note.ts'
import type { Access, SocketAccess, SocketShare } from '../route/access.ts'
import type { Metered, Owner } from '../route/target.ts'
import type { Quota } from './quota.ts'

/** Sums of one socket over some time. */
export interface Usage {
  readonly socketId: string
  readonly accountId: string
  readonly requests: number
  readonly connections: number
  /** From visitors. */
  readonly bytesIn: number
  /** To visitors. */
  readonly bytesOut: number
}

/** The use of one socket since somebody asked last, the watchers of its visitors, and who may come at the moment. */
export class SocketOwner implements Owner, SocketAccess {
  latest: Access | undefined
  shares: readonly SocketShare[] = []
  #requests = 0
  #connections = 0
  #bytesIn = 0
  #bytesOut = 0
  #isUsed = false
  readonly #watchers = new Set<(line: LogLine) => void>()

  /** @param onUsed  called with the first use after each `take` */
  constructor(
    readonly socketId: string,
    readonly accountId: string,
    private readonly onUsed: (owner: SocketOwner) => void,
    /** Of the account; one object for all of its sockets. */
    private readonly quota?: Quota,
  ) {}

  get isWatched(): boolean {
    return this.#watchers.size > 0
  }

  checkQuota(): void {
    this.quota?.check()
  }

  follow(metered: Metered): (() => void) | undefined {
    return this.quota?.isSet === true ? this.quota.follow(metered) : undefined
  }

  countRequest(bytesIn: number, bytesOut: number): void {
    this.#requests++
    this.#count(bytesIn, bytesOut)
  }

  countConnection(bytesIn: number, bytesOut: number): void {
    this.#connections++
    this.#count(bytesIn, bytesOut)
  }

  tell(line: LogLine): void {
    for (const watcher of this.#watchers) watcher(line)
  }

  /** Tells `watcher` of every visitor from now on, until the returned function is called. */
  watch(watcher: (line: LogLine) => void): () => void {
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
  }

  /** The sums since the last call. */
  take(): Usage {
    const { socketId, accountId } = this
    const usage = {
      socketId,
      accountId,
      requests: this.#requests,
      connections: this.#connections,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    }
    this.#requests = this.#connections = this.#bytesIn = this.#bytesOut = 0
    this.#isUsed = false
    return usage
  }

  #count(bytesIn: number, bytesOut: number): void {
    this.#bytesIn += bytesIn
    this.#bytesOut += bytesOut
    this.quota?.count(bytesIn + bytesOut)
    if (this.#isUsed) return
    this.#isUsed = true
    this.onUsed(this)
  }
}
