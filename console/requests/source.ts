import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import { call, send } from '../api/client.ts'
import { hrefOf } from '../app/route.ts'
import { readLines } from './read-lines.ts'
import type { InspectorState, MessageInfo, ReplayResult, RequestDetail, RequestSummary } from './records.ts'

/** Nodes of a cluster that do not answer, by name; for owners of sockets their number alone. */
export type MissingNodes = number | readonly string[]

/** Changes of the list of records. */
export type Change =
  | { readonly type: 'request'; readonly request: RequestSummary }
  | { readonly type: 'gone'; readonly ids: readonly string[] }
  /** The list has to be asked for again. */
  | { readonly type: 'reset' }
  | { readonly type: 'nodes'; readonly missing: MissingNodes }
  | { readonly type: 'state'; readonly state: InspectorState }

/** A page of the list, newest first. */
export interface RequestPage {
  readonly items: readonly RequestSummary[]
  readonly next: string | null
  readonly missing?: MissingNodes
}

/** A page of messages, oldest first. */
export interface MessagePage {
  readonly items: readonly MessageInfo[]
  readonly next: number | null
  readonly dropped: number
}

/** The place that recorded requests come from: an inspector, or a socket of a service. Each call rejects with an ApiFault. */
export interface RequestSource {
  /** The address of its list, of one record, and of two side by side. */
  readonly listHref: (query?: Readonly<Record<string, string>>) => string
  readonly recordHref: (id: string) => string
  readonly compareHref: (a: string, b: string) => string
  readonly harHref: (filter: string) => string
  readonly list: (filter: string, cursor: string | null, signal: AbortSignal) => Promise<RequestPage>
  /** Tells what changes, until that ends. @param onOpen  from now on nothing is missed */
  readonly follow: (
    filter: string,
    take: (change: Change) => void,
    waits: { readonly signal: AbortSignal; readonly onOpen: () => void },
  ) => Promise<void>
  readonly detail: (id: string, signal?: AbortSignal) => Promise<RequestDetail>
  readonly body: (id: string, side: 'request' | 'response', signal?: AbortSignal) => Promise<Uint8Array<ArrayBuffer>>
  readonly messages: (id: string, from: number, limit: number, signal?: AbortSignal) => Promise<MessagePage>
  readonly message: (id: string, number: number) => Promise<Uint8Array<ArrayBuffer>>
  readonly replay: (id: string, edits: object) => Promise<readonly ReplayResult[]>
  /** Absent: this one cannot. */
  readonly forget?: (id: string) => Promise<unknown>
  readonly clear?: () => Promise<unknown>
  readonly importHar?: (file: unknown) => Promise<unknown>
}

const REPLAY_MS = 120_000
const IMPORT_MS = 60_000

const pathOf = (id: string, rest = ''): string => `inspector/requests/${encodeURIComponent(id)}${rest}`

const bytesAt = async (path: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await (await send('GET', path, { signal })).arrayBuffer())

const filterIn = (filter: string): string => (filter === '' ? '' : `filter=${encodeURIComponent(filter)}`)

/** Rows that a page of the list has. */
const PAGE = 1_000

/** The inspector of the port that served the page. */
export const INSPECTOR: RequestSource = {
  listHref: query => hrefOf(['requests'], query),
  recordHref: id => hrefOf(['requests', id]),
  compareHref: (a, b) => hrefOf(['compare', a, b]),
  harHref: filter => `inspector/har?${filterIn(filter)}`,
  list: (filter, cursor, signal) =>
    call('GET', `inspector/requests?limit=${PAGE}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}&${filterIn(filter)}`, {
      signal,
    }),
  follow: async (filter, take, { signal, onOpen }) => {
    const stream = await send('GET', `inspector/requests/stream?${filterIn(filter)}`, { signal, timeoutMs: 0 })
    onOpen()
    await readLines(stream, take)
  },
  detail: (id, signal) => call('GET', pathOf(id), { signal }),
  body: (id, side, signal) => bytesAt(pathOf(id, `/${side}-body`), signal),
  messages: (id, from, limit, signal) => call('GET', pathOf(id, `/messages?from=${from}&limit=${limit}`), { signal }),
  message: (id, number) => bytesAt(pathOf(id, `/messages/${number}`)),
  replay: async (id, edits) => {
    const options = { body: edits, timeoutMs: REPLAY_MS }
    return (await call<{ readonly results: readonly ReplayResult[] }>('POST', pathOf(id, '/replay'), options)).results
  },
  forget: id => call('DELETE', pathOf(id)),
  clear: () => call('DELETE', 'inspector/requests'),
  importHar: file => call('POST', 'inspector/har', { body: file, timeoutMs: IMPORT_MS }),
}

const SourceContext = createContext<RequestSource>(INSPECTOR)

/** Says where the pages within get their records. */
export const RequestSourceProvider = SourceContext.Provider

/** Where this page gets its records. */
export const useSource = (): RequestSource => useContext(SourceContext)
