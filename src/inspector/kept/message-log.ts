import type { Holder } from './budget.ts'
import { HeldBytes } from './held-bytes.ts'
import type { MessageInfo } from './record.ts'

/** Most messages that are kept of one exchange. */
const MAX_MESSAGES = 2_000
/** Memory of a message beside its bytes, about. */
const MESSAGE_BYTES = 300
/** Most of a text that a list shows. */
const MAX_SHOWN_TEXT = 16_384

/** A message as it is kept. */
export interface HeldMessage extends Omit<MessageInfo, 'text'> {
  readonly body: HeldBytes
}

/** The messages of one exchange: all of them counted, the newest kept. */
export class MessageLog {
  readonly #messages: HeldMessage[] = []
  #count = 0
  #heldBytes = 0

  /** @param limit  most bytes that are kept @param dropped  messages that came before, and are not kept */
  constructor(
    private readonly holder: Holder,
    private readonly limit: number,
    dropped = 0,
  ) {
    this.#count = dropped
  }

  /** Messages that came. */
  get count(): number {
    return this.#count
  }

  /** Messages that are not kept. */
  get dropped(): number {
    return this.#count - this.#messages.length
  }

  /** Bytes for a message that is still coming. */
  body(limit: number): HeldBytes {
    return new HeldBytes(this.holder, limit)
  }

  /** Adds a message; its number is the next one. */
  add(message: Omit<HeldMessage, 'number'>): void {
    message.body.finish()
    const number = this.#count++
    this.holder.hold(MESSAGE_BYTES)
    this.#heldBytes += message.body.length + MESSAGE_BYTES
    this.#messages.push({ ...message, number })
    while (this.#messages.length > MAX_MESSAGES || (this.#heldBytes > this.limit && this.#messages.length > 1)) {
      const oldest = this.#messages.shift()!
      this.#heldBytes -= oldest.body.length + MESSAGE_BYTES
      oldest.body.release()
      this.holder.hold(-MESSAGE_BYTES)
    }
  }

  /** Messages from `number` on, at most so many. */
  from(number: number, limit: number): MessageInfo[] {
    const first = Math.max(0, number - this.dropped)
    return this.#messages.slice(first, first + limit).map(infoOf)
  }

  get(number: number): HeldMessage | undefined {
    return number < this.dropped ? undefined : this.#messages[number - this.dropped]
  }

  /** Gives all of them back. */
  release(): void {
    for (const { body } of this.#messages) body.release()
  }

  get all(): readonly HeldMessage[] {
    return this.#messages
  }
}

const isText = ({ type }: HeldMessage): boolean => type === 'text' || type === 'event' || type === 'close'

function infoOf(message: HeldMessage): MessageInfo {
  const { body, ...rest } = message
  return { ...rest, text: isText(message) ? body.bytes.toString('utf8', 0, Math.min(body.length, MAX_SHOWN_TEXT)) : null }
}
