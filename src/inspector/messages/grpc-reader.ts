import type { Redactor } from '../redact/sink.ts'
import { MessageMaker, type MessageContext } from './message-maker.ts'

const PREFIX_BYTES = 5

/** Reads the messages of one direction of a gRPC call (a flag, a length, the message) as they pass. They have no names, so nothing is taken out. */
export class GrpcReader implements Redactor {
  readonly count = 0
  readonly #prefix = Buffer.alloc(PREFIX_BYTES)
  #prefixBytes = 0
  #left = 0
  #message: MessageMaker | undefined

  constructor(
    private readonly context: MessageContext,
    private readonly from: 'client' | 'origin',
  ) {}

  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#message === undefined) {
        this.#prefix[this.#prefixBytes++] = chunk[at++]!
        if (this.#prefixBytes < PREFIX_BYTES) continue
        this.#prefixBytes = 0
        this.#left = this.#prefix.readUInt32BE(1)
        this.#message = new MessageMaker(this.context, false)
        if (this.#left === 0) this.#end(false)
        continue
      }
      const end = Math.min(chunk.length, at + this.#left)
      this.#message.add(chunk.subarray(at, end))
      this.#left -= end - at
      at = end
      if (this.#left === 0) this.#end(false)
    }
  }

  end(): void {
    if (this.#message !== undefined) this.#end(true)
  }

  #end(isCut: boolean): void {
    this.#message?.end({ from: this.from, type: 'grpc', isCompressed: (this.#prefix[0]! & 1) === 1, isCut })
    this.#message = undefined
  }
}
