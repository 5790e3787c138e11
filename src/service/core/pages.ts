/** Lists page by page: by time and id, so that what comes and goes meanwhile moves nothing. */
import type { PageRequest } from '../contract.ts'
import { invalid } from '../input/service-error.ts'
import type { Page } from '../model.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 100

/** The last item of a page. */
export interface Cursor {
  readonly at: number
  readonly id: string
}

/** Reads what somebody wants of a list. @throws ServiceError INVALID */
export function readCursor({ cursor, limit = DEFAULT_LIMIT }: PageRequest): { readonly limit: number; readonly after: Cursor | undefined } {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw invalid({ path: 'limit', message: `expected a whole number from 1 to ${MAX_LIMIT}` })
  if (cursor === undefined) return { limit, after: undefined }
  const [, at, id] =
    (typeof cursor === 'string' && /^(\d{1,15})\.([\w-]{1,40})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'))) || []
  if (at === undefined || id === undefined) throw invalid({ path: 'cursor', message: 'expected the value of "next" of the page before' })
  return { limit, after: { at: Number(at), id } }
}

/** Makes a page. @param rows  one more than `limit`, where there are more */
export function pageOf<Row, T>(rows: readonly Row[], limit: number, itemOf: (row: Row) => T, cursorOf: (row: Row) => Cursor): Page<T> {
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1) : undefined
  return { items: shown.map(itemOf), next: last === undefined ? null : nextOf(cursorOf(last)) }
}

export const nextOf = ({ at, id }: Cursor): string => Buffer.from(`${at}.${id}`).toString('base64url')
