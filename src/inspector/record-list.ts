import type { ExchangeRecord } from './exchange-record.ts'

/** Gaps at the front that are removed together. */
const MAX_GAP = 1_024

/** Records in the order in which they began, found by id. */
export class RecordList {
  #items: (ExchangeRecord | undefined)[] = []
  /** Places at the front of `#items` that are empty. */
  #first = 0
  readonly #byId = new Map<string, ExchangeRecord>()

  get size(): number {
    return this.#byId.size
  }

  get(id: string): ExchangeRecord | undefined {
    return this.#byId.get(id)
  }

  add(record: ExchangeRecord): void {
    this.#items.push(record)
    this.#byId.set(record.id, record)
  }

  delete(record: ExchangeRecord): void {
    if (!this.#byId.delete(record.id)) return
    const at = this.#items.indexOf(record, this.#first)
    this.#items[at] = undefined
    while (this.#first < this.#items.length && this.#items[this.#first] === undefined) this.#first++
    if (this.#first < MAX_GAP && this.#first < this.#items.length) return
    this.#items = this.#items.slice(this.#first)
    this.#first = 0
  }

  /** Forgets all of them. */
  clear(): void {
    this.#items = []
    this.#first = 0
    this.#byId.clear()
  }

  /** The oldest record that fulfils the condition. */
  oldest(isWanted: (record: ExchangeRecord) => boolean): ExchangeRecord | undefined {
    for (let i = this.#first; i < this.#items.length; i++) {
      const record = this.#items[i]
      if (record !== undefined && isWanted(record)) return record
    }
    return undefined
  }

  /** From the newest to the oldest. */
  *newestFirst(): Generator<ExchangeRecord> {
    for (let i = this.#items.length - 1; i >= this.#first; i--) {
      const record = this.#items[i]
      if (record !== undefined) yield record
    }
  }
}
