import type { Fields } from '../http/fields.ts'
import type { ExchangeTap, TapEnd, TapMark, TapStart } from '../tap/tap.ts'
import { BodyRecord } from './body-record.ts'
import type { Budget } from './budget.ts'
import { ExchangeRecord, mediaType } from './exchange-record.ts'
import { fieldIn, fieldsText, namedValues, ownText } from './fields-text.ts'

/** The part of an inspector that its recorders use. */
export interface RecorderContext {
  readonly bodyLimitBytes: number
  readonly clock: () => number
  readonly nowMs: () => number
  readonly onFault: (thrown: unknown) => void
  readonly changed: (record: ExchangeRecord) => void
}

/** Records one exchange. A fault of ours ends the recording and nothing else. */
export class Recorder implements ExchangeTap {
  readonly record: ExchangeRecord
  #isDone = false

  constructor(
    start: TapStart,
    id: string,
    budget: Budget,
    private readonly context: RecorderContext,
  ) {
    const { fields, startedMs, kind, path, authority, ...rest } = start
    const now = context.clock()
    this.record = new ExchangeRecord(
      {
        ...rest,
        id,
        kind: kind === 'tcp' ? 'tcp' : 'http',
        authority: ownText(authority),
        path: ownText(path),
        at: context.nowMs() - (now - (startedMs ?? now)),
        startedMs: startedMs ?? now,
        fields: fieldsText(fields),
      },
      budget,
    )
  }

  get id(): string {
    return this.record.id
  }

  mark(point: TapMark): void {
    const { times } = this.record
    if (point === 'dispatched') times.dispatchedMs ??= this.context.clock()
    else times.connectedMs ??= this.context.clock()
  }

  link(roundTripMs: number): void {
    this.record.times.linkMs ??= roundTripMs
  }

  sent(chunk: Buffer): void {
    this.#guard(() => {
      this.#requestBody().add(chunk)
    })
  }

  sentEnd(trailers: Fields): void {
    this.#guard(() => {
      this.record.requestTrailers = fieldsText(trailers)
      this.record.requestBody?.end(true)
    })
  }

  interim(status: number, reason: string, fields: Fields): void {
    this.#guard(() => {
      const afterMs = this.context.clock() - this.record.start.startedMs
      this.record.interim.push({ status, reason: ownText(reason), fields: namedValues(fieldsText(fields)), afterMs })
    })
  }

  head(status: number, reason: string, fields: Fields): void {
    this.#guard(() => {
      const { record } = this
      record.times.headMs = this.context.clock()
      const text = fieldsText(fields)
      record.hold(text.length)
      record.answer = { status, reason: ownText(reason), fields: text }
      if (mediaType(fieldIn(text, 'content-type')) === 'text/event-stream') record.kind = 'events'
      this.context.changed(record)
    })
  }

  switched(_protocol: string, reason: string, fields: Fields): void {
    this.head(101, reason, fields)
  }

  received(chunk: Buffer): void {
    this.#guard(() => this.#responseBody().add(chunk))
  }

  receivedEnd(trailers: Fields): void {
    this.#guard(() => {
      this.record.responseTrailers = fieldsText(trailers)
      this.record.responseBody?.end(true)
    })
  }

  end(end: TapEnd): void {
    this.#guard(() => {
      const { record } = this
      record.times.endMs = this.context.clock()
      record.ended = end
      record.requestBody?.end(false)
      record.responseBody?.end(false)
      this.context.changed(record)
    })
    this.#isDone = true
  }

  #requestBody(): BodyRecord {
    return (this.record.requestBody ??= this.#body(this.record.start.fields))
  }

  #responseBody(): BodyRecord {
    return (this.record.responseBody ??= this.#body(this.record.answer?.fields ?? ''))
  }

  #body(fields: string): BodyRecord {
    return new BodyRecord(this.record, this.context.bodyLimitBytes, fieldIn(fields, 'content-type') ?? null, null)
  }

  #guard(action: () => void): void {
    if (this.#isDone || this.record.isGone) return
    try {
      action()
    } catch (thrown) {
      this.#isDone = true
      this.context.onFault(thrown)
    }
  }
}
