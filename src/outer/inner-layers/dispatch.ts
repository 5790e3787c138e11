import { ERRORS, GatewayError, type ErrorCode } from '../../errors.ts'
import type { RequestHead } from '../../http/message.ts'
import type { StreamHandler } from '../../mux/stream.ts'
import type { RepeatedFields } from '../../payload/byte-codec.ts'
import { encodeRequestHead } from '../../payload/head-codec.ts'
import type { Retries, ServedBy, Target } from '../../route/target.ts'
import type { Balancer, Wanted } from './balancer.ts'
import type { CarrierStream } from './carrier.ts'
import type { OriginProfiles } from './origin-profiles.ts'
import type { OriginPlace } from './origin-refusals.ts'
import type { InnerConnection } from './registry.ts'

/** Where the target does not say. */
const MAX_ATTEMPTS = 3
/** No byte of the request has reached an origin. TLS can fail in the middle of one as well. */
const UNREACHED: ReadonlySet<ErrorCode> = new Set(['ORIGIN_REFUSED', 'ORIGIN_DNS', 'ORIGIN_CONNECT_TIMEOUT'])
/** It may have been executed. */
const UNANSWERED: ReadonlySet<ErrorCode> = new Set(['ORIGIN_CLOSED', 'ORIGIN_TIMEOUT'])

/** Codes that, once said by one connection of an inner layer, all of its others would say. */
const OF_THE_PROCESS: ReadonlySet<ErrorCode> = new Set(['ORIGIN_FORBIDDEN', 'INNER_EXHAUSTED'])

/** The context that all dispatches share. */
export interface DispatchContext {
  readonly balancer: Balancer
  readonly profiles: OriginProfiles
}

/** A head that ends with a list of fields, of which an inner layer may know the number. */
export interface ListedHead {
  readonly head: RequestHead
  readonly list: RepeatedFields
}

/** The target that a stream is opened for, and the head of the stream. */
export type StreamRequest = Wanted & {
  /** Of the OPEN frame, or what it is made of for each inner layer. */
  readonly payload: Uint8Array | ListedHead
  /** Number of the origin profile that the head names; 0 or undefined for none. */
  readonly profile?: number
}

/** The way of one request or connection through the inner layers: picks one, opens a stream there, and says whether another may be tried. */
export class Dispatch {
  #connection: InnerConnection | undefined
  #tried: InnerConnection[] | undefined
  #attempts = 0
  /** Undefined: what is refused there is not remembered. */
  #target: OriginPlace | undefined
  /** The last one whose allow-list has refused the origin. */
  #refusing: InnerConnection | undefined
  #stickTo: string | undefined

  constructor(private readonly context: DispatchContext) {}

  /** The one that was picked last; undefined before. */
  get connection(): InnerConnection | undefined {
    return this.#connection
  }

  /** Attempts that have failed; undefined for none. */
  get repeats(): number | undefined {
    return this.#tried === undefined ? undefined : this.#attempts
  }

  /** The value that the client's cookie has to have from now on; undefined: it is right, or there is none. */
  get stickTo(): string | undefined {
    return this.#stickTo
  }

  /**
   * Opens a stream at the inner layer whose turn it is.
   * @param options  `end`: nothing follows the head
   * @returns undefined when no inner layer is connected that may serve it and has not failed
   * @throws GatewayError OVERLOADED when all that might are full; HEADERS_TOO_LARGE for a head that fits into no frame
   */
  open(request: StreamRequest, handler: StreamHandler, options?: { readonly end?: boolean }): CarrierStream | undefined {
    const { balancer, profiles } = this.context
    const { connection, stickTo } = balancer.pick(request, this.#tried)
    if (connection === 'none') return undefined
    if (connection === 'full') throw new GatewayError('OVERLOADED', 'every inner layer has as many streams as it takes')
    this.#connection = connection
    // The tunnels of a socket are few and not the operator's: each may refuse what it wants, as often as it is asked.
    this.#target = request.target.pool === 'tunnel' ? undefined : request.target
    this.#stickTo = stickTo
    if (request.profile !== undefined) profiles.announce(connection.session, request.profile)
    const { payload } = request
    return connection.session.open(payload instanceof Uint8Array ? payload : payloadOf(payload, connection), handler, options)
  }

  /** Why `open` has found none, in words for the log. @param name  of the target */
  absence(name: string, target: ServedBy): string {
    return this.context.balancer.absence(name, target)
  }

  /**
   * The stream has failed with `code` before anything was answered: may the same be asked of another inner layer? Then `open` does.
   * @param isIdempotent  it does no harm to do it twice, or the origin can have got nothing of it
   * @param retries       what the target says; undefined: failures of the origin are not repeated
   */
  mayRepeat(code: ErrorCode, isIdempotent: boolean, retries?: Retries): boolean {
    const connection = this.#connection
    if (connection === undefined) return false
    const isForbidden = code === 'ORIGIN_FORBIDDEN'
    const allowed = retries === undefined ? MAX_ATTEMPTS : retries.attempts + 1
    // A refusal by an allow-list is remembered, so that it costs each inner layer one request.
    if ((!isForbidden && this.#attempts + 1 >= allowed) || !this.#isRepeatable(code, isIdempotent, retries)) return false
    this.#attempts++
    const { registry, refusals } = this.context.balancer
    const failed = OF_THE_PROCESS.has(code) ? [connection, ...registry.processOf(connection)] : [connection]
    this.#tried = [...(this.#tried ?? []), ...failed]
    if (isForbidden && this.#target !== undefined) {
      this.#refusing = connection
      refusals.add(this.#target, connection)
    }
    return true
  }

  /** The budget is asked last, and only for failures of the origin. */
  #isRepeatable(code: ErrorCode, isIdempotent: boolean, retries: Retries | undefined): boolean {
    const { retry } = ERRORS[code]
    if (retry === 'always' || (retry === 'idempotent' && isIdempotent)) return true
    if (retries === undefined) return false
    return (UNREACHED.has(code) || (UNANSWERED.has(code) && isIdempotent)) && this.context.balancer.mayRetry(retries)
  }

  /** The origin is reached. */
  connected(): void {
    if (this.#refusing === undefined || this.#connection === undefined || this.#target === undefined) return
    this.context.balancer.refusals.contradict(this.#target, this.#refusing, this.#connection)
  }

  /** The origin of the target has answered by way of this inner layer. */
  answered(target: Target): void {
    const { health } = this.context.balancer
    this.connected()
    if (!health.isEmpty && this.#connection !== undefined) health.answered(target, this.#connection)
  }

  /** A failure before the answer counts against the inner layer. */
  failed(target: Target, code: ErrorCode): void {
    if (this.#connection !== undefined) this.context.balancer.health.failed(target, this.#connection, code)
  }
}

const payloadOf = ({ head, list }: ListedHead, { lists, session }: InnerConnection): Uint8Array =>
  encodeRequestHead(head, list, lists?.referenceOf(list, session))
