import { GatewayError } from '../../errors.ts'
import { encodeFields } from '../../payload/byte-codec.ts'
import { trustFieldsOf, type TrustFields } from '../../http/believed-fields.ts'
import { requestTrailers } from '../../http/request-fields.ts'
import type { EdgeLimits } from '../access/client-limits.ts'
import type { CarrierStream } from '../inner-layers/carrier.ts'
import type { EdgeRequest } from './edge-request.ts'
import type { ExchangeTimer } from './exchange-timer.ts'
import { ReplayBuffer } from './replay-buffer.ts'
import type { ForwardPlan } from './request-plan.ts'
import type { RequestRecord } from './request-record.ts'

/** The part of the context that uploads depend on. */
export interface UploadContext {
  readonly limits: Pick<EdgeLimits, 'uploadBytesPerSecond' | 'uploadGraceMs'>
  /** Fields that a trusted peer may send to every target. */
  readonly trustFields: TrustFields | undefined
  /** Milliseconds, rising. */
  readonly clock: () => number
}

/** The body of one request on its way from the client into a stream, at the speed of the slower of the two; kept for another one for a while. */
export class Upload {
  /** Undefined once it is not needed any more. */
  #replay: ReplayBuffer | undefined = new ReplayBuffer()
  #stream: CarrierStream | undefined
  #isRunning = false
  #isPaused = false

  /** @param timer  told of signs of life */
  constructor(
    private readonly context: UploadContext,
    private readonly call: EdgeRequest,
    private readonly plan: ForwardPlan,
    private readonly record: RequestRecord,
    private readonly timer: ExchangeTimer,
  ) {}

  /** True from `start` to the end of the body. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  /** True while the stream takes no more, so that the client has to wait. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  /** True while another stream could get everything that this one got. */
  get isRepeatable(): boolean {
    return this.#replay !== undefined && !this.#replay.isIncomplete
  }

  /** Reads from the client, from now on. Idempotent. */
  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.call.startUpload()
  }

  /** Sends what came so far into this stream, and what is still to come. */
  attach(stream: CarrierStream): void {
    this.#stream = stream
    for (const piece of this.#replay?.pieces ?? []) stream.write(piece)
    if (this.#replay?.hasEnded === true) this.#endStream()
    else if (this.#isRunning && !stream.needsPause) this.resume()
  }

  /** The stream is gone; another one may be attached. */
  detach(): void {
    this.sent()
    this.#stream = undefined
    if (this.#replay !== undefined) this.#replay.isTaken = false
  }

  /** There will be no other stream. */
  settle(): void {
    this.#replay = undefined
  }

  /** @throws GatewayError BODY_TOO_LARGE */
  add(chunk: Buffer): void {
    const { bytesIn } = this.record
    const { maxBodyBytes } = this.plan
    if (bytesIn > maxBodyBytes) throw new GatewayError('BODY_TOO_LARGE', `more than ${maxBodyBytes} bytes`)
    // What had been read already when the upload was paused: the request waits for an inner layer.
    if (this.#stream === undefined) return this.#replay?.add(chunk)
    this.sent()
    this.#replay?.add(chunk)
    this.timer.uploaded(chunk.length, this.#leastBytesPerSecond())
    // What a paused message still delivers may find room again, and then nobody says that there is some.
    if (this.#stream.write(chunk)) this.resume()
    else this.pause()
  }

  /** A stream may be as slow as it likes, and so may what is short; the rest of what has a length is to be sent. */
  #leastBytesPerSecond(): number {
    const { uploadBytesPerSecond, uploadGraceMs } = this.context.limits
    const isJudged = this.plan.request.body.kind === 'length' && this.context.clock() - this.record.startedMs > uploadGraceMs
    return isJudged ? uploadBytesPerSecond : 0
  }

  /** The body is complete. */
  end(): void {
    if (this.#replay !== undefined) this.#replay.hasEnded = true
    this.#isRunning = false
    this.timer.alive()
    this.#endStream()
  }

  #endStream(): void {
    const { treatment } = this.plan.target
    const trailers = requestTrailers(
      this.call.trailers,
      treatment?.requestFields,
      trustFieldsOf(this.context.trustFields, treatment?.trustFields),
    )
    this.#stream?.end(trailers.length === 0 ? undefined : encodeFields(trailers))
  }

  /** More of it may have left for the inner layer. */
  sent(): void {
    if (this.#stream !== undefined) this.#replay?.sent(this.#stream.sentBytes)
  }

  /** The origin has taken some of it. */
  taken(): void {
    if (this.#replay !== undefined) this.#replay.isTaken = true
    this.sent()
  }

  /** Pauses the upload, since no more can be taken for now. */
  pause(): void {
    if (!this.#isRunning || this.#isPaused) return
    this.#isPaused = true
    this.call.pauseUpload()
  }

  /** The stream takes more. */
  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.call.resumeUpload()
  }
}
