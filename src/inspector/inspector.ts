import type { ExchangeTap, Taps, TapStart } from '../tap/tap.ts'
import type { BodyContext } from './body-record.ts'
import { Budget, type BudgetPool } from './kept/budget.ts'
import { OwnTexts } from './kept/own-texts.ts'
import { ExchangeRecord, type RecordStart } from './exchange-record.ts'
import { Decoders } from './decoder.ts'
import { SecretNames } from './redact/secret-names.ts'
import { RecordList } from './record-list.ts'
import type { InspectorState } from './kept/record.ts'
import { Recorder, type RecorderContext } from './recorder.ts'

/** Most records, whatever they weigh. */
const MAX_RECORDS = 50_000

/** Options of an inspector. */
export interface InspectorOptions {
  readonly layer: 'inner' | 'outer'
  /** Memory for records, bytes. */
  readonly budgetBytes: number
  /** Memory that several inspectors share; undefined: it is this one's alone. */
  readonly pool?: BudgetPool | undefined
  /** Most that is kept of one body, bytes. */
  readonly bodyLimitBytes: number
  /** Which names have values that are not kept; default: what usually has secrets. */
  readonly names?: SecretNames
  /** Text behind each id, where several processes record what is shown together; default: none. */
  readonly tag?: string
  /** Bytes of connections that are no HTTP are kept, which nobody can redact. */
  readonly keepsBytes?: boolean
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** A fault of ours while looking, which changes nothing for the exchange. */
  readonly onFault: (thrown: unknown) => void
}

/** Told of changes of records. */
export interface InspectorListener {
  /** A record is new, or has changed. */
  changed(record: ExchangeRecord): void
  /** Records up to this one are gone. */
  gone(ids: readonly string[]): void
}

/** Keeps what the taps of a layer see, within a budget of memory; the oldest goes first. */
export class Inspector implements Taps {
  readonly #records = new RecordList()
  readonly #budget: Budget
  readonly #listeners = new Set<InspectorListener>()
  readonly #context: RecorderContext
  /** The state of what keeps records on disk; undefined: nothing does. */
  store: (() => InspectorState['store']) | undefined
  #lastAt = 0
  #idOfTime = ''
  #sequence = 0
  #seen = 0
  #dropped = 0

  constructor(readonly options: InspectorOptions) {
    this.#budget = new Budget(options.budgetBytes, () => this.#dropOldest(), options.pool)
    const { names = new SecretNames(), keepsBytes = false } = options
    this.#context = {
      ...options,
      names,
      keepsBytes,
      texts: new OwnTexts(),
      decoders: new Decoders(),
      changed: record => this.#changed(record),
    }
  }

  get state(): InspectorState {
    const { layer, budgetBytes, bodyLimitBytes } = this.options
    return {
      layer,
      budgetBytes,
      heldBytes: this.#budget.heldBytes,
      bodyLimitBytes,
      requests: this.#records.size,
      seen: this.#seen,
      dropped: this.#dropped,
      store: this.store?.() ?? null,
    }
  }

  open(start: TapStart): ExchangeTap | undefined {
    try {
      this.#seen++
      const recorder = new Recorder(start, this.#nextId(), this.#budget, this.#context)
      if (!this.#add(recorder.record)) return undefined
      return recorder
    } catch (thrown) {
      this.options.onFault(thrown)
      return undefined
    }
  }

  /** Adds a record of an earlier process, with the id that it had. @returns undefined when there is no room, or it is there already */
  restore(start: RecordStart): ExchangeRecord | undefined {
    if (this.#records.get(start.id) !== undefined) return undefined
    const record = new ExchangeRecord(start, this.#budget)
    return this.#add(record) ? record : undefined
  }

  /** All of a restored record is there. */
  restored(record: ExchangeRecord): void {
    this.#records.settle(record)
  }

  /** Parts that restored bodies have in common with others. */
  get bodies(): BodyContext {
    return this.#context
  }

  get(id: string): ExchangeRecord | undefined {
    return this.#records.get(id)
  }

  newestFirst(): Iterable<ExchangeRecord> {
    return this.#records.newestFirst()
  }

  delete(record: ExchangeRecord): void {
    this.#forget(record)
    this.#gone([record.id])
  }

  /** Is never used again: what it holds does not count for others any more. */
  close(): void {
    this.clear()
    this.#budget.close()
  }

  /** Forgets all records; what is under way is not recorded any more. */
  clear(): void {
    const all = [...this.#records.newestFirst()]
    this.#records.clear()
    for (const record of all) record.release()
    this.#gone(all.map(({ id }) => id))
  }

  /** @returns ends it */
  listen(listener: InspectorListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Ids rise with time, also in the order of texts. */
  #nextId(): string {
    const at = this.options.nowMs()
    if (at > this.#lastAt) {
      this.#lastAt = at
      this.#sequence = 0
      this.#idOfTime = at.toString(36).padStart(9, '0')
    } else this.#sequence++
    return this.#idOfTime + this.#sequence.toString(36).padStart(4, '0') + (this.options.tag ?? '')
  }

  #add(record: ExchangeRecord): boolean {
    while (this.#records.size >= MAX_RECORDS && this.#dropOldest());
    if (this.#records.size >= MAX_RECORDS || !this.#budget.mayHold(0)) {
      this.#dropped++
      record.release()
      return false
    }
    this.#records.add(record)
    this.#changed(record)
    return true
  }

  #dropOldest(): boolean {
    const oldest = this.#records.oldestSettled
    if (oldest === undefined) return false
    this.#dropped++
    this.delete(oldest)
    return true
  }

  #forget(record: ExchangeRecord): void {
    this.#records.delete(record)
    record.release()
  }

  #changed(record: ExchangeRecord): void {
    if (record.isGone) return
    if (record.isSettled) this.#records.settle(record)
    if (this.#listeners.size === 0) return
    for (const listener of this.#listeners) listener.changed(record)
  }

  #gone(ids: readonly string[]): void {
    for (const listener of this.#listeners) listener.gone(ids)
  }
}
