import type { Fields } from '../http/fields.ts'
import type { ExchangeTap, TapEnd, TapMark, TapStart } from '../tap/tap.ts'
import { BodyRecord, type BodyContext } from './body-record.ts'
import { ExchangeRecord, mediaType } from './exchange-record.ts'
import type { Budget } from './kept/budget.ts'
import { fieldIn, fieldsText, namedValues, ownText } from './kept/fields-text.ts'
import { MessageLog } from './kept/message-log.ts'
import { EventStreamReader } from './messages/event-stream-reader.ts'
import { GrpcReader } from './messages/grpc-reader.ts'
import type { MessageContext } from './messages/message-maker.ts'
import { WebSocketReader, type CloseFrame } from './messages/web-socket-reader.ts'
import { redactFields, redactPath } from './redact/fields.ts'
import type { Redactor } from './redact/sink.ts'
import { webSocketEnd } from './web-socket-end.ts'

/** Most that the messages of one exchange may hold, as a part of the budget. */
const MESSAGES_PART = 8
const MAX_INTERIM = 20

/** The part of an inspector that its recorders use. */
export interface RecorderContext extends BodyContext {
  readonly clock: () => number
  readonly nowMs: () => number
  readonly onFault: (thrown: unknown) => void
  readonly changed: (record: ExchangeRecord) => void
  /** Bytes of connections that are no HTTP are kept, which nobody can redact. */
  readonly keepsBytes: boolean
}

/** Records one exchange. A fault of ours ends the recording and nothing else. */
export class Recorder implements ExchangeTap {
  readonly record: ExchangeRecord
  #isDone = false
  #protocol: string | undefined
  /** Readers of a WebSocket, by the side that sends. */
  #sockets: { readonly client: WebSocketReader; readonly origin: WebSocketReader } | undefined
  readonly #closeFrames: CloseFrame[] = []
  #firstToEnd: 'client' | 'origin' | undefined
  /** Readers of an event stream and of gRPC, which end with the exchange. */
  readonly #budget: Budget

  constructor(
    start: TapStart,
    id: string,
    budget: Budget,
    private readonly context: RecorderContext,
  ) {
    const { fields, startedMs, kind, path, authority, method, client, target, ...rest } = start
    const now = context.clock()
    const redacted: string[] = []
    const took = (what: string): void => void redacted.push(`request ${what}`)
    this.#budget = budget
    this.record = new ExchangeRecord(
      {
        ...rest,
        id,
        kind: kind === 'tcp' ? 'tcp' : isGrpc(fields) ? 'grpc' : 'http',
        method: ownText(method),
        authority: ownText(authority),
        path: ownText(redactPath(path, context.names, took)),
        client: client === undefined ? undefined : ownText(client),
        target: target === undefined ? undefined : ownText(target),
        at: Math.round(context.nowMs() - (now - (startedMs ?? now))),
        startedMs: startedMs ?? now,
        fields: fieldsText(redactFields(fields, context.names, took)),
      },
      budget,
    )
    for (const what of redacted) this.record.redacted.add(what)
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
      if (this.#isRaw) this.#raw(chunk, 'client')
      else this.#requestBody().add(chunk)
    })
  }

  sentEnd(trailers: Fields): void {
    this.#guard(() => {
      this.#firstToEnd ??= 'client'
      this.record.requestTrailers = this.#fieldsText(trailers, 'request trailer')
      this.record.requestBody?.end(true)
    })
  }

  interim(status: number, reason: string, fields: Fields): void {
    this.#guard(() => {
      const { interim, start } = this.record
      if (interim.length >= MAX_INTERIM) return
      const text = this.#fieldsText(fields, 'interim')
      interim.push({ status, reason: ownText(reason), fields: namedValues(text), afterMs: this.context.clock() - start.startedMs })
    })
  }

  head(status: number, reason: string, fields: Fields): void {
    this.#guard(() => {
      const { record } = this
      record.times.headMs = this.context.clock()
      const text = this.#fieldsText(fields, 'response')
      record.answer = { status, reason: ownText(reason), fields: text }
      if (mediaType(fieldIn(text, 'content-type')) === 'text/event-stream') record.kind = 'events'
      this.context.changed(record)
    })
  }

  switched(protocol: string, reason: string, fields: Fields): void {
    this.head(101, reason, fields)
    this.#guard(() => {
      this.#protocol = protocol.toLowerCase()
      if (this.#protocol !== 'websocket') return
      this.record.kind = 'websocket'
      // The fields as they are, not as they are kept; extensions are no secret.
      const isDeflated = fields.some(
        (value, i) => i % 2 === 1 && fields[i - 1]!.toLowerCase() === 'sec-websocket-extensions' && value.includes('permessage-deflate'),
      )
      const reader = (from: 'client' | 'origin'): WebSocketReader =>
        new WebSocketReader(this.#messages(), {
          from,
          isDeflated,
          onClose: frame => void this.#closeFrames.push(frame),
          onBroken: why => this.record.redacted.add(`not read further: ${why}`),
        })
      this.#sockets = { client: reader('client'), origin: reader('origin') }
    })
  }

  received(chunk: Buffer): void {
    this.#guard(() => {
      if (this.#isRaw) this.#raw(chunk, 'origin')
      else this.#responseBody().add(chunk)
    })
  }

  receivedEnd(trailers: Fields): void {
    this.#guard(() => {
      this.#firstToEnd ??= 'origin'
      this.record.responseTrailers = this.#fieldsText(trailers, 'response trailer')
      this.record.responseBody?.end(true)
    })
  }

  end(end: TapEnd): void {
    this.#guard(() => {
      const { record } = this
      record.times.endMs = this.context.clock()
      this.#sockets?.client.end()
      this.#sockets?.origin.end()
      if (this.#sockets !== undefined) {
        record.close = webSocketEnd({ frames: this.#closeFrames, firstToEnd: this.#firstToEnd, end })
      }
      record.requestBody?.end(false)
      record.responseBody?.end(false)
      record.ended = end
      this.context.changed(record)
    })
    this.#isDone = true
    this.#sockets = undefined
  }

  /** Bytes that are no message of HTTP. */
  get #isRaw(): boolean {
    return this.#protocol !== undefined || this.record.kind === 'tcp'
  }

  #raw(chunk: Buffer, from: 'client' | 'origin'): void {
    const { record } = this
    if (this.#sockets !== undefined) this.#sockets[from].push(chunk)
    else if (this.context.keepsBytes) {
      const side = from === 'client' ? 'requestBody' : 'responseBody'
      return (record[side] ??= this.#body('', undefined, true)).add(chunk)
    }
    if (from === 'client') record.sentBytes += chunk.length
    else record.receivedBytes += chunk.length
  }

  #requestBody(): BodyRecord {
    const { record } = this
    return (record.requestBody ??= this.#body(
      record.start.fields,
      record.kind === 'grpc' ? new GrpcReader(this.#messages(), 'client') : undefined,
    ))
  }

  #responseBody(): BodyRecord {
    const { record } = this
    if (record.responseBody !== undefined) return record.responseBody
    const fields = record.answer?.fields ?? ''
    return (record.responseBody = this.#body(fields, this.#readerOf(record)))
  }

  #readerOf({ kind }: ExchangeRecord): Redactor | undefined {
    if (kind === 'events') return new EventStreamReader(this.#messages())
    return kind === 'grpc' ? new GrpcReader(this.#messages(), 'origin') : undefined
  }

  #messages(): MessageContext {
    const { record, context } = this
    record.messages ??= new MessageLog(record, Math.floor(this.#budget.limitBytes / MESSAGES_PART))
    return {
      log: record.messages,
      names: context.names,
      limitBytes: context.bodyLimitBytes,
      nowMs: context.nowMs,
      onMessage: () => context.changed(record),
    }
  }

  #body(fields: string, reader: Redactor | undefined, isBytes = false): BodyRecord {
    const { record } = this
    record.pending++
    return new BodyRecord(record, this.context, {
      type: fieldIn(fields, 'content-type'),
      coding: reader instanceof GrpcReader ? undefined : fieldIn(fields, 'content-encoding'),
      reader,
      isBytes,
      onSettled: () => {
        record.pending--
        if (record.isOver) this.context.changed(record)
      },
    })
  }

  /** Fields as they may be kept, and paid for. */
  #fieldsText(fields: Fields, where: string): string {
    if (fields.length === 0) return ''
    const { record } = this
    const text = fieldsText(redactFields(fields, this.context.names, what => void record.redacted.add(`${where} ${what}`)))
    record.hold(text.length)
    return text
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

const isGrpc = (fields: Fields): boolean =>
  fields.some((value, i) => i % 2 === 1 && value.startsWith('application/grpc') && fields[i - 1]!.toLowerCase() === 'content-type')
