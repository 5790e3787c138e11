import { asGatewayError, ERRORS, GatewayError, type ErrorCode, type Refusal } from '../../errors.ts'
import { acceptsJson } from '../../http/accept.ts'
import { encodeFields } from '../../payload/byte-codec.ts'
import { valuesOf } from '../../http/fields.ts'
import { decodeResponseHead } from '../../payload/head-codec.ts'
import { loggedPath } from '../../http/logged-path.ts'
import { isIdempotent } from '../../http/methods.ts'
import { requestTrailers } from '../../http/request-fields.ts'
import { interimHead, MAX_INTERIM, responseHead, switchingHead } from '../../http/response-fields.ts'
import type { StreamHandler } from '../../mux/stream.ts'
import { guarded } from '../../net/guard.ts'
import type { AccessRecord } from '../../telemetry/access-log.ts'
import { Answer } from './answer.ts'
import type { EdgeRequest, ClientEvents } from './edge-request.ts'
import type { EdgeContext } from './exchange-context.ts'
import { errorAnswer } from '../../http/error-answer.ts'
import { ExchangeTimer, type WaitingFor, type TimeoutListener } from './exchange-timer.ts'
import type { CarrierStream } from '../inner-layers/carrier.ts'
import { Dispatch } from '../inner-layers/dispatch.ts'
import type { HeldRequest } from '../inner-layers/held-requests.ts'
import { ReplayBuffer } from './replay-buffer.ts'
import { RequestPlan, type LocalAnswer } from './request-plan.ts'
import { spanAttributes } from './request-span.ts'
import { ServerTiming } from './server-timing.ts'

/** Steps 1 to 8 and 12 of the path: one request of a client, one stream, one answer. */
export class HttpExchange<Call extends EdgeRequest = EdgeRequest> implements StreamHandler, ClientEvents, TimeoutListener, HeldRequest {
  readonly id: string
  readonly #startedMs: number
  readonly #plan = new RequestPlan()
  #timing: ServerTiming | undefined
  readonly #timer = new ExchangeTimer(this)
  readonly #answer: Answer
  readonly #dispatch: Dispatch
  #stream: CarrierStream | undefined
  /** What of the upload is kept for another inner layer; undefined before it has begun, and once it is not needed any more. */
  #replay: ReplayBuffer | undefined
  #error: ErrorCode | undefined
  #reason: string | undefined
  #bytesIn = 0
  #interimCount = 0
  #isUploading = false
  #isUploadPaused = false
  #isHeld = false
  #hasEnded = false

  /** @param onOver  the answer has left, or the client has: the end of everything */
  constructor(
    private readonly edge: EdgeContext,
    readonly call: Call,
    private readonly onOver: (exchange: HttpExchange<Call>) => void,
  ) {
    this.id = edge.nextId()
    this.#startedMs = edge.clock()
    this.#answer = new Answer(call, edge.clock)
    this.#dispatch = new Dispatch(edge.dispatch)
    if (edge.serverTiming) this.#timing = new ServerTiming(edge.clock)
    call.events = this
  }

  /** Admits the request and opens its stream, or answers why not. */
  start(): void {
    this.edge.requestLimit.enter()
    try {
      const plan = this.#plan
      plan.make(this.edge, this.call)
      // Before anything else may throw: a verdict that nobody waits for would end the process. The client may have left until then.
      plan.pending
        ?.then(() => (this.#hasEnded ? plan.release() : this.#proceed()))
        .catch(
          guarded(
            fault => this.onFault(fault),
            thrown => this.refuse(thrown),
          ),
        )
      this.edge.requestLimit.check()
      if (plan.pending === undefined) this.#proceed()
    } catch (thrown) {
      this.refuse(thrown)
    }
  }

  #proceed(): void {
    const { answer } = this.#plan
    if (answer !== undefined) this.#answerHere(answer)
    else if (!this.#open()) this.#hold()
  }

  /** True when the whole request has come. */
  get isReceived(): boolean {
    return this.call.isReceived
  }

  /** Answers with an error of ours, or cuts when the head of the answer has gone out already. */
  refuse(thrown: unknown): void {
    const error = asGatewayError(thrown)
    if (error.code === 'INTERNAL') this.edge.log.error({ err: thrown, requestId: this.id }, 'internal fault while handling a request')
    this.#fail(error.code, error.message, error.fields)
  }

  /** An event of this request threw. What was ending already is cut, so that it does end. */
  onFault(thrown: unknown): void {
    const wasEnding = this.#hasEnded
    try {
      this.refuse(thrown)
      if (wasEnding) this.call.cut(true)
    } catch (second) {
      this.call.cut(true)
      throw second
    }
  }

  // --- request ---

  /** @returns false when no inner layer is connected that could be asked */
  #open(): boolean {
    const { body, expectsContinue } = this.#plan.request!
    const hasUpload = body.kind === 'stream' || (body.kind === 'length' && body.length > 0)
    // After a switch the other half of the stream carries what the client sends.
    const stream = this.#dispatch.open(this.#plan.streamRequest, this, { end: !hasUpload && this.#plan.upgrade === '' })
    if (stream === undefined) return false
    this.#stream = stream
    this.#timing?.dispatched(this.#dispatch.connection!.session.roundTripMs)
    this.#plan.stick(this.#dispatch.stickTo)
    this.#timer.awaitHead(this.edge.deadlines.of(this.#plan.target!.timeouts?.headMs ?? this.edge.headMs))
    if (!hasUpload) return true
    const replay = this.#replay
    if (replay === undefined) {
      this.#replay = new ReplayBuffer()
      if (!expectsContinue) this.#startUpload()
      return true
    }
    stream.write(replay.bytes)
    if (replay.hasEnded) this.#endUpload()
    else if (this.#isUploading && !stream.needsPause) this.#resumeUpload()
    return true
  }

  /** No inner layer is connected for the target: waits a little for one to come back, if that is wanted. */
  #hold(): void {
    const { held, limits, deadlines } = this.edge
    if (limits.holdMs > 0 && held.add(this)) {
      if (!this.#isHeld) this.#timer.awaitInner(deadlines.of(limits.holdMs))
      this.#isHeld = true
    } else this.#miss()
  }

  /** None came, either. */
  #miss(after = ''): void {
    const { name, identifiers, maintenance } = this.#plan.target!
    if (maintenance === undefined) this.#fail('NO_INNER_LAYER', this.#dispatch.absence(name, identifiers) + after)
    else this.#answerHere({ ...maintenance, fields: [...maintenance.fields] })
  }

  retry(): void {
    if (this.#hasEnded) return
    try {
      if (!this.#open()) this.#hold()
    } catch (thrown) {
      this.refuse(thrown)
    }
  }

  #startUpload(): void {
    if (this.#isUploading) return
    this.#isUploading = true
    this.call.startUpload()
  }

  onUpload(chunk: Buffer): void {
    this.#bytesIn += chunk.length
    if (this.#hasEnded || this.#stream === undefined) return
    const { maxBodyBytes } = this.#plan
    if (this.#bytesIn > maxBodyBytes) return this.#fail('BODY_TOO_LARGE', `more than ${maxBodyBytes} bytes`)
    this.#replay?.add(chunk)
    this.#timer.uploaded(chunk.length, this.#leastUpload())
    if (!this.#stream.write(chunk)) {
      this.#isUploadPaused = true
      this.call.pauseUpload()
    }
  }

  /** Bytes per second. A stream may be as slow as it likes, and so may what is short; the rest of what has a length is to be sent. */
  #leastUpload(): number {
    const { uploadBytesPerSecond, uploadGraceMs } = this.edge.limits
    const isJudged = this.#plan.request!.body.kind === 'length' && this.edge.clock() - this.#startedMs > uploadGraceMs
    return isJudged ? uploadBytesPerSecond : 0
  }

  onUploadEnd(): void {
    if (this.#replay !== undefined) this.#replay.hasEnded = true
    this.#isUploading = false
    this.#timer.alive()
    this.#endUpload()
  }

  #endUpload(): void {
    const { treatment } = this.#plan.target!
    const trailers = requestTrailers(this.call.trailers, treatment?.requestFields, [this.edge.trustFields, treatment?.trustFields])
    this.#stream?.end(trailers.length === 0 ? undefined : encodeFields(trailers))
  }

  #resumeUpload(): void {
    if (!this.#isUploadPaused) return
    this.#isUploadPaused = false
    this.call.resumeUpload()
  }

  onWritable(): void {
    this.#resumeUpload()
  }

  onCredit(): void {
    this.#timer.alive()
  }

  // --- response ---

  onHead(payload: Buffer, info: boolean): void {
    if (this.#answer.hasHead) throw new GatewayError('ORIGIN_BAD_RESPONSE', 'a second head')
    const head = decodeResponseHead(payload)
    if (info) return this.#interim(head)
    if (head.status === 101) return this.#switch(head)
    const writable = responseHead(head, this.#plan.response!)
    this.#timing?.addTo(writable.fields)
    const { expectsContinue, isHttp10 } = this.#plan.request!
    const isCutShort = this.#isUploading || (expectsContinue && !this.call.isReceived)
    if (isCutShort || this.edge.isDraining() || (isHttp10 && !writable.hasLength)) this.call.closeAfterwards()
    this.#answer.begin(writable)
    if (this.#plan.upgrade !== '') this.#stream?.end()
    this.#replay = undefined // there will be no other attempt
    this.#dispatch.answered(this.#plan.target!)
    this.#timer.awaitBody(this.edge.deadlines.of(this.#plan.target!.timeouts?.idleMs ?? this.edge.limits.idleMs))
  }

  #interim(head: ReturnType<typeof decodeResponseHead>): void {
    if (++this.#interimCount > MAX_INTERIM) throw new GatewayError('ORIGIN_BAD_RESPONSE', `more than ${MAX_INTERIM} interim responses`)
    this.#timer.alive()
    const { expectsContinue, isHttp10 } = this.#plan.request!
    if (head.status === 100) {
      if (!expectsContinue || this.#isUploading) return
      this.call.writeContinue()
      this.#startUpload()
    } else if (!isHttp10) {
      const { status, reason, fields } = interimHead(head, this.#plan.response!)
      this.call.writeInterim(status, reason, fields)
    }
  }

  /** RFC 9110 §15.2.2. From here on bytes are bytes, and this only waits for the end of them. */
  #switch(head: ReturnType<typeof decodeResponseHead>): void {
    const { call, edge } = this
    const { upgrade, target, response } = this.#plan
    const switching = switchingHead(head, call.switchProtocols === undefined ? '' : upgrade, response!)
    const client = call.switchProtocols!(upgrade, switching)
    const stream = this.#stream!
    this.#stream = undefined
    this.#hasEnded = true
    this.#timer.stop()
    this.#answer.begun()
    edge.switched.join(stream, client, {
      idleMs: target!.timeouts?.idleMs,
      onEnd: ({ code, reason, bytesIn, bytesOut, thrown }) => {
        if (thrown !== undefined) edge.log.error({ err: thrown, requestId: this.id }, 'internal fault in an upgraded connection')
        this.#error = code
        if (code !== undefined) this.#reason = reason
        this.#bytesIn = bytesIn
        this.#over(bytesOut)
      },
    })
  }

  onData(chunk: Buffer): void {
    if (this.#answer.data(chunk)) {
      this.#timer.alive()
      this.#stream?.consumed(chunk.length)
    } else this.#timer.awaitClient(this.edge.deadlines.of(this.edge.limits.writeStallMs))
  }

  onDrain(): void {
    this.#timer.clientReads()
    this.#stream?.consumed(this.#answer.drained())
  }

  onTrailers(payload: Buffer): void {
    if (!this.#plan.request!.isHttp10) this.#answer.trailers(payload)
  }

  onEnd(): void {
    try {
      this.#answer.end()
    } catch (thrown) {
      return this.refuse(thrown)
    }
    this.#hasEnded = true
    if (this.#isUploading) this.call.discardUpload()
  }

  // --- failure ---

  onReset(received: ErrorCode, reason: string): void {
    const code = isAnswer(received) ? received : 'PROTOCOL'
    this.#stream = undefined
    if (this.#hasEnded) return
    this.#blame(code)
    if (this.#mayRepeat(code)) {
      const fields = { requestId: this.id, code, reason, identifier: this.#dispatch.connection?.identifier }
      this.edge.log.debug(fields, 'moving a request to another inner layer')
      try {
        if (this.#open()) return
      } catch (thrown) {
        return this.refuse(thrown)
      }
    }
    // When there is no other one to try, the failure is the answer.
    this.#fail(code, reason)
  }

  #mayRepeat(code: ErrorCode): boolean {
    if (this.#answer.hasHead || this.call.isGone || this.#replay?.isIncomplete === true) return false
    const { target, request } = this.#plan
    return this.#dispatch.mayRepeat(code, isIdempotent(request!.method), target!.retries)
  }

  onLate(awaited: WaitingFor): void {
    if (awaited === 'client') return this.#fail('CLIENT_STALLED', 'the client does not read the answer (--write-timeout)')
    if (awaited === 'inner') return this.#miss('; none came within --hold')
    if (awaited === 'body') return this.#fail('ORIGIN_TIMEOUT', 'no byte of the body within --idle-timeout or timeouts.idle of the target')
    // Bytes that the origin has not taken make it the silent one; otherwise it is the client that stalls its upload.
    if (this.#isUploading && !this.#isUploadPaused) this.#fail('REQUEST_TIMEOUT', 'the upload stands still, or nearly so')
    else {
      this.#blame('ORIGIN_TIMEOUT')
      const option = this.#plan.target!.timeouts?.headMs === undefined ? '--timeout' : 'timeouts.head of the target'
      this.#fail('ORIGIN_TIMEOUT', `no sign of life within ${option}`)
    }
  }

  /** What has failed before it was answered counts against its inner layer. */
  #blame(code: ErrorCode): void {
    if (!this.#answer.hasHead) this.#dispatch.failed(this.#plan.target!, code)
  }

  #fail(code: ErrorCode, reason: string, fields?: readonly string[]): void {
    if (this.#hasEnded || this.call.isGone) return
    this.#error = code
    this.#reason = reason
    this.#stream?.reset(ERRORS[code].reset > 0 ? code : 'CANCELLED', reason)
    this.#stream = undefined
    this.#hasEnded = true
    this.#timer.stop()
    if (this.call.hasHead) this.#answer.cut(this.#plan.request?.isHttp10 === true)
    else this.#answerError({ code, ...(fields !== undefined && { fields }) })
  }

  #answerError(refusal: Refusal): void {
    const { call } = this
    const answer = errorAnswer(refusal, this.id, acceptsJson(valuesOf(call.request.fields, 'accept')[0]))
    const { request } = this.#plan
    const hasUpload = request === undefined || request.body.kind !== 'none'
    const closes = answer.status === 400 || (hasUpload && !call.isReceived)
    if (closes || this.edge.isDraining()) call.closeAfterwards()
    if (closes) call.discardUpload()
    this.#answer.write(answer)
  }

  /** An answer that needs no inner layer, whole at once. */
  #answerHere(answer: LocalAnswer): void {
    const { call } = this
    this.#hasEnded = true
    if (!call.isReceived && this.#plan.request!.body.kind !== 'none') {
      call.closeAfterwards()
      call.discardUpload()
    }
    this.#answer.write(answer)
  }

  /** The response has left, or the client has: the end of everything. */
  onClosed(): void {
    if (this.#isHeld) this.edge.held.delete(this)
    this.#timer.stop()
    if (!this.call.isFinished && this.#error === undefined) this.#error = 'CANCELLED'
    this.#hasEnded = true
    this.#stream?.reset('CANCELLED', 'the client is done')
    this.#stream = undefined
    this.#over()
  }

  #over(bytesOut = this.#answer.bytes): void {
    this.edge.requestLimit.leave()
    try {
      this.#plan.release()
      this.#log(bytesOut)
    } finally {
      this.onOver(this) // whatever happens: else the request counts for ever
    }
  }

  #log(bytesOut: number): void {
    const { call } = this
    const { request, client, target } = this.#plan
    const { startedMs } = this.#answer
    const record: AccessRecord = {
      requestId: this.id,
      client: client?.address ?? call.peer.address,
      host: request?.host ?? valuesOf(call.request.fields, 'host')[0] ?? '',
      method: call.request.method,
      path: loggedPath(call.request.target),
      status: call.hasHead ? call.status : ERRORS[this.#error ?? 'CANCELLED'].status,
      bytesIn: this.#bytesIn,
      bytesOut,
      durationMs: this.edge.clock() - this.#startedMs,
      firstByteMs: startedMs === undefined ? undefined : startedMs - this.#startedMs,
      target: target?.name,
      identifier: this.#dispatch.connection?.identifier,
      repeats: this.#dispatch.repeats,
      error: this.#error,
      reason: this.#reason,
    }
    this.edge.access(record)
    this.#plan.span?.end({ status: call.hasHead ? call.status : 0, error: this.#error, attributes: spanAttributes(record) })
  }
}

/** An inner layer may be broken or taken: what it sends need not be a code that a client can be told. */
const isAnswer = (code: ErrorCode): boolean => ERRORS[code].status > 0 && code !== 'CANCELLED'
