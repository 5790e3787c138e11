import { connect, isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { asGatewayError, GatewayError, type ErrorCode } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import { decodeTcpHead, type TcpHead } from '../payload/tcp-head.ts'
import { decodeTlsHead, type TlsHead } from '../payload/tls-head.ts'
import type { MuxStream, StreamHandler } from '../mux/stream.ts'
import { splice } from '../splice/splice.ts'
import { connectionStart } from '../tap/origin-way.ts'
import { watchSocket, type ExchangeTap, type Taps } from '../tap/tap.ts'
import type { Dialer } from './dial.ts'
import { originFailure } from './origin-failure.ts'
import type { OriginPolicy } from './origin-policy.ts'

const CONNECT_MS = 10_000
const HTTPS_PORT = 443
/** Tells the outer layer that the origin is connected; whatever it is worth saying, a later release says here. */
const CONNECTED = Buffer.alloc(0)

/** The names whose TLS this process ends itself. */
export interface TlsNames {
  /**
   * A connection to where it is ended, that stands.
   * @param signal  nobody wants it any more
   * @throws GatewayError REFUSED_STREAM where the name is none of them, as the promise
   */
  connect(head: TlsHead, signal: AbortSignal): Promise<Duplex>
}

/** The part of the inner layer that connections to origins use. */
export interface TcpOriginContext {
  readonly policy: OriginPolicy
  /** Another way to the origins than sockets of this machine. */
  readonly dialer?: Dialer
  /** Plain connections read into it; undefined: each read has memory of its own. */
  readonly memory?: Buffer | undefined
  /** Undefined: it ends no TLS. */
  readonly names?: TlsNames | undefined
  /** Undefined: nobody looks at connections. */
  readonly taps?: Taps | undefined
  /** The connection has failed, here or by the word of the outer layer. */
  readonly onFailure: (head: TcpHead, code: ErrorCode, reason: string) => void
}

/**
 * Steps 9 to 12 of the path for a connection that is carried as it is: dials the origin, says so by an empty RESPONSE frame, and joins
 * both. Bytes of the client that come before the origin is connected wait in the socket, within the window of the stream.
 * @param payload  of the OPEN frame
 * @throws GatewayError PROTOCOL, ORIGIN_FORBIDDEN
 */
export function acceptTcp(
  payload: Buffer,
  stream: MuxStream,
  { policy, dialer, memory, taps, onFailure: report }: TcpOriginContext,
): StreamHandler {
  const head = decodeTcpHead(payload)
  const tap = taps?.open(connectionStart(head))
  const onFailure: TcpOriginContext['onFailure'] = (which, code, reason) => {
    tap?.end({ error: code, reason })
    report(which, code, reason)
  }
  try {
    policy.check(head)
  } catch (thrown) {
    const { code, message } = originFailure(thrown)
    onFailure(head, code, message)
    throw thrown
  }
  if (dialer !== undefined) {
    const dial: Dial = signal => dialer.dial(head.hostname, head.port, signal)
    return new DialledConnection(stream, { head, report: onFailure, tap }, dial)
  }
  const { hostname: host, port } = head
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, lookup: policy.lookup(port) })
  const timer = setTimeout(
    () => socket.destroy(new GatewayError('ORIGIN_CONNECT_TIMEOUT', `no connection within ${CONNECT_MS / 1000} s`)),
    CONNECT_MS,
  )
  const connected = (): void => {
    clearTimeout(timer)
    tap?.mark('connected')
    stream.sendHead(CONNECTED)
  }
  socket.once(
    'connect',
    guarded(thrown => socket.destroy(asGatewayError(thrown)), connected),
  )
  return splice(stream, socket, {
    memory,
    failure: error => (error === undefined ? new GatewayError('ORIGIN_CLOSED', 'the origin closed the connection') : originFailure(error)),
    ...(tap !== undefined && { watch: watchSocket(tap, 'origin') }),
    onEnd: ({ code, reason }) => {
      clearTimeout(timer)
      if (code !== undefined) onFailure(head, code, reason)
      else tap?.end({})
    },
  })
}

/**
 * The same for a connection whose TLS ends here, by the rules that this process has for its name.
 * @param payload  of the OPEN frame
 * @throws GatewayError PROTOCOL, REFUSED_STREAM
 */
export function acceptTls(payload: Buffer, stream: MuxStream, { names, onFailure }: TcpOriginContext): StreamHandler {
  const head = decodeTlsHead(payload)
  if (names === undefined) throw new GatewayError('REFUSED_STREAM', 'this inner layer ends no TLS (--tls-for)')
  // It goes into fields for the origin, and an outer layer can make it up.
  if (isIP(head.client.address) === 0) throw new GatewayError('PROTOCOL', 'the address of the client is none')
  const facts = { head: { hostname: head.name, port: HTTPS_PORT }, report: onFailure, tap: undefined }
  return new DialledConnection(stream, facts, signal => names.connect(head, signal))
}

/** Makes a connection. */
type Dial = (signal: AbortSignal) => Promise<Duplex>

/** The connection that is wanted, and who is told. */
interface DialFacts {
  readonly head: TcpHead
  readonly report: TcpOriginContext['onFailure']
  readonly tap: ExchangeTap | undefined
}

/** A connection that is dialled in another way: what the client sends meanwhile is kept, within the window of the stream. */
class DialledConnection implements StreamHandler {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #early: Buffer[] = []
  #isOver = false

  constructor(
    private readonly stream: MuxStream,
    private readonly facts: DialFacts,
    dial: Dial,
  ) {
    const late = (): void => this.#fail(new GatewayError('ORIGIN_CONNECT_TIMEOUT', `no connection within ${CONNECT_MS / 1000} s`))
    this.#timer = setTimeout(guarded(this.#fail, late), CONNECT_MS)
    dial(this.#controller.signal).then(
      guarded(this.#fail, socket => this.#join(socket)),
      this.#fail,
    )
  }

  onHead(): void {
    throw new GatewayError('PROTOCOL', 'a RESPONSE frame in the middle of a connection')
  }

  onTrailers(): void {
    throw new GatewayError('PROTOCOL', 'trailers in the middle of a connection')
  }

  onData(chunk: Buffer): void {
    this.#early.push(chunk)
  }

  onEnd(): void {
    // The splice sees it.
  }

  onWritable(): void {
    // Nothing was written.
  }

  onReset(code: ErrorCode, reason: string): void {
    this.#over()
    this.#controller.abort()
    this.facts.report(this.facts.head, code, reason)
  }

  #join(socket: Duplex): void {
    if (this.#isOver) return void socket.on('error', () => undefined).destroy()
    const { tap } = this.facts
    tap?.mark('connected')
    this.stream.sendHead(CONNECTED)
    const early = Buffer.concat(this.#early)
    if (early.length > 0) tap?.sent(early)
    if (early.length > 0)
      socket.write(
        early,
        guarded(this.#fail, () => this.stream.consumed(early.length)),
      )
    splice(this.stream, socket, {
      failure: error =>
        error === undefined ? new GatewayError('ORIGIN_CLOSED', 'the origin closed the connection') : originFailure(error),
      ...(tap !== undefined && { watch: watchSocket(tap, 'origin') }),
      onEnd: ({ code, reason }) => {
        if (code === undefined) tap?.end({})
        else this.facts.report(this.facts.head, code, reason)
      },
    })
    this.#over()
  }

  readonly #fail = (thrown: unknown): void => {
    if (this.#isOver) return
    this.#over()
    this.#controller.abort()
    const { code, message } = originFailure(thrown)
    this.facts.report(this.facts.head, code, message)
    this.stream.reset(code, message)
  }

  #over(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }
}
