import type { MessageInfo, RequestDetail, RequestSummary } from '../../inspector/record.ts'

/** The bytes of a body. */
export interface BodyBytes {
  readonly bytes: Buffer
  /** A terminal may show it. */
  readonly isText: boolean
}

/** The outcome of a request that was sent again. */
export interface ReplayResult {
  readonly id: string | null
  readonly status: number | null
  readonly durationMs: number
  readonly error: string | null
}

/** The place that recorded requests come from. Each call rejects with a GatewayError. */
export interface RequestSource {
  /** The newest first. */
  list(filter: string | undefined, limit: number): Promise<readonly RequestSummary[]>
  /** Follows the changes. Resolves when nothing is missed any more. */
  follow(filter: string | undefined, signal: AbortSignal): Promise<AsyncIterable<RequestSummary>>
  detail(id: string): Promise<RequestDetail>
  messages(id: string): Promise<readonly MessageInfo[]>
  body(id: string, side: 'request' | 'response'): Promise<BodyBytes>
  /** The request as a command: curl, fetch or httpie. */
  copy(id: string, form: string): Promise<string>
  replay(id: string, edits: object): Promise<readonly ReplayResult[]>
  /** HAR 1.2, as text. */
  har(filter: string | undefined): Promise<string>
}
