import { GatewayError } from '../../errors.ts'
import type { ExchangeTap, Taps, TapStart } from '../../tap/tap.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import { Inspector, type InspectorListener, type InspectorOptions } from '../inspector.ts'
import { BudgetPool } from '../kept/budget.ts'

/** Accounts of which something is kept at a time. */
const MAX_ACCOUNTS = 1_000
/** An account of which nothing has come for so long makes room for another, milliseconds. */
const QUIET_MS = 600_000
/** The longest that something is kept, milliseconds. */
const KEPT_MS = 3_600_000
const LOOK_MS = 60_000

/** Options of the inspectors of sockets. */
export interface SocketInspectorsOptions extends Pick<
  InspectorOptions,
  'bodyLimitBytes' | 'names' | 'clock' | 'nowMs' | 'onFault' | 'tag'
> {
  /** Memory of all accounts together, bytes. */
  readonly budgetBytes: number
  /** Most that one account may have of it, bytes. */
  readonly accountBytes: number
  /** Does the owner of a socket want it still? Undefined: the socket is gone. */
  readonly isInspected: (socketId: string) => boolean | undefined
}

/** One record of one socket. */
interface RecordPlace {
  readonly accountId: string
  readonly socketId: string
  readonly requestId: string
}

/** The records of one account. */
interface Kept {
  readonly inspector: Inspector
  /** Of the last request, milliseconds since 1970. */
  lastMs: number
}

/**
 * Records what comes to sockets of the service, for their owners: each account has an inspector of its own, within a budget, so that nobody
 * sees or pushes out what is another's.
 */
export class SocketInspectors implements Taps {
  readonly #accounts = new Map<string, Kept>()
  /** Those who follow an account, whether anything of it is kept or not. */
  readonly #listeners = new Map<string, Set<InspectorListener>>()
  readonly #pool: BudgetPool
  readonly #timer: NodeJS.Timeout

  constructor(readonly options: SocketInspectorsOptions) {
    this.#pool = new BudgetPool(options.budgetBytes)
    this.#timer = setInterval(() => this.tidy(), LOOK_MS).unref()
  }

  /** Memory that is held, bytes. */
  get heldBytes(): number {
    return this.#pool.heldBytes
  }

  open(start: TapStart): ExchangeTap | undefined {
    if (start.owner === undefined) return undefined
    try {
      return this.#of(start.owner.accountId)?.open(start)
    } catch (thrown) {
      this.options.onFault(thrown)
      return undefined
    }
  }

  /** Records of a socket of an account, the newest first. */
  *newestFirst(accountId: string, socketId: string): Generator<ExchangeRecord> {
    const { isInspected, nowMs } = this.options
    if (isInspected(socketId) !== true) return
    const oldest = nowMs() - KEPT_MS
    for (const record of this.#accounts.get(accountId)?.inspector.newestFirst() ?? [])
      if (record.start.socketId === socketId && record.start.at > oldest) yield record
  }

  /** @throws GatewayError NOT_FOUND */
  find({ accountId, socketId, requestId }: RecordPlace): ExchangeRecord {
    const { isInspected, nowMs } = this.options
    const record = isInspected(socketId) === true ? this.#accounts.get(accountId)?.inspector.get(requestId) : undefined
    if (record === undefined || record.start.socketId !== socketId || record.start.at <= nowMs() - KEPT_MS)
      throw new GatewayError('NOT_FOUND', 'this request is not kept, or not any more; see the list of requests')
    return record
  }

  /** The records of an account; undefined: there are none. */
  inspectorOf(accountId: string): Inspector | undefined {
    return this.#accounts.get(accountId)?.inspector
  }

  /** Tells of the records of an account, now and later. @returns ends it */
  listen(accountId: string, listener: InspectorListener): () => void {
    const those = this.#listeners.get(accountId) ?? new Set()
    this.#listeners.set(accountId, those.add(listener))
    return () => {
      those.delete(listener)
      if (those.size === 0 && this.#listeners.get(accountId) === those) this.#listeners.delete(accountId)
    }
  }

  /** Forgets what is too old, and what its owner does not want any more. */
  tidy(): void {
    try {
      const { isInspected, nowMs } = this.options
      const oldest = nowMs() - KEPT_MS
      for (const [accountId, { inspector }] of this.#accounts) {
        const all = [...inspector.newestFirst()]
        const gone = all.filter(({ start: { at, socketId = '' } }) => at <= oldest || isInspected(socketId) !== true)
        for (const record of gone) inspector.delete(record)
        if (gone.length === all.length) this.#forget(accountId)
      }
    } catch (thrown) {
      this.options.onFault(thrown)
    }
  }

  /** Forgets everything. */
  close(): Promise<void> {
    clearInterval(this.#timer)
    for (const accountId of [...this.#accounts.keys()]) this.#forget(accountId)
    return Promise.resolve()
  }

  /** @returns undefined when there are too many others of which something has come lately */
  #of(accountId: string): Inspector | undefined {
    const now = this.options.nowMs()
    let kept = this.#accounts.get(accountId)
    if (kept === undefined) {
      if (this.#accounts.size >= MAX_ACCOUNTS && !this.#dropQuiet(now)) return undefined
      const { accountBytes, isInspected: _, ...options } = this.options
      kept = { inspector: new Inspector({ ...options, layer: 'outer', budgetBytes: accountBytes, pool: this.#pool }), lastMs: now }
      kept.inspector.listen({
        changed: record => {
          for (const listener of this.#listeners.get(accountId) ?? []) listener.changed(record)
        },
        gone: ids => {
          for (const listener of this.#listeners.get(accountId) ?? []) listener.gone(ids)
        },
      })
      this.#accounts.set(accountId, kept)
    }
    kept.lastMs = now
    return kept.inspector
  }

  #dropQuiet(now: number): boolean {
    for (const [accountId, { lastMs }] of this.#accounts)
      if (lastMs <= now - QUIET_MS) {
        this.#forget(accountId)
        return true
      }
    return false
  }

  #forget(accountId: string): void {
    this.#accounts.get(accountId)?.inspector.close()
    this.#accounts.delete(accountId)
  }
}
