import type { ExchangeRecord } from '../exchange-record.ts'
import type { Inspector } from '../inspector.ts'
import type { RequestSummary } from '../record.ts'

/** A page of the list. */
export interface RequestPage {
  readonly items: RequestSummary[]
  /** Where the next page begins; null: there is none. */
  readonly next: string | null
}

/** The wishes for a page of the list. */
export interface PageWish {
  readonly matches: (record: ExchangeRecord) => boolean
  readonly limit: number
  /** Only records that are older than this id. */
  readonly before: string | undefined
}

/** Lists records, newest first. */
export function listRequests(inspector: Inspector, { matches, limit, before }: PageWish): RequestPage {
  const items: RequestSummary[] = []
  for (const record of inspector.newestFirst()) {
    if ((before !== undefined && record.id >= before) || !matches(record)) continue
    if (items.length === limit) return { items, next: items[limit - 1]!.id }
    items.push(record.summary)
  }
  return { items, next: null }
}
