import { GatewayError, type ErrorCode } from '../errors.ts'
import type { StreamHandler } from '../mux/stream.ts'
import type { MuxStream } from '../mux/stream.ts'
import type { CarrierStream } from '../outer/inner-layers/carrier.ts'

type Half = Pick<MuxStream, 'write' | 'end' | 'reset' | 'consumed'>

/**
 * Joins the stream of another node with the stream of an inner layer, byte for byte. What one of them takes is what the other gets credit for, so
 * that whoever reads slowly holds back whoever sends, at whichever end.
 *
 *     node  ──▶ request ──▶ inner layer
 *     node  ◀── answer  ◀── inner layer
 */
export class RelayStream {
  /** Handlers of the two streams. */
  readonly request: StreamHandler
  readonly answer: StreamHandler
  #node: Pick<MuxStream, 'sendHead'> & Half
  #inner: Half | undefined
  #isOver = false

  /** @param node  the stream that the other node has opened @param onOver  called once, whichever way it ends */
  constructor(
    node: Pick<MuxStream, 'sendHead'> & Half,
    private readonly onOver: () => void,
  ) {
    this.#node = node
    const request = new HeldBytes(() => this.#node)
    const answer = new HeldBytes(() => this.#inner)
    let openHalves = 2
    const ended = (): void => {
      if (--openHalves === 0) this.#over()
    }
    this.request = {
      onHead: () => {
        throw new GatewayError('PROTOCOL', 'a node answers its own request')
      },
      onData: chunk => request.pass(chunk, this.#inner),
      onTrailers: payload => this.#inner?.end(Buffer.from(payload)),
      onEnd: () => {
        this.#inner?.end()
        ended()
      },
      onReset: (code, reason) => this.#reset(this.#inner, code === 'INNER_LAYER_LOST' ? 'CANCELLED' : code, reason),
      // The node takes more: what the inner layer has sent and was not taken.
      onWritable: () => answer.taken(),
    }
    this.answer = {
      onHead: (payload, info) => this.#node.sendHead(Buffer.from(payload), { info }),
      onData: chunk => answer.pass(chunk, this.#node),
      onTrailers: payload => this.#node.end(Buffer.from(payload)),
      onEnd: () => {
        this.#node.end()
        ended()
      },
      onReset: (code, reason) => this.#reset(this.#node, code, reason),
      onWritable: () => request.taken(),
    }
  }

  /** The stream of the inner layer. */
  join(inner: CarrierStream): void {
    this.#inner = inner
  }

  #reset(other: Half | undefined, code: ErrorCode, reason: string): void {
    this.#over()
    other?.reset(code, reason)
  }

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.onOver()
  }
}

/** Bytes of one direction that the other stream was given and asked to pause for: their sender gets credit when it goes on. */
class HeldBytes {
  #bytes = 0

  /** @param from  the stream that they came in */
  constructor(private readonly from: () => Pick<MuxStream, 'consumed'> | undefined) {}

  pass(chunk: Buffer, to: Pick<MuxStream, 'write'> | undefined): void {
    if (to?.write(chunk) === true) this.from()?.consumed(chunk.length)
    else this.#bytes += chunk.length
  }

  taken(): void {
    const bytes = this.#bytes
    this.#bytes = 0
    if (bytes > 0) this.from()?.consumed(bytes)
  }
}
