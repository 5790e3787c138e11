import { asGatewayError, ERRORS, GatewayError, type ErrorCode, type Refusal } from '../../errors.ts'
import { errorAnswer } from '../../http/errors/error-answer.ts'
import type { OwnErrorPages } from '../../http/errors/error-page.ts'
import { valuesOf } from '../../http/fields.ts'
import { guarded } from '../../net/guard.ts'
import type { ExchangeTap, Taps } from '../../tap/tap.ts'
import type { RequestLimit } from '../access/request-limit.ts'
import { Answer } from './answer.ts'
import type { ClientEvents, EdgeRequest } from './edge-request.ts'
import { BodyCollector } from './body-collector.ts'
import { Forwarding, type ForwardedExchange, type ForwardingContext } from './forwarding.ts'
import { visitorName } from '../../route/access.ts'
import { planRequest, type ForwardPlan, type LocalAnswer, type Plan, type PlanContext, type ServePlan } from './request-plan.ts'
import type { Switched } from './switched-connections.ts'
import { edgeStart, RequestRecord, type RecordContext } from './request-record.ts'

/** The context that all exchanges share: that of their parts, and the count of requests. */
export interface ExchangeContext extends PlanContext, RecordContext, ForwardingContext {
  /** Error pages of the operator. */
  readonly errorPages?: OwnErrorPages | undefined
  /** Address for complaints about sockets. */
  readonly abuse?: string | undefined
  readonly limits: PlanContext['limits'] & ForwardingContext['limits']
  readonly dispatch: ForwardingContext['dispatch']
  readonly requestLimit: RequestLimit
  /** Undefined: nobody looks at exchanges. */
  readonly taps?: Taps | undefined
}

/** The time within which the body of a request for a page of ours has to come. */
const OWN_BODY_MS = 30_000

/**
 * One request of a client from its head to its line in the log: the plan decides whether it is answered here or forwarded. Whatever fails
 * on the way ends in `refuse` or `fail`, which answer once, or cut.
 */
export class HttpExchange<Call extends EdgeRequest = EdgeRequest> implements ClientEvents, ForwardedExchange {
  readonly record: RequestRecord
  readonly answer: Answer
  #forwarding: Forwarding | undefined
  /** Gives back what the plan took. */
  #leave: (() => void) | undefined
  /** Of a page of ours. */
  #body: BodyCollector | undefined
  #late: NodeJS.Timeout | undefined
  /** The session of the visitor is no longer followed. */
  #unfollow: (() => void) | undefined
  /** Its bytes are no longer counted against a quota. */
  #unmeter: (() => void) | undefined
  #switched: Switched | undefined
  #hasEnded = false
  #tap: ExchangeTap | undefined

  /** @param onOver  the answer has left, or the client has: the end of everything */
  constructor(
    readonly context: ExchangeContext,
    readonly call: Call,
    private readonly onOver: (exchange: HttpExchange<Call>) => void,
  ) {
    this.record = new RequestRecord(context, call)
    this.answer = new Answer(call, context.clock)
    call.events = this
  }

  /** True when the whole request has come. */
  get isReceived(): boolean {
    return this.call.isReceived
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Admits the request and opens its stream, or answers why not. */
  start(): void {
    const { context, call, record } = this
    context.requestLimit.enter()
    try {
      const plan = planRequest(context, call, record)
      if (plan instanceof Promise) {
        // Before anything else may throw: a verdict that nobody waits for would end the process.
        plan
          .then(made => this.#proceed(made))
          .catch(
            guarded(
              fault => this.onFault(fault),
              thrown => this.refuse(thrown),
            ),
          )
        context.requestLimit.check()
      } else {
        if (plan.kind === 'forward') this.#leave = plan.leave
        context.requestLimit.check()
        this.#proceed(plan)
      }
    } catch (thrown) {
      this.refuse(thrown)
    }
  }

  #proceed(plan: Plan): void {
    if (plan.kind === 'forward') this.#leave = plan.leave
    if (this.context.taps !== undefined) this.#look(this.context.taps)
    // The client may have left while the plan was made.
    if (this.#hasEnded) return this.#release()
    if (plan.kind === 'serve') return this.#serve(plan)
    if (plan.kind === 'answer') {
      return this.#answerVisitor(plan.answer, plan.refusal)
    }
    this.#follow(plan)
    this.#forwarding = new Forwarding(this, plan, this.#tap)
    this.#forwarding.start()
  }

  /** Shows what happens from now on, where its target wants that. */
  #look(taps: Taps): void {
    const { record, call } = this
    if (this.#tap !== undefined || record.target?.isInspected !== true) return
    this.#tap = taps.open(edgeStart(call, record))
    this.answer.tap = this.#tap
  }

  /** An answer of ours, which may say no. */
  #answerVisitor(answer: LocalAnswer, refusal: { readonly code: ErrorCode; readonly reason: string } | undefined): void {
    const { record } = this
    if (refusal === undefined) return this.answerHere(answer)
    record.error = refusal.code
    record.reason = refusal.reason
    this.answerHere({ ...answer, fields: [...answer.fields, 'X-Request-Id', record.id] })
  }

  /** Ends the request with what let its visitor in, and with the quota of its socket. */
  #follow({ admittance, target }: ForwardPlan): void {
    this.#unfollow = admittance?.follow?.(reason => {
      this.#cut('VISITOR_SESSION_OVER', reason)
    })
    this.#unmeter = target.owner?.follow({
      bytes: () => this.#switched?.bytes() ?? this.record.bytesIn + this.answer.bytes,
      end: (code, reason) => this.#cut(code, reason),
    })
  }

  #cut(code: ErrorCode, reason: string): void {
    this.#switched?.end(code, reason)
    this.fail(code, reason)
  }

  /** Answers with a page of ours, once the body is here. */
  #serve({ page }: ServePlan): void {
    const { call, record } = this
    const { body = { kind: 'none' } } = record.request ?? {}
    if (body.kind === 'length' && body.length > page.maxBodyBytes)
      throw new GatewayError('BODY_TOO_LARGE', `${body.length} bytes are announced, a page of the gateway takes ${page.maxBodyBytes}`)
    const answer = (bytes: Buffer): void => {
      clearTimeout(this.#late)
      Promise.resolve()
        .then(() => page.answer(bytes))
        .then(made => {
          if (!this.#hasEnded) this.#answerVisitor(made, made.refusal)
        })
        .catch(
          guarded(
            fault => this.onFault(fault),
            thrown => this.refuse(thrown),
          ),
        )
    }
    if (body.kind === 'none' || (body.kind === 'length' && body.length === 0)) return answer(Buffer.alloc(0))
    this.#body = new BodyCollector(page.maxBodyBytes, answer)
    const late = guarded(
      fault => this.onFault(fault),
      () => this.fail('REQUEST_TIMEOUT', 'the body for a page of the gateway did not come in time'),
    )
    this.#late = setTimeout(late, OWN_BODY_MS).unref()
    if (record.request?.expectsContinue === true) call.writeContinue()
    call.startUpload()
  }

  // --- the client ---

  onUpload(chunk: Buffer): void {
    this.record.bytesIn += chunk.length
    if (this.#hasEnded) return
    this.#tap?.sent(chunk)
    this.#forwarding?.upload?.add(chunk)
    this.#body?.add(chunk)
  }

  onUploadEnd(): void {
    this.#tap?.sentEnd(this.call.trailers)
    this.#forwarding?.upload?.end()
    if (!this.#hasEnded) this.#body?.end()
  }

  onDrain(): void {
    this.#forwarding?.clientReads()
  }

  /** The response has left, or the client has: the end of everything. */
  onClosed(): void {
    if (!this.call.isFinished) this.record.error ??= 'CANCELLED'
    this.#hasEnded = true
    this.#forwarding?.stop('CANCELLED', 'the client is done')
    this.#over(this.answer.bytes)
  }

  // --- the ends ---

  /** The answer is complete; the client has not got all of it yet. */
  end(): void {
    this.#hasEnded = true
  }

  leftHttp(switched: Switched): void {
    this.#switched = switched
  }

  /** The connection has left HTTP and is over. */
  switched(bytesIn: number, bytesOut: number, failure: { readonly code: ErrorCode; readonly reason: string } | undefined): void {
    this.record.bytesIn = bytesIn
    this.record.error = failure?.code
    this.record.reason = failure?.reason
    this.#over(bytesOut)
  }

  /** Answers with an error of ours, or cuts when the head of the answer has gone out already. */
  refuse(thrown: unknown): void {
    const error = asGatewayError(thrown)
    if (error.code === 'INTERNAL')
      this.context.log.error({ err: thrown, requestId: this.record.id }, 'internal fault while handling a request')
    this.#fail(error, error.message)
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

  fail(code: ErrorCode, reason: string): void {
    this.#fail({ code }, reason)
  }

  #fail(refusal: Refusal, reason: string): void {
    if (this.#hasEnded || this.call.isGone) return
    const { code } = refusal
    if (this.context.taps !== undefined) this.#look(this.context.taps)
    this.record.error = code
    this.record.reason = reason
    this.#hasEnded = true
    this.#forwarding?.stop(ERRORS[code].reset > 0 ? code : 'CANCELLED', reason)
    if (this.call.hasHead) this.answer.cut(this.record.request?.isHttp10 === true)
    else this.#answerError(refusal)
  }

  #answerError(refusal: Refusal): void {
    const { call } = this
    const { errorPages: own, abuse } = this.context
    // Behind these is somebody whom the operator may not know.
    const isOfSocket = refusal.code === 'NO_SOCKET' || this.record.target?.owner !== undefined
    const options = { own, abuse: isOfSocket ? abuse : undefined }
    const answer = errorAnswer(refusal, this.record.id, valuesOf(call.request.fields, 'accept')[0], options)
    const closes = answer.status === 400 || (this.#mayHaveBody && !call.isReceived)
    if (closes || this.context.isDraining()) call.closeAfterwards()
    if (closes) call.discardUpload()
    this.answer.write(answer)
  }

  /** An answer that needs no inner layer, whole at once. */
  answerHere(answer: LocalAnswer): void {
    const { call } = this
    this.#hasEnded = true
    if (this.#mayHaveBody && !call.isReceived) {
      call.closeAfterwards()
      call.discardUpload()
    }
    this.answer.write(answer)
  }

  get #mayHaveBody(): boolean {
    return this.record.request?.body.kind !== 'none'
  }

  #release(): void {
    clearTimeout(this.#late)
    this.#leave?.()
    this.#leave = undefined
    this.#unfollow?.()
    this.#unfollow = undefined
    this.#unmeter?.()
    this.#unmeter = undefined
  }

  #over(bytesOut: number): void {
    this.context.requestLimit.leave()
    try {
      this.#release()
      const { connection, repeats } = this.#forwarding?.dispatch ?? {}
      const { error, reason, visitor } = this.record
      this.#tap?.end({ error, reason, innerLayer: connection?.identifier, visitor: visitor && visitorName(visitor) })
      this.record.end({ bytesOut, answeredMs: this.answer.startedMs, identifier: connection?.identifier, repeats })
    } finally {
      this.onOver(this) // whatever happens: else the request counts for ever
    }
  }
}
