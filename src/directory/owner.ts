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

/** The way to other processes at which visitors of the same sockets come in. */
export interface OtherPlaces {
  /** Tells who comes to a socket there, and where nothing is known of that. @returns ends it; undefined: there are none */
  watch: ((socketId: string, tell: (line: LogLine) => void) => () => void) | undefined
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
  /** Watchers at other processes, which are told of visitors of this one alone. */
  readonly #far = new Set<(line: LogLine) => void>()
  /** Ends what other processes tell. */
  #leave: (() => void) | undefined
  /** The last line that says that some of them do not answer. */
  #missing: LogLine | undefined

  /** @param onUsed  called with the first use after each `take` */
  constructor(
    readonly socketId: string,
    readonly accountId: string,
    private readonly onUsed: (owner: SocketOwner) => void,
    /** Of the account; one object for all of its sockets. */
    private readonly quota?: Quota,
    private readonly elsewhere?: OtherPlaces,
  ) {}

  get isWatched(): boolean {
    return this.#watchers.size + this.#far.size > 0
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
    this.#tellHere(line)
    for (const watcher of this.#far) watcher(line)
  }

  /** Tells `watcher` of every visitor from now on, at whichever process they come in, until the returned function is called. */
  watch(watcher: (line: LogLine) => void): () => void {
    this.#watchers.add(watcher)
    if (this.#missing !== undefined) watcher(this.#missing)
    this.#leave ??= this.elsewhere?.watch?.(this.socketId, line => this.#heard(line))
    return () => {
      this.#watchers.delete(watcher)
      if (this.#watchers.size > 0) return
      this.#leave?.()
      this.#leave = this.#missing = undefined
    }
  }

  /** The same for a watcher at another process, which is told of visitors of this one alone. */
  watchHere(watcher: (line: LogLine) => void): () => void {
    this.#far.add(watcher)
    return () => void this.#far.delete(watcher)
  }

  /** Visitors that came in elsewhere: each process tells of its own. */
  #heard(line: LogLine): void {
    if (line.kind === 'missing') this.#missing = line.count > 0 ? line : undefined
    this.#tellHere(line)
  }

  #tellHere(line: LogLine): void {
    for (const watcher of this.#watchers) watcher(line)
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
