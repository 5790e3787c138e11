import { GatewayError } from '../../errors.ts'
import { guarded, type Fail } from '../../net/guard.ts'
import { replyHead, type Call } from './reply.ts'

/** A reader that has so much to read still is told to begin anew, bytes. */
const MAX_UNREAD_BYTES = 1_048_576
/** Readers at a time. */
const MAX_READERS = 32

/** One that is told how a list changes. */
export interface Reader {
  /** Lets go of whatever it listens to. May be called again. */
  readonly close: () => void
}

/** Those that read a list as it changes, each until its answer is over. */
export class Readers {
  readonly #readers = new Map<Call, Reader>()

  constructor(private readonly fail: Fail) {}

  /** @param make  begins with the answer. @throws GatewayError OVERLOADED when there are too many already; then nothing is made */
  add(call: Call, make: () => Reader): void {
    if (this.#readers.size >= MAX_READERS) throw new GatewayError('OVERLOADED', 'too many read the list as it changes')
    const reader = make()
    this.#readers.set(call, reader)
    call.response.on(
      'close',
      guarded(this.fail, () => {
        reader.close()
        this.#readers.delete(call)
      }),
    )
  }

  /** Ends all of them. */
  close(): void {
    for (const [{ response }, reader] of this.#readers) {
      reader.close()
      response.end()
    }
  }
}

/** The answer of a reader, with its head written: events or lines, as it accepts. */
export class ReaderAnswer {
  readonly #isEvents: boolean

  constructor(private readonly call: Call) {
    this.#isEvents = (call.request.headers.accept ?? '').includes('text/event-stream')
    replyHead(call, 200, { 'Content-Type': this.#isEvents ? 'text/event-stream' : 'application/x-ndjson' })
    call.response.flushHeaders()
  }

  /** Has it so much to read still that nothing more should be told? */
  get isFull(): boolean {
    return this.call.response.writableLength > MAX_UNREAD_BYTES
  }

  /** @param data  JSON, with the type in it */
  tell(type: string, data: string): void {
    this.call.response.write(this.#isEvents ? `event: ${type}\ndata: ${data}\n\n` : `${data}\n`)
  }

  /** Writes something that says nothing, so that the reader and whatever is in between see that it lives. */
  alive(): void {
    this.call.response.write(this.#isEvents ? ':\n\n' : '\n')
  }
}
