import type { Fields } from '../http/fields.ts'
import type { ExchangeTap, TapEnd, TapMark, TapStart } from '../tap/tap.ts'
import { BodyRecord, type BodyContext } from './body-record.ts'
import { ExchangeRecord, mediaType } from './exchange-record.ts'
import type { Budget } from './kept/budget.ts'
import { fieldsText, namedValues, ownText } from './kept/fields-text.ts'
import type { OwnTexts } from './kept/own-texts.ts'
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
  readonly texts: OwnTexts
}

/** Records one exchange. A fault of ours ends the recording and nothing else. */
export class Recorder implements ExchangeTap {
  readonly record: ExchangeRecord
  #isDone = false
  #request: BodyFields
  #answer: BodyFields = NO_FIELDS
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
    const { fields, startedMs, client, target } = start
    const { texts, names } = context
    const now = context.clock()
    const redacted: string[] = []
    const took = (what: string): void => void redacted.push(`request ${what}`)
    this.#budget = budget
    const path = redactPath(start.path, names, took)
    const kept = redactFields(fields, names, took)
    this.#request = bodyFields(kept, texts)
    const isGrpc = this.#request.type?.startsWith('application/grpc') === true
    this.record = new ExchangeRecord(
      {
        id,
        kind: start.kind === 'tcp' ? 'tcp' : isGrpc ? 'grpc' : 'http',
        scheme: start.scheme,
        method: texts.own(start.method),
        authority: texts.own(start.authority),
        path: ownText(path),
        version: start.version,
        requestId: start.requestId,
        client: client === undefined ? undefined : texts.own(client),
        target: target === undefined ? undefined : texts.own(target),
        at: Math.round(context.nowMs() - (now - (startedMs ?? now))),
        startedMs: startedMs ?? now,
        fields: fieldsText(kept),
        replayOf: start.replayOf,
        isImported: start.isImported,
        ...(start.owner !== undefined && { socketId: start.owner.socketId }),
        way: start.way,
      },
      budget,
    )
    for (const what of redacted) this.record.addRedacted(what)
  }

  get id(): string {
    return this.record.id
  }

  mark(point: TapMark): void {
    const { times } = this.record
    if (point === 'dispatched') times.dispatchedMs ??= this.context.clock()
    else times.connectedMs ??= this.context.clock()
  }

  connect(ms: number): void {
    const { times, start } = this.record
    times.connectedMs ??= (times.dispatchedMs ?? start.startedMs) + ms
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
      this.record.requestTrailers = this.#text(this.#redacted(trailers, 'request trailer'))
      this.record.requestBody?.end(true)
    })
  }

  interim(status: number, reason: string, fields: Fields): void {
    this.#guard(() => {
      const { interim, start } = this.record
      if (interim.length >= MAX_INTERIM) return
      const text = this.#text(this.#redacted(fields, 'interim'))
      this.record.addInterim({
        status,
        reason: this.context.texts.own(reason),
        fields: namedValues(text),
        afterMs: this.context.clock() - start.startedMs,
      })
    })
  }

  head(status: number, reason: string, fields: Fields): void {
    this.#guard(() => {
      const { record } = this
      record.times.headMs = this.context.clock()
      const { texts } = this.context
      const kept = this.#redacted(fields, 'response')
      this.#answer = bodyFields(kept, texts)
      record.answer = { status, reason: texts.own(reason), fields: this.#text(kept) }
      if (mediaType(this.#answer.type) === 'text/event-stream') record.kind = 'events'
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
          onBroken: why => this.record.addRedacted(`not read further: ${why}`),
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
      this.record.responseTrailers = this.#text(this.#redacted(trailers, 'response trailer'))
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
      return (record[side] ??= this.#body(NO_FIELDS, undefined, true)).add(chunk)
    }
    if (from === 'client') record.sentBytes += chunk.length
    else record.receivedBytes += chunk.length
  }

  #requestBody(): BodyRecord {
    const { record } = this
    return (record.requestBody ??= this.#body(
      this.#request,
      record.kind === 'grpc' ? new GrpcReader(this.#messages(), 'client') : undefined,
    ))
  }

  #responseBody(): BodyRecord {
    const { record } = this
    if (record.responseBody !== undefined) return record.responseBody
    return (record.responseBody = this.#body(this.#answer, this.#readerOf(record)))
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

  #body({ type, coding, length }: BodyFields, reader: Redactor | undefined, isBytes = false): BodyRecord {
    const { record } = this
    record.pending++
    return new BodyRecord(record, this.context, {
      type,
      coding: reader instanceof GrpcReader ? undefined : coding,
      length,
      reader,
      isBytes,
      onSettled: () => {
        record.pending--
        if (record.isOver) this.context.changed(record)
      },
    })
  }

  /** Fields as they may be kept. */
  #redacted(fields: Fields, where: string): Fields {
    return redactFields(fields, this.context.names, what => this.record.addRedacted(`${where} ${what}`))
  }

  /** Fields that may be kept as one text, which is paid for. */
  #text(fields: Fields): string {
    if (fields.length === 0) return ''
    const text = fieldsText(fields)
    this.record.hold(text.length)
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

/** The fields that say what a body is. */
interface BodyFields {
  type: string | undefined
  coding: string | undefined
  /** Bytes that are announced; undefined: none are. */
  length: number | undefined
}

const NO_FIELDS: BodyFields = Object.freeze({ type: undefined, coding: undefined, length: undefined })

function bodyFields(fields: Fields, texts: OwnTexts): BodyFields {
  const found: BodyFields = { type: undefined, coding: undefined, length: undefined }
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i]!
    if (name.length === 12 && name.toLowerCase() === 'content-type') found.type ??= texts.own(fields[i + 1]!)
    else if (name.length === 14 && name.toLowerCase() === 'content-length') found.length = Number(fields[i + 1]!)
    else if (name.length === 16 && name.toLowerCase() === 'content-encoding') found.coding ??= texts.own(fields[i + 1]!)
  }
  return found
}
