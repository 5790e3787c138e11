import type { TapEnd, TapStart } from '../tap/tap.ts'
import { NO_BODY_INFO, type BodyRecord } from './body-record.ts'
import type { Budget, Holder } from './kept/budget.ts'
import type { Slabs } from './kept/slabs.ts'
import { fieldIn, namedValues } from './kept/fields-text.ts'
import type { CloseInfo, ExchangeKind, InterimAnswer, Phases, RequestDetail, RequestSummary } from './kept/record.ts'
import type { MessageLog } from './kept/message-log.ts'

/** Memory of a record without its texts and bytes, about. */
const RECORD_BYTES = 1_500
const NOTHING_REDACTED: ReadonlySet<string> = new Set()
const NO_INTERIM: readonly InterimAnswer[] = []

/** The begin of an exchange, redacted and in texts of its own. */
export interface RecordStart extends Omit<TapStart, 'fields' | 'startedMs' | 'kind' | 'owner'> {
  readonly id: string
  readonly kind: ExchangeKind
  /** Milliseconds since 1970. */
  readonly at: number
  /** Of a rising clock. */
  readonly startedMs: number
  /** As `fieldsText` makes it. */
  readonly fields: string
  /** Of the service, that it came to. */
  readonly socketId?: string | undefined
}

/** An answer as far as it is there. */
export interface RecordedAnswer {
  readonly status: number
  readonly reason: string
  readonly fields: string
}

/** When what happened, of a rising clock; undefined: it did not, or not here. */
export interface RecordTimes {
  dispatchedMs?: number
  connectedMs?: number
  linkMs?: number
  headMs?: number
  endMs?: number
}

/** The neighbours of a record in a list, and among those that have settled. */
export interface RecordLinks {
  before: ExchangeRecord | undefined
  behind: ExchangeRecord | undefined
  isSettled: boolean
  settledBefore: ExchangeRecord | undefined
  settledBehind: ExchangeRecord | undefined
}

/** Everything that is kept of one exchange. */
export class ExchangeRecord implements Holder {
  kind: ExchangeKind
  readonly times: RecordTimes = {}
  requestBody: BodyRecord | undefined
  responseBody: BodyRecord | undefined
  requestTrailers = ''
  responseTrailers = ''
  answer: RecordedAnswer | undefined
  messages: MessageLog | undefined
  close: CloseInfo | undefined
  ended: TapEnd | undefined
  /** Places of a list: see `RecordList`. */
  readonly links: RecordLinks = {
    before: undefined,
    behind: undefined,
    isSettled: false,
    settledBefore: undefined,
    settledBehind: undefined,
  }
  #interim: InterimAnswer[] | undefined
  #redacted: Set<string> | undefined
  /** The record that this one repeats. */
  replayOf: string | undefined
  /** Bodies whose decoding has not ended. */
  pending = 0
  #heldBytes = 0
  #isGone = false
  /** Bytes after a switch of protocols. */
  sentBytes = 0
  receivedBytes = 0

  constructor(
    readonly start: RecordStart,
    private readonly budget: Budget,
  ) {
    this.kind = start.kind
    this.replayOf = start.replayOf
    this.hold(RECORD_BYTES + start.fields.length + start.path.length)
  }

  get id(): string {
    return this.start.id
  }

  get slabs(): Slabs {
    return this.budget.slabs
  }

  /** Fields, parameters and the like whose values were taken out. */
  get redacted(): ReadonlySet<string> {
    return this.#redacted ?? NOTHING_REDACTED
  }

  /** Something was taken out. */
  addRedacted(what: string): void {
    ;(this.#redacted ??= new Set()).add(what)
  }

  get interim(): readonly InterimAnswer[] {
    return this.#interim ?? NO_INTERIM
  }

  addInterim(answer: InterimAnswer): void {
    ;(this.#interim ??= []).push(answer)
  }

  get isOver(): boolean {
    return this.ended !== undefined
  }

  /** True once nothing of it changes any more. */
  get isSettled(): boolean {
    return this.ended !== undefined && this.pending === 0
  }

  /** True once it was thrown out. */
  get isGone(): boolean {
    return this.#isGone
  }

  mayHold(bytes: number): boolean {
    return !this.#isGone && this.budget.mayHold(bytes)
  }

  hold(bytes: number): void {
    if (this.#isGone) return
    this.#heldBytes += bytes
    this.budget.hold(bytes)
  }

  /** Gives everything back. */
  release(): void {
    if (this.#isGone) return
    this.requestBody?.held.release()
    this.responseBody?.held.release()
    this.messages?.release()
    this.budget.hold(-this.#heldBytes)
    this.#heldBytes = 0
    this.#isGone = true
  }

  /** Bytes towards the client, as they were transferred. */
  get responseBytes(): number {
    return (this.responseBody?.bytes ?? 0) + this.receivedBytes
  }

  get summary(): RequestSummary {
    const { start, times, answer, ended } = this
    return {
      id: start.id,
      kind: this.kind,
      at: start.at,
      durationMs: times.endMs === undefined ? null : rounded(times.endMs - start.startedMs),
      isOver: this.isOver,
      scheme: start.scheme,
      method: start.method,
      host: start.authority,
      path: start.path,
      status: answer?.status ?? null,
      error: ended?.error ?? null,
      target: start.target ?? null,
      innerLayer: ended?.innerLayer ?? null,
      visitor: ended?.visitor ?? null,
      client: start.client ?? null,
      requestBytes: (this.requestBody?.bytes ?? 0) + this.sentBytes,
      responseBytes: this.responseBytes,
      type: answer === undefined ? null : mediaType(fieldIn(answer.fields, 'content-type')),
      messages: this.messages?.count ?? 0,
      replayOf: this.replayOf ?? null,
      isImported: start.isImported === true,
    }
  }

  get detail(): RequestDetail {
    const { start, answer } = this
    return {
      ...this.summary,
      url: `${start.scheme}://${start.authority}${start.path}`,
      version: start.version,
      requestId: start.requestId ?? null,
      reason: this.ended?.reason ?? null,
      phases: this.phases,
      request: {
        fields: namedValues(start.fields),
        trailers: namedValues(this.requestTrailers),
        body: this.requestBody?.info ?? NO_BODY_INFO,
      },
      interim: this.interim,
      response:
        answer === undefined
          ? null
          : {
              status: answer.status,
              reason: answer.reason,
              fields: namedValues(answer.fields),
              trailers: namedValues(this.responseTrailers),
              body: this.responseBody?.info ?? NO_BODY_INFO,
            },
      close: this.close ?? null,
      messagesDropped: this.messages?.dropped ?? 0,
      redacted: [...this.redacted],
      canReplay: start.way !== undefined && (this.kind === 'http' || this.kind === 'events'),
    }
  }

  get phases(): Phases {
    const { startedMs } = this.start
    const { dispatchedMs, connectedMs, linkMs, headMs, endMs } = this.times
    const between = (from: number | undefined, to: number | undefined): number | null =>
      from === undefined || to === undefined ? null : rounded(to - from)
    return {
      edge: between(startedMs, dispatchedMs),
      link: linkMs === undefined ? null : rounded(linkMs),
      connect: connectedMs === undefined ? null : between(dispatchedMs ?? startedMs, connectedMs),
      firstByte: between(connectedMs ?? dispatchedMs ?? startedMs, headMs),
      body: between(headMs, endMs),
    }
  }
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000

/** The media type without its parameters, in lower case; null for none. */
export function mediaType(value: string | undefined): string | null {
  if (value === undefined) return null
  const end = value.indexOf(';')
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase() || null
}
