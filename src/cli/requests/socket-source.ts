import { detailOf, messageOf, summaryOf } from '../../client/as-recorded.ts'
import type { ServiceClient } from '../../client/service-client.ts'
import type { RequestsChange, SeenRequest, SeenRequestDetail } from '../../client/seen-requests.ts'
import { GatewayError } from '../../errors.ts'
import type { MessageInfo, RequestDetail, RequestSummary } from '../../inspector/record.ts'
import { copyRequestAs } from '../../inspector/view/copy-as.ts'
import type { BodyBytes, ReplayResult, RequestSource } from './request-source.ts'

const PAGE = 100
const MAX_MESSAGES = 1_000

/** Requests of a socket of the service, recorded for its owner. */
export class SocketSource implements RequestSource {
  constructor(
    private readonly client: ServiceClient,
    private readonly socketId: string,
  ) {}

  async list(filter: string | undefined, limit: number): Promise<readonly RequestSummary[]> {
    const items: SeenRequest[] = []
    let cursor: string | null | undefined
    while (items.length < limit && cursor !== null) {
      const page = { limit: Math.min(PAGE, limit - items.length), ...(filter !== undefined && { filter }), ...(cursor && { cursor }) }
      const { items: some, next } = await this.client.requests(this.socketId, page)
      items.push(...some)
      cursor = next
    }
    return items.map(summaryOf)
  }

  async follow(filter: string | undefined, signal: AbortSignal): Promise<AsyncIterable<RequestSummary>> {
    let onOpen: () => void = () => undefined
    const opened = new Promise<void>(resolve => (onOpen = resolve))
    const changes = this.client.liveRequests(this.socketId, filter, signal, onOpen)
    const first = changes.next()
    await Promise.race([opened, first])
    return this.#changed(filter, changes, first)
  }

  async *#changed(
    filter: string | undefined,
    changes: AsyncGenerator<RequestsChange, void, undefined>,
    first: Promise<IteratorResult<RequestsChange, void>>,
  ): AsyncGenerator<RequestSummary> {
    for (let next = await first; next.done !== true; next = await changes.next()) {
      const change = next.value
      if (change.type === 'request') yield summaryOf(change.request)
      // There was more than could be told.
      else if (change.type === 'reset') yield* [...(await this.list(filter, PAGE))].reverse()
    }
  }

  async detail(id: string): Promise<RequestDetail> {
    return detailOf(await this.client.request(this.socketId, id))
  }

  async messages(id: string): Promise<readonly MessageInfo[]> {
    const items: MessageInfo[] = []
    for (let from: number | null = 0; from !== null && items.length < MAX_MESSAGES;) {
      const page = await this.client.messages(this.socketId, id, { from, limit: PAGE })
      items.push(...page.items.map(messageOf))
      from = page.next
    }
    return items
  }

  async body(id: string, side: 'request' | 'response'): Promise<BodyBytes> {
    return bodyOf(await this.client.request(this.socketId, id), side)
  }

  async copy(id: string, form: string): Promise<string> {
    const detail = await this.client.request(this.socketId, id)
    const { method, url, request } = detail
    const body = request.body.heldBytes === 0 ? undefined : bodyOf(detail, 'request').bytes
    return copyRequestAs(form, { method, url, fields: request.fields, body, isCoded: request.body.coding === null })
  }

  async replay(id: string, edits: object): Promise<readonly ReplayResult[]> {
    return (await this.client.replay(this.socketId, id, edits)).results
  }

  async har(filter: string | undefined): Promise<string> {
    return JSON.stringify(await this.client.har(this.socketId, { filter }))
  }
}

function bodyOf(detail: SeenRequestDetail, side: 'request' | 'response'): BodyBytes {
  const body = detail[side]?.body
  if (body === undefined || (body.text === null && body.base64 === null)) throw new GatewayError('NOT_FOUND', 'nothing of it is kept')
  return body.text === null
    ? { bytes: Buffer.from(body.base64 ?? '', 'base64'), isText: false }
    : { bytes: Buffer.from(body.text), isText: true }
}
