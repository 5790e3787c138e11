import type { Redactor } from '../redact/sink.ts'
import { MessageMaker, type MessageContext } from './message-maker.ts'

const NEWLINE = 0x0a
const RETURN = 0x0d
const LF = Buffer.from('\n')
/** Most of a line whose name is looked for, and of a value that is kept beside the data, bytes. */
const MAX_SHORT = 256

/** Reads `text/event-stream` as it passes, and logs each event. */
export class EventStreamReader implements Redactor {
  readonly count = 0
  #message: MessageMaker | undefined
  #hasData = false
  #event = ''
  #id: string | null = null
  /** The line so far, up to its name and a little more. */
  readonly #line = Buffer.alloc(MAX_SHORT)
  #lineBytes = 0
  /** The data of this line goes into the message. */
  #isData = false
  #wasReturn = false

  constructor(private readonly context: MessageContext) {}

  push(chunk: Uint8Array): void {
    let from = 0
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!
      if (byte !== NEWLINE && byte !== RETURN) {
        this.#wasReturn = false
        if (this.#isData) continue
        if (this.#lineBytes < MAX_SHORT) this.#line[this.#lineBytes++] = byte
        if (this.#lineBytes === 5 && this.#line.toString('latin1', 0, 5) === 'data:') {
          this.#isData = true
          this.#beginData()
          from = i + 1
        }
        continue
      }
      // CR LF is one end.
      const isRest = byte === NEWLINE && this.#wasReturn
      this.#wasReturn = byte === RETURN
      if (this.#isData) this.#give(chunk, from, i)
      if (!isRest) this.#endLine()
      from = i + 1
    }
    if (this.#isData) this.#give(chunk, from, chunk.length)
  }

  end(): void {
    if (this.#message !== undefined) this.#dispatch(true)
  }

  #isFirst = true

  #beginData(): void {
    if (this.#message === undefined) this.#message = new MessageMaker(this.context, true)
    else if (this.#hasData) this.#message.add(LF)
    this.#hasData = true
    this.#isFirst = true
  }

  #give(chunk: Uint8Array, from: number, to: number): void {
    if (to <= from) return
    // One space behind the colon is none of the data.
    const start = this.#isFirst && chunk[from] === 0x20 ? from + 1 : from
    this.#isFirst = false
    if (to > start) this.#message?.add(chunk.subarray(start, to))
  }

  #endLine(): void {
    if (!this.#isData) {
      if (this.#lineBytes === 0) this.#dispatch(false)
      else this.#readField(this.#line.toString('utf8', 0, this.#lineBytes))
    }
    this.#isData = false
    this.#lineBytes = 0
  }

  #readField(line: string): void {
    const colon = line.indexOf(':')
    if (colon === 0) return // a comment
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'event') this.#event = value
    else if (name === 'id') this.#id = value
    else if (name === 'data') this.#beginData()
  }

  #dispatch(isCut: boolean): void {
    this.#message?.end({ from: 'origin', type: 'event', event: this.#event || 'message', eventId: this.#id, isCut })
    this.#message = undefined
    this.#hasData = false
    this.#event = ''
  }
}
