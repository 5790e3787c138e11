/** A recorded request of a socket, and a data plane that has it. */
import type {
  RequestsAnswer,
  RequestsChange,
  RequestsFollowing,
  RequestsQuestion,
  SeenHalf,
  SeenMessage,
  SeenRequest,
} from '../../src/directory/socket-requests.ts'

/** One line of the list. */
export const SEEN: SeenRequest = {
  ...{ id: '1', at: Date.now(), durationMs: 12, isOver: true, scheme: 'https', method: 'POST', host: 'a.edge.example.com', path: '/pay' },
  ...{ kind: 'http', status: 402, error: null, visitor: null, client: '192.0.2.1', requestBytes: 9, responseBytes: 9, type: null },
  ...{ messages: 1, replayOf: null },
}
const half = (text: string): SeenHalf => ({
  fields: [['Content-Type', 'application/json']],
  trailers: [],
  body: {
    ...{ bytes: 9, heldBytes: 9, isCut: false, isComplete: true, type: 'application/json', coding: null, note: null, redactions: 0, text },
    base64: null,
  },
})
const MESSAGE: SeenMessage = {
  ...{ number: 0, at: SEEN.at, from: 'client', type: 'text', bytes: 2, isCut: false, isCompressed: false, text: 'hi', base64: null },
  ...{ code: null, event: null, eventId: null },
}

/** Answers as an outer layer that has recorded it. */
export async function answerSeen({ kind }: RequestsQuestion): Promise<RequestsAnswer> {
  switch (kind) {
    case 'list':
      return { kind, items: [SEEN], next: null }
    case 'messages':
      return { kind, items: [MESSAGE], next: null, dropped: 0 }
    case 'har':
      return { kind, entries: [{ startedDateTime: new Date(SEEN.at).toISOString() }], next: null }
    case 'replay':
      return { kind: 'replayed', results: [{ id: '2', status: 200, durationMs: 3, error: null }] }
    case 'one': {
      const response = { ...half('{"due":"<b>7</b>"}'), status: 402, reason: 'Payment Required' }
      const more = { url: 'https://a.edge.example.com/pay', version: '1.1', requestId: 'r1', interim: [], messagesDropped: 0 }
      const phases = { edge: 1, link: 2, connect: 3, firstByte: 4, body: 2 }
      const close = { code: 1006, reason: '', by: 'client', isClean: false, explanation: 'gone' } as const
      const rest = { phases, close, messageList: [MESSAGE], redacted: ['request field authorization'], canReplay: true }
      return { kind, request: { ...SEEN, ...more, ...rest, request: half('{"sum":7}'), response } }
    }
  }
}

/** Tells of it once, and that it is over. */
export function followSeen(_following: RequestsFollowing, tell: (changes: readonly RequestsChange[]) => void): () => void {
  setImmediate(() => tell([{ type: 'request', request: SEEN }, { type: 'gone', ids: ['0'] }, { type: 'reset' }, { type: 'end' }]))
  return () => undefined
}

/** Tells of it once, and goes on. */
export function watchSeen(_following: RequestsFollowing, tell: (changes: readonly RequestsChange[]) => void): () => void {
  setImmediate(() => tell([{ type: 'request', request: SEEN }]))
  return () => undefined
}
