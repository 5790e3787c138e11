import { ERRORS, GatewayError, type ErrorCode } from '../../errors.ts'
import type { ResponseHead } from '../../http/message.ts'
import { isIdempotent } from '../../http/methods.ts'
import { interimHead, MAX_INTERIM, responseHead, switchingHead } from '../../http/response-fields.ts'
import type { StreamHandler } from '../../mux/stream.ts'
import type { DeadlineQueues } from '../../net/deadline-queue.ts'
import { decodeResponseHead } from '../../payload/head-codec.ts'
import type { Log } from '../../telemetry/log.ts'
import type { EdgeLimits } from '../access/client-limits.ts'
import { watchSocket, type ExchangeTap } from '../../tap/tap.ts'
import type { CarrierStream } from '../inner-layers/carrier.ts'
import { Dispatch, type DispatchContext } from '../inner-layers/dispatch.ts'
import type { HeldRequest, HeldRequests } from '../inner-layers/held-requests.ts'
import type { Answer } from './answer.ts'
import type { EdgeRequest } from './edge-request.ts'
import { ExchangeTimer, type TimeoutListener, type WaitingFor } from './exchange-timer.ts'
import type { HostHints } from './host-hints.ts'
import { stickTo, type ForwardPlan, type LocalAnswer } from './request-plan.ts'
import type { RequestRecord } from './request-record.ts'
import { connectMsOf, withoutInnerTiming } from './inner-timing.ts'
import { ServerTiming } from './server-timing.ts'
import type { Switched, SwitchedConnections } from './switched-connections.ts'
import { Upload, type UploadContext } from './upload.ts'

/** The inner layer that had the request has gone, or takes no more: another one may come. */
const LOSSES: ReadonlySet<ErrorCode> = new Set(['INNER_LAYER_LOST', 'LINK_DEAD', 'REFUSED_STREAM', 'DRAINING'])

/** Why an inner layer does not answer. */
interface Loss {
  readonly code: ErrorCode
  readonly reason: string
}

/** The part of the context that forwarding depends on. */
export interface ForwardingContext extends UploadContext {
  readonly dispatch: DispatchContext
  readonly deadlines: DeadlineQueues
  /** Longest silence of an origin before its answer begins, where a target does not say; 0: any. */
  readonly headMs: number
  readonly limits: UploadContext['limits'] & Pick<EdgeLimits, 'idleMs' | 'writeStallMs'>
  readonly held: HeldRequests
  /** Hints about answers that refuse the Host. */
  readonly hints: HostHints
  readonly log: Log
  /** Answers say where the time went. */
  readonly serverTiming: boolean
  /** Connections that have left HTTP. */
  readonly switched: SwitchedConnections
  /** True once the process is leaving. */
  readonly isDraining: () => boolean
}

/** The exchange that is forwarded. */
export interface ForwardedExchange {
  readonly context: ForwardingContext
  readonly call: EdgeRequest
  readonly answer: Answer
  readonly record: RequestRecord
  /** Nothing more is to be done. */
  readonly hasEnded: boolean
  /** The answer is complete. */
  end(): void
  /** The connection has left HTTP. */
  leftHttp(switched: Switched): void
  /** The connection has left HTTP and is over. @param failure  undefined after a clean end */
  switched(bytesIn: number, bytesOut: number, failure: { readonly code: ErrorCode; readonly reason: string } | undefined): void
  /** Answers with the error, or cuts. */
  fail(code: ErrorCode, reason: string): void
  refuse(thrown: unknown): void
  /** An event threw: ends the request in any case. */
  onFault(thrown: unknown): void
  /** Answers without the origin. */
  answerHere(answer: LocalAnswer): void
}

/** Steps 6 to 8 and 12 of the path: one request into a stream, and what comes back to the client; if need be by way of another inner layer. */
export class Forwarding implements StreamHandler, TimeoutListener, HeldRequest {
  readonly dispatch: Dispatch
  readonly #timer = new ExchangeTimer(this)
  readonly #timing: ServerTiming | undefined
  #upload: Upload | undefined
  #stream: CarrierStream | undefined
  #interimCount = 0
  #isHeld = false
  #loss: Loss | undefined

  constructor(
    private readonly exchange: ForwardedExchange,
    private readonly plan: ForwardPlan,
    private readonly tap?: ExchangeTap,
  ) {
    const { context, record } = exchange
    this.dispatch = new Dispatch(context.dispatch)
    if (context.serverTiming) this.#timing = new ServerTiming(record.startedMs, context.clock)
  }

  /** The body of the request; undefined when it has none, and before the first stream. */
  get upload(): Upload | undefined {
    return this.#upload
  }

  /** Opens the stream, or waits until that is possible. @throws GatewayError when it is not */
  start(): void {
    if (!this.#open()) this.#hold()
  }

  /** The client reads again. */
  clientReads(): void {
    this.#timer.clientReads()
    this.#stream?.consumed(this.exchange.answer.drained())
  }

  /** Nothing more is to be done: ends the stream, if it has not ended by itself. Idempotent. */
  stop(code: ErrorCode, reason: string): void {
    if (this.#isHeld) this.exchange.context.held.delete(this)
    this.#timer.stop()
    this.#stream?.reset(code, reason)
    this.#stream = undefined
  }

  // --- request ---

  /** @returns false when no inner layer is connected that could be asked */
  #open(): boolean {
    const { exchange, plan } = this
    const { context } = exchange
    const { body, expectsContinue } = plan.request
    const hasUpload = body.kind === 'stream' || (body.kind === 'length' && body.length > 0)
    // After a switch the other half of the stream carries what the client sends.
    const stream = this.dispatch.open(plan, this, { end: !hasUpload && plan.upgrade === '' })
    if (stream === undefined) return false
    this.#stream = stream
    this.#timing?.dispatched(this.dispatch.connection?.session.roundTripMs ?? 0)
    this.tap?.mark('dispatched')
    this.tap?.link(this.dispatch.connection?.session.roundTripMs ?? 0)
    stickTo(plan, this.dispatch.stickTo)
    this.#timer.awaitHead(context.deadlines.of(plan.target.timeouts?.headMs ?? context.headMs))
    if (!hasUpload) return true
    if (this.#upload === undefined) {
      this.#upload = new Upload(context, exchange.call, plan, exchange.record, this.#timer)
      this.#upload.attach(stream)
      if (!expectsContinue) this.#upload.start()
    } else this.#upload.attach(stream)
    return true
  }

  /**
   * No inner layer is connected for the target: waits a little for one to come back, if that is wanted.
   * @param loss  what became of the one that had the request; undefined: none had it
   */
  #hold(loss?: Loss): void {
    const { held, deadlines } = this.exchange.context
    const { target } = this.plan
    const holdMs = held.patienceMs(target)
    this.#loss = loss
    if (holdMs === 0 || !held.add(this, target)) return this.#miss()
    this.#isHeld = true
    this.#timer.awaitInner(deadlines.of(holdMs))
    this.#upload?.pause()
  }

  /** None came, either. */
  #miss(after = ''): void {
    const { target } = this.plan
    const { name, maintenance } = target
    if (target.absence !== undefined) this.exchange.fail(target.absence, (this.#loss?.reason ?? `nobody serves ${name}`) + after)
    else if (this.#loss !== undefined) this.exchange.fail(this.#loss.code, this.#loss.reason + after)
    else if (target.owner !== undefined) this.exchange.fail('NO_TUNNEL', `no tunnel of ${name} is connected${after}`)
    else if (maintenance === undefined) this.exchange.fail('NO_INNER_LAYER', this.dispatch.absence(name, target) + after)
    else this.exchange.answerHere({ ...maintenance, fields: [...maintenance.fields] })
  }

  retry(): void {
    if (this.exchange.hasEnded) return
    try {
      // The one that came may be for others: then the time goes on.
      if (!this.#open() && !this.exchange.context.held.add(this, this.plan.target)) this.#miss()
    } catch (thrown) {
      this.exchange.refuse(thrown)
    }
  }

  onWritable(): void {
    this.#upload?.resume()
  }

  onCredit(): void {
    this.#timer.alive()
    this.#upload?.taken()
  }

  // --- response ---

  onHead(payload: Buffer, info: boolean): void {
    const { exchange, plan } = this
    const { answer, call, context } = exchange
    if (answer.hasHead) throw new GatewayError('ORIGIN_BAD_RESPONSE', 'a second head')
    const decoded = decodeResponseHead(payload)
    if (info) return this.#interim(decoded)
    const head = plan.target.isInspected === true ? this.#timed(decoded) : decoded
    if (head.status === 101) return this.#switch(head)
    const writable = responseHead(head, plan.response)
    this.#timing?.addTo(writable.fields)
    const { expectsContinue, isHttp10 } = plan.request
    const isCutShort = this.#upload?.isRunning === true || (expectsContinue && !call.isReceived)
    if (isCutShort || context.isDraining() || (isHttp10 && !writable.hasLength)) call.closeAfterwards()
    answer.begin(writable, context.hints.watch(plan.target, head.status))
    if (plan.upgrade !== '') this.#stream?.end()
    this.#upload?.settle()
    this.dispatch.answered(plan.target)
    this.#timer.awaitBody(context.deadlines.of(plan.target.timeouts?.idleMs ?? context.limits.idleMs))
  }

  /** Shows what the inner layer says of its connection, and keeps that from clients where nobody wants them to be told. */
  #timed(head: ResponseHead): ResponseHead {
    const connectMs = connectMsOf(head)
    if (connectMs === undefined) return head
    this.tap?.connect(connectMs)
    return this.#timing === undefined ? withoutInnerTiming(head) : head
  }

  #interim(head: ResponseHead): void {
    if (++this.#interimCount > MAX_INTERIM) throw new GatewayError('ORIGIN_BAD_RESPONSE', `more than ${MAX_INTERIM} interim responses`)
    this.#timer.alive()
    const { call } = this.exchange
    const { expectsContinue, isHttp10 } = this.plan.request
    if (head.status === 100) {
      if (!expectsContinue || this.#upload?.isRunning === true) return
      call.writeContinue()
      this.tap?.interim(100, 'Continue', [])
      this.#upload?.start()
    } else if (!isHttp10) {
      const { status, reason, fields } = interimHead(head, this.plan.response)
      call.writeInterim(status, reason, fields)
      this.tap?.interim(status, reason, fields)
    }
  }

  /** RFC 9110 §15.2.2. From here on bytes are bytes, and this only waits for the end of them. */
  #switch(head: ResponseHead): void {
    const { exchange, plan } = this
    const { call, answer, context } = exchange
    // Without a switch on offer there is no protocol that the head could name.
    const switching = switchingHead(head, call.switchProtocols === undefined ? '' : plan.upgrade, plan.response)
    const client = call.switchProtocols?.(plan.upgrade, switching)
    const stream = this.#stream
    if (client === undefined || stream === undefined) throw new GatewayError('ORIGIN_BAD_RESPONSE', 'a switch of protocols')
    this.#stream = undefined
    exchange.end()
    this.#timer.stop()
    answer.begun()
    const { tap } = this
    tap?.switched(plan.upgrade, switching.reason, switching.fields)
    const switched = context.switched.join(stream, client, {
      ...(tap !== undefined && { watch: watchSocket(tap, 'client') }),
      idleMs: plan.target.timeouts?.idleMs,
      isWebSocket: plan.upgrade.toLowerCase() === 'websocket',
      onEnd: ({ code, reason, bytesIn, bytesOut, thrown }) => {
        if (thrown !== undefined)
          context.log.error({ err: thrown, requestId: exchange.record.id }, 'internal fault in an upgraded connection')
        exchange.switched(bytesIn, bytesOut, code === undefined ? undefined : { code, reason })
      },
    })
    exchange.leftHttp(switched)
  }

  onData(chunk: Buffer): void {
    const { answer, context } = this.exchange
    if (answer.data(chunk)) {
      this.#timer.alive()
      this.#stream?.consumed(chunk.length)
    } else this.#timer.awaitClient(context.deadlines.of(context.limits.writeStallMs))
  }

  onTrailers(payload: Buffer): void {
    if (!this.plan.request.isHttp10) this.exchange.answer.trailers(payload)
  }

  onEnd(): void {
    const { exchange } = this
    try {
      exchange.answer.end()
    } catch (thrown) {
      return exchange.refuse(thrown)
    }
    exchange.end()
    if (this.#upload?.isRunning === true) exchange.call.discardUpload()
  }

  // --- failure ---

  onReset(received: ErrorCode, reason: string): void {
    const { exchange } = this
    const code = isAnswer(received) ? received : 'PROTOCOL'
    this.#stream = undefined
    this.#upload?.detach()
    if (exchange.hasEnded) return
    this.#blame(code)
    if (this.#mayRepeat(code)) {
      const fields = { requestId: exchange.record.id, code, reason, identifier: this.dispatch.connection?.identifier }
      exchange.context.log.debug(fields, 'moving a request to another inner layer')
      try {
        if (this.#open()) return
      } catch (thrown) {
        return exchange.refuse(thrown)
      }
      if (LOSSES.has(code)) return this.#hold({ code, reason })
    }
    // When there is no other one to try, the failure is the answer.
    const { absence } = this.plan.target
    exchange.fail(absence !== undefined && LOSSES.has(code) ? absence : code, reason)
  }

  #mayRepeat(code: ErrorCode): boolean {
    const { answer, call } = this.exchange
    if (answer.hasHead || call.isGone || this.#upload?.isRepeatable === false) return false
    const { target, request } = this.plan
    return this.dispatch.mayRepeat(code, isIdempotent(request.method), target.retries)
  }

  onLate(awaited: WaitingFor): void {
    const { exchange } = this
    if (awaited === 'client') return exchange.fail('CLIENT_STALLED', 'the client does not read the answer (--write-timeout)')
    if (awaited === 'inner') return this.#miss('; none came within --hold')
    if (awaited === 'body')
      return exchange.fail('ORIGIN_TIMEOUT', 'no byte of the body within --idle-timeout or timeouts.idle of the target')
    // Bytes that the origin has not taken make it the silent one; otherwise it is the client that stalls its upload.
    if (this.#upload?.isRunning === true && !this.#upload.isPaused)
      return exchange.fail('REQUEST_TIMEOUT', 'the upload stands still, or nearly so')
    this.#blame('ORIGIN_TIMEOUT')
    const option = this.plan.target.timeouts?.headMs === undefined ? '--timeout' : 'timeouts.head of the target'
    exchange.fail('ORIGIN_TIMEOUT', `no sign of life within ${option}`)
  }

  onFault(thrown: unknown): void {
    this.exchange.onFault(thrown)
  }

  /** Counts a failure against the inner layer, unless the answer had begun. */
  #blame(code: ErrorCode): void {
    if (!this.exchange.answer.hasHead) this.dispatch.failed(this.plan.target, code)
  }
}

/** An inner layer may be broken or taken: what it sends need not be a code that a client can be told. */
const isAnswer = (code: ErrorCode): boolean => ERRORS[code].status > 0 && code !== 'CANCELLED'
