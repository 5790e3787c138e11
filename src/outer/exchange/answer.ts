import { STATUS_CODES } from 'node:http'
import { GatewayError, messageOf } from '../../errors.ts'
import { decodeFields } from '../../payload/byte-codec.ts'
import { allowedTrailers } from '../../http/hop-by-hop.ts'
import type { HrefMapping } from '../../http/multistatus.ts'
import type { WritableHead } from '../../http/response-fields.ts'
import { attempt } from '../../net/guard.ts'
import type { ExchangeTap } from '../../tap/tap.ts'
import type { EdgeRequest } from './edge-request.ts'
import type { LocalAnswer } from './request-plan.ts'

/** The answer to one request as the client gets it: one head, a body as long as the head says, trailers and an end; or a cut instead. */
export class Answer {
  #bytes = 0
  #startedMs: number | undefined
  #length: number | undefined
  #unconsumedBytes = 0
  #hasHead = false
  #hasBody = false
  #isFlushed = false
  #trailers: readonly string[] = []
  #hrefs: HrefMapping | undefined
  /** Undefined: nobody looks at it. */
  tap: ExchangeTap | undefined
  #watch: ((chunk: Buffer) => void) | undefined

  /** @param clock  milliseconds, rising */
  constructor(
    private readonly call: EdgeRequest,
    private readonly clock: () => number,
  ) {}

  /** Bytes of the body so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** When it began; undefined before. */
  get startedMs(): number | undefined {
    return this.#startedMs
  }

  /** True once it has a head, interim ones apart. */
  get hasHead(): boolean {
    return this.#hasHead
  }

  /** Begins an answer of an origin. @param watch  sees the first bytes of the body @throws GatewayError ORIGIN_BAD_RESPONSE when the head has characters that cannot be sent */
  begin(head: WritableHead, watch?: (chunk: Buffer) => void): void {
    try {
      this.call.writeHead(head)
    } catch (cause) {
      throw new GatewayError('ORIGIN_BAD_RESPONSE', messageOf(cause), { cause })
    }
    this.begun()
    this.tap?.head(head.status, head.reason, head.fields)
    this.#watch = watch
    this.#hrefs = head.hrefs
    this.#length = head.length
    this.#hasBody = head.hasBody
    // A head without data behind it, as of an event stream, leaves once all that has come is read; one with data leaves together with it,
    // also where they came in two messages: a write for each would be the greater part of what a small answer costs.
    setImmediate(flushHead, this)
  }

  /** A head has left in another way. */
  begun(): void {
    this.#hasHead = true
    this.#startedMs = this.clock()
  }

  /** A whole answer of our own. */
  write({ status, fields, body }: LocalAnswer): void {
    const { call } = this
    this.#startedMs = this.clock()
    this.#isFlushed = true
    // With its reason: one that node:http has refused before, the origin's, would be refused again.
    call.writeHead({ status, reason: STATUS_CODES[status] ?? '', fields })
    this.tap?.head(status, STATUS_CODES[status] ?? '', fields)
    if (call.request.method === 'HEAD' || body === '') {
      this.tap?.receivedEnd([])
      return call.end()
    }
    this.tap?.received(typeof body === 'string' ? Buffer.from(body) : body)
    this.tap?.receivedEnd([])
    this.#bytes = Buffer.byteLength(body)
    call.end(body)
  }

  /**
   * More of the body.
   * @returns true when nothing of it is held any more; false: `drained` says when
   * @throws GatewayError ORIGIN_BAD_RESPONSE for a body before its head, or one longer than the head says
   */
  data(chunk: Buffer): boolean {
    if (!this.#hasHead) throw new GatewayError('ORIGIN_BAD_RESPONSE', 'a body before its head')
    this.#isFlushed = true
    this.#bytes += chunk.length
    if (this.#watch !== undefined) {
      this.#watch(chunk)
      this.#watch = undefined
    }
    if (!this.#hasBody) return true
    if (this.#length !== undefined && this.#bytes > this.#length) {
      throw new GatewayError('ORIGIN_BAD_RESPONSE', 'more bytes than Content-Length says')
    }
    // A slow reader must not hold a whole batch of other streams' bytes for the sake of its own few.
    const own =
      this.#hrefs?.push(chunk) ?? (this.call.needsDrain && chunk.length * 2 < chunk.buffer.byteLength ? Buffer.from(chunk) : chunk)
    if (own.length === 0) return true
    this.tap?.received(own)
    if (this.call.write(own)) return true
    this.#unconsumedBytes += chunk.length
    return false
  }

  /** The client reads again. @returns bytes that were held, and are not any more */
  drained(): number {
    const bytes = this.#unconsumedBytes
    this.#unconsumedBytes = 0
    return bytes
  }

  /** @throws GatewayError ORIGIN_BAD_RESPONSE when they have characters that cannot be sent */
  trailers(payload: Buffer): void {
    if (!this.#hasBody || this.#length !== undefined) return
    try {
      const trailers = allowedTrailers(decodeFields(payload))
      this.call.setTrailers(trailers)
      this.#trailers = trailers
    } catch (cause) {
      throw new GatewayError('ORIGIN_BAD_RESPONSE', messageOf(cause), { cause })
    }
  }

  /** Ends it. @throws GatewayError ORIGIN_BAD_RESPONSE without a head, ORIGIN_CLOSED when it is shorter than the head says */
  end(): void {
    if (!this.#hasHead) throw new GatewayError('ORIGIN_BAD_RESPONSE', 'an end without a head')
    if (this.#length !== undefined && this.#bytes < this.#length)
      throw new GatewayError('ORIGIN_CLOSED', 'fewer bytes than Content-Length says')
    this.#isFlushed = true
    const rest = this.#hrefs?.end()
    if (rest !== undefined && rest.length > 0) {
      this.tap?.received(rest)
      this.call.end(rest)
    } else this.call.end()
    this.tap?.receivedEnd(this.#trailers)
  }

  /** The only honest end once the head is out. */
  cut(isHttp10: boolean): void {
    this.call.cut(this.#length === undefined && isHttp10)
  }

  /** Sends the head, if nothing has taken it along, and what waits with it. */
  flush(): void {
    if (this.#isFlushed && this.call.isWaiting !== true) return
    this.#isFlushed = true
    attempt(
      thrown => this.call.events?.onFault(thrown),
      () => {
        if (!this.call.isGone) this.call.flush()
      },
    )
  }
}

const flushHead = (answer: Answer): void => answer.flush()
