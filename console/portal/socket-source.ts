import { call, send } from '../api/client.ts'
import { hrefOf } from '../app/route.ts'
import { readLines } from '../requests/read-lines.ts'
import type { Change, RequestSource } from '../requests/source.ts'
import { detailOf, messageOf, summaryOf } from '../../src/client/as-recorded.ts'
import type * as wire from '../../src/client/wire.ts'

const PAGE = 100
const REPLAY_MS = 60_000

/** Records of a socket, in the shapes of an inspector. */
export function socketSource(socketId: string): RequestSource {
  const base = `api/v1/sockets/${encodeURIComponent(socketId)}/requests`
  const pathOf = (id: string, rest = ''): string => `${base}/${encodeURIComponent(id)}${rest}`
  const page = ['requests', socketId]
  // Its bodies come with a record, and are asked for right after it.
  let last: wire.SeenRequestDetail | undefined
  const ask = async (id: string, signal?: AbortSignal): Promise<wire.SeenRequestDetail> => {
    last = await call<wire.SeenRequestDetail>('GET', pathOf(id), { signal })
    return last
  }
  const messages = (id: string, from: number, limit: number, signal?: AbortSignal): Promise<wire.SeenMessages> =>
    call('GET', pathOf(id, `/messages?from=${from}&limit=${Math.min(limit, PAGE)}`), { signal })
  return {
    listHref: query => hrefOf(page, query),
    recordHref: id => hrefOf([...page, id]),
    compareHref: (a, b) => hrefOf([...page, 'compare', a, b]),
    harHref: filter => `${base}/har${filter === '' ? '' : `?filter=${encodeURIComponent(filter)}`}`,
    list: async (filter, cursor, signal) => {
      const query = new URLSearchParams({
        limit: String(PAGE),
        ...(filter !== '' && { filter }),
        ...(cursor !== null && { cursor }),
      })
      const { items, next, missingNodes = 0 } = await call<wire.SeenRequests>('GET', `${base}?${query.toString()}`, { signal })
      return { items: items.map(summaryOf), next, missing: missingNodes }
    },
    follow: async (filter, take, { signal, onOpen }) => {
      const query = filter === '' ? '' : `?filter=${encodeURIComponent(filter)}`
      const stream = await send('GET', `${base}/live${query}`, { signal, timeoutMs: 0 })
      onOpen()
      await readLines<wire.RequestsChange>(stream, change => take(changeOf(change)))
    },
    detail: async (id, signal) => detailOf(await ask(id, signal)),
    body: async (id, side, signal) => {
      const detail = last?.id === id ? last : await ask(id, signal)
      const { text = null, base64 = null } = detail[side]?.body ?? {}
      return bytesOf(text, base64)
    },
    messages: async (id, from, limit, signal) => {
      const { items, next, dropped } = await messages(id, from, limit, signal)
      return { items: items.map(messageOf), next, dropped }
    },
    message: async (id, number) => {
      const [message] = (await messages(id, number, 1)).items
      return bytesOf(message?.text ?? null, message?.base64 ?? null)
    },
    replay: async (id, edits) => (await call<wire.Replayed>('POST', pathOf(id, '/replay'), { body: edits, timeoutMs: REPLAY_MS })).results,
  }
}

function bytesOf(text: string | null, base64: string | null): Uint8Array<ArrayBuffer> {
  return text !== null ? new TextEncoder().encode(text) : Uint8Array.from(atob(base64 ?? ''), letter => letter.charCodeAt(0))
}

const changeOf = (change: wire.RequestsChange): Change =>
  change.type === 'request' ? { ...change, request: summaryOf(change.request) } : change
