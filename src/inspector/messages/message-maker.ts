import type { HeldBytes } from '../kept/held-bytes.ts'
import type { HeldMessage, MessageLog } from '../kept/message-log.ts'
import { binaryRedactor, redactorFor } from '../redact/redactor.ts'
import type { SecretNames } from '../redact/secret-names.ts'
import { KeepAll, type Redactor } from '../redact/sink.ts'

/** The parts that readers of messages share. */
export interface MessageContext {
  readonly log: MessageLog
  readonly names: SecretNames
  /** Most that is kept of one message, bytes. */
  readonly limitBytes: number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** A message was added. */
  readonly onMessage: () => void
}

/** A message on its way into the log. */
export class MessageMaker {
  readonly body: HeldBytes
  readonly #redactor: Redactor
  readonly #at: number
  #bytes = 0

  /** @param isText  names of secrets may stand in it */
  constructor(
    private readonly context: MessageContext,
    isText: boolean,
  ) {
    const body = context.log.body(context.limitBytes)
    this.body = body
    const sink = (bytes: Uint8Array, from: number, to: number): void => body.append(bytes, from, to)
    this.#redactor = isText ? (redactorFor('', context.names, sink).redactor ?? new KeepAll(sink)) : binaryRedactor(context.names, sink)
    this.#at = context.nowMs()
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#bytes
  }

  add(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    if (!this.body.isCut) this.#redactor.push(chunk)
  }

  /** Adds it to the log. */
  end(facts: Pick<HeldMessage, 'from' | 'type'> & Partial<HeldMessage>): void {
    this.#redactor.end()
    const { code = null, event = null, eventId = null, isCompressed = false, bytes = this.#bytes } = facts
    const isCut = this.body.isCut || facts.isCut === true
    this.context.log.add({
      at: this.#at,
      from: facts.from,
      type: facts.type,
      bytes,
      isCut,
      isCompressed,
      code,
      event,
      eventId,
      body: this.body,
    })
    this.context.onMessage()
  }
}
