/** Carriers that are no sessions: what somebody writes who brings streams to an origin in another way. */
import type { ErrorCode } from '../../src/errors.ts'
import type { StreamHandler } from '../../src/mux/stream.ts'
import { encodeResponseHead, decodeRequestHead } from '../../src/payload/head-codec.ts'
import { KIND_TCP } from '../../src/payload/tcp-head.ts'
import type { Carrier, CarrierStream } from '../../src/outer/inner-layers/carrier.ts'
import type { InnerConnection } from '../../src/outer/inner-layers/registry.ts'

/** A stream to an origin that answers requests with their path, and echoes connections. After its end or a reset nothing more comes. */
class HereStream implements CarrierStream {
  readonly isRemoteOpen = true
  readonly needsPause = false
  readonly sentBytes = 0
  #isOver = false

  constructor(
    public handler: StreamHandler | undefined,
    private readonly isEcho: boolean,
    private readonly onOver: () => void,
  ) {}

  /** Tells the handler something, in a later turn. */
  later(tell: (handler: StreamHandler) => void): void {
    setImmediate(() => {
      if (!this.#isOver && this.handler !== undefined) tell(this.handler)
    })
  }

  over(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.onOver()
  }

  write(chunk: Buffer): boolean {
    if (this.isEcho) this.later(handler => handler.onData(chunk))
    return true
  }

  end(): void {
    if (!this.isEcho) return
    this.later(handler => {
      this.over()
      handler.onEnd()
    })
  }

  reset(): void {
    this.over()
  }

  consumed(): void {
    // Nothing waits here.
  }
}

/** Answers in this process: HTTP with the path that was asked for, TCP as an echo. */
export class HereCarrier implements Carrier {
  isOpen = true
  hasRoom = true
  outstandingBytes = 0
  streamCount = 0
  readonly roundTripMs = 0
  opened = 0
  /** Resets the next stream with this code. */
  failsWith: ErrorCode | undefined

  open(payload: Uint8Array, handler: StreamHandler): CarrierStream {
    this.opened++
    this.streamCount++
    const isTcp = payload[0] === KIND_TCP
    const stream = new HereStream(handler, isTcp, () => this.streamCount--)
    const { failsWith } = this
    stream.later(told => {
      if (failsWith === undefined && isTcp) return told.onHead(Buffer.alloc(0), false)
      stream.over()
      if (failsWith === undefined) answer(Buffer.from(payload), told)
      else told.onReset(failsWith, 'as the test wants it')
    })
    return stream
  }

  note(): void {
    // Whatever comes is answered the same.
  }

  drain(): Promise<void> {
    this.isOpen = false
    return Promise.resolve()
  }

  destroy(): void {
    this.isOpen = false
  }
}

function answer(payload: Buffer, handler: StreamHandler): void {
  const body = Buffer.from(decodeRequestHead(payload).path)
  handler.onHead(encodeResponseHead({ status: 200, reason: 'OK', fields: [], body: { kind: 'length', length: body.length } }), false)
  handler.onData(body)
  handler.onEnd()
}

/** A connection as the registry takes it. */
export const connectionOf = (
  session: Carrier,
  identifier = 'here',
  instance: string = identifier,
  pool: InnerConnection['pool'] = 'operator',
): InnerConnection => ({
  session,
  identifier,
  pool,
  kid: 'no key',
  address: '127.0.0.1',
  agent: 'a test',
  instance,
  since: new Date(),
})
