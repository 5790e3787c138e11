import type { ExchangeRecord } from './exchange-record.ts'

/** Records in the order in which they began, found by id; and those of which nothing changes any more, in the order in which that came. */
export class RecordList {
  readonly #byId = new Map<string, ExchangeRecord>()
  #last: ExchangeRecord | undefined
  #firstSettled: ExchangeRecord | undefined
  #lastSettled: ExchangeRecord | undefined

  get size(): number {
    return this.#byId.size
  }

  get(id: string): ExchangeRecord | undefined {
    return this.#byId.get(id)
  }

  /** Puts it behind all that began before: one that was kept by an earlier process may come after newer ones. */
  add(record: ExchangeRecord): void {
    let behind: ExchangeRecord | undefined
    let before = this.#last
    while (before !== undefined && before.id > record.id) {
      behind = before
      before = before.links.before
    }
    const { links } = record
    links.before = before
    links.behind = behind
    if (before !== undefined) before.links.behind = record
    if (behind === undefined) this.#last = record
    else behind.links.before = record
    this.#byId.set(record.id, record)
  }

  /** Nothing of it changes any more. */
  settle(record: ExchangeRecord): void {
    const { links } = record
    if (links.isSettled || this.#byId.get(record.id) !== record) return
    links.isSettled = true
    links.settledBefore = this.#lastSettled
    if (this.#lastSettled === undefined) this.#firstSettled = record
    else this.#lastSettled.links.settledBehind = record
    this.#lastSettled = record
  }

  delete(record: ExchangeRecord): void {
    if (this.#byId.get(record.id) !== record) return
    this.#byId.delete(record.id)
    const { links } = record
    const { before, behind, settledBefore, settledBehind } = links
    if (before !== undefined) before.links.behind = behind
    if (behind === undefined) this.#last = before
    else behind.links.before = before
    links.before = links.behind = undefined
    if (!links.isSettled) return
    if (settledBefore === undefined) this.#firstSettled = settledBehind
    else settledBefore.links.settledBehind = settledBehind
    if (settledBehind === undefined) this.#lastSettled = settledBefore
    else settledBehind.links.settledBefore = settledBefore
    links.settledBefore = links.settledBehind = undefined
  }

  /** Forgets all of them. */
  clear(): void {
    for (const { links } of this.#byId.values()) links.before = links.behind = links.settledBefore = links.settledBehind = undefined
    this.#byId.clear()
    this.#last = this.#firstSettled = this.#lastSettled = undefined
  }

  /** The one that has not changed for the longest time; undefined: all are under way. */
  get oldestSettled(): ExchangeRecord | undefined {
    return this.#firstSettled
  }

  /** From the newest to the oldest. */
  *newestFirst(): Generator<ExchangeRecord> {
    for (let record = this.#last; record !== undefined;) {
      const { before } = record.links
      yield record
      record = before
    }
  }
}
