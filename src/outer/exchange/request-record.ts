import { ERRORS, type ErrorCode } from '../../errors.ts'
import type { AcceptedRequest } from '../../http/admission.ts'
import type { Client } from '../../http/client.ts'
import { valuesOf } from '../../http/fields.ts'
import { loggedPath } from '../../http/logged-path.ts'
import { MAX_LOG_TEXT } from '../../payload/log-note.ts'
import { visitorName, type Visitor } from '../../route/access.ts'
import type { Owner, Target } from '../../route/target.ts'
import type { AccessRecord } from '../../telemetry/access-log.ts'
import type { RequestSpan, Tracing } from '../../telemetry/tracing.ts'
import type { TapStart } from '../../tap/tap.ts'
import type { EdgeRequest } from './edge-request.ts'
import type { Seen } from './request-plan.ts'
import { spanAttributes, spanOf } from './request-span.ts'

/** The part of the context that records depend on. */
export interface RecordContext {
  /** A fresh request id. */
  readonly nextId: () => string
  /** Milliseconds, rising. */
  readonly clock: () => number
  readonly access: (record: AccessRecord) => void
  /** Undefined: nobody traces. */
  readonly tracing: Tracing | undefined
}

/** Where the answer came from, and what of it left. */
export interface RecordEnd {
  /** Bytes of the body that went to the client. */
  readonly bytesOut: number
  /** When the answer began; undefined: it did not. */
  readonly answeredMs: number | undefined
  readonly identifier: string | undefined
  /** Attempts that have failed; undefined for none. */
  readonly repeats: number | undefined
}

/** All that the access log, the metrics and the trace get to know of one request. */
export class RequestRecord implements Seen {
  readonly id: string
  readonly startedMs: number
  readonly span: RequestSpan | undefined
  request: AcceptedRequest | undefined
  client: Client | undefined
  target: Target | undefined
  visitor: Visitor | undefined
  /** Bytes of the body that the client has sent. */
  bytesIn = 0
  error: ErrorCode | undefined
  reason: string | undefined

  constructor(
    private readonly context: RecordContext,
    private readonly call: Pick<EdgeRequest, 'request' | 'peer' | 'hasHead' | 'status'>,
  ) {
    this.id = context.nextId()
    this.startedMs = context.clock()
    this.span = context.tracing?.start(spanOf(call.request))
  }

  /** The request is over; called once. */
  end({ bytesOut, answeredMs, identifier, repeats }: RecordEnd): void {
    const { call, request, startedMs, error } = this
    const owner = this.target?.owner
    const record: AccessRecord = {
      requestId: this.id,
      client: this.client?.address ?? call.peer.address,
      host: request?.host ?? valuesOf(call.request.fields, 'host')[0] ?? '',
      method: call.request.method,
      path: loggedPath(call.request.target),
      status: call.hasHead ? call.status : ERRORS[error ?? 'CANCELLED'].status,
      bytesIn: this.bytesIn,
      bytesOut,
      durationMs: this.context.clock() - startedMs,
      firstByteMs: answeredMs === undefined ? undefined : answeredMs - startedMs,
      target: this.target?.name,
      // Members always: leaving one out by a spread costs as much as all others.
      isOfSocket: owner === undefined ? undefined : true,
      visitor: this.#visitorName,
      identifier,
      repeats,
      error,
      reason: this.reason,
    }
    this.context.access(record)
    if (owner !== undefined) this.#count(owner, record)
    this.span?.end({ status: call.hasHead ? call.status : 0, error, attributes: spanAttributes(record) })
  }

  /** Undefined where the target does not ask. */
  get #visitorName(): string | undefined {
    if (this.target?.treatment?.access === undefined) return undefined
    return this.visitor === undefined ? '-' : visitorName(this.visitor)
  }

  /** For the owner of the socket. */
  #count(owner: Owner, { client, method, path, status, bytesIn, bytesOut, durationMs, visitor }: AccessRecord): void {
    owner.countRequest(bytesIn, bytesOut)
    if (!owner.isWatched) return
    const { fields, httpVersion } = this.call.request
    const shown = (text = ''): string => text.slice(0, MAX_LOG_TEXT)
    owner.tell({
      kind: 'request',
      at: Date.now() - durationMs,
      client,
      method: shown(method),
      path: shown(path),
      version: httpVersion,
      status,
      bytes: bytesOut,
      // Without its query, as the path: that of another page has secrets as well.
      referer: shown(withoutQuery(valuesOf(fields, 'referer')[0])),
      agent: shown(valuesOf(fields, 'user-agent')[0]),
      durationMs,
      ...(visitor !== undefined && { visitor: shown(visitor) }),
    })
  }
}

const withoutQuery = (url = ''): string => {
  const at = [url.indexOf('?'), url.indexOf('#')].filter(index => index >= 0)
  return at.length === 0 ? url : url.slice(0, Math.min(...at))
}

/** A request as whoever looks at it sees it: as the client has sent it. */
export function edgeStart({ request, peer }: EdgeRequest, { id, startedMs, client, target, request: accepted }: RequestRecord): TapStart {
  const { method, target: path, httpVersion, fields } = request
  return {
    kind: 'http',
    scheme: client?.scheme === 'https' ? 'https' : 'http',
    authority: accepted?.host ?? '',
    method,
    path,
    version: httpVersion,
    fields,
    startedMs,
    requestId: id,
    client: client?.address ?? peer.address,
    target: target?.name,
    owner: target?.owner,
    way: EDGE,
  }
}

/** The way to send it again: as every client does. */
const EDGE = Object.freeze({ isEdge: true })
