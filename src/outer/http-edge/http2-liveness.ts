import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'

/** A connection with open requests is asked for a sign of life after this silence, milliseconds … */
const FIRST_PROBE_MS = 2_000
/** … and, where it has given one, after this. */
const NEXT_PROBE_MS = 60_000
/** An answer may take this long: networks are away for a while. */
const ANSWER_MS = 30_000
/** A question that does not even leave, though the socket takes bytes, is one that nghttp2 will never send. */
const DEAF_MS = 3_000

/** A private field of node:net: bytes that the kernel has not taken yet. */
interface WithHandle {
  readonly _handle?: { readonly writeQueueSize?: number } | null
}

/**
 * Finds out that a session is over when nothing says so. After a fault of the connection behind GOAWAY (Node 20 to 24), or after any (Node 20),
 * nghttp2 reads and sends no more, and neither session nor socket nor stream says `close`, whatever becomes of the client. So whoever has
 * requests open and is silent is asked, by PING or, once the session is closing and sends no PING any more, by SETTINGS.
 */
export class Http2Liveness {
  #readBytes = 0
  #sentBytes = 0
  #heardMs: number
  #movedMs: number
  #patienceMs = FIRST_PROBE_MS
  #askedMs: number | undefined

  /** Undefined once the connection is over. */
  #socket: Socket | undefined

  constructor(
    socket: Socket,
    private readonly session: ServerHttp2Session,
    private readonly clock: () => number,
  ) {
    this.#socket = socket
    this.#heardMs = this.#movedMs = clock()
  }

  /** Lets go of the socket: Node may hold a question that was never answered for ever. */
  close(): void {
    this.#socket = undefined
  }

  /** Why the session is to be given up, or undefined. To be asked once a second while requests are open or the session is closing. */
  look(): string | undefined {
    const socket = this.#socket
    if (socket === undefined) return undefined
    const now = this.clock()
    const { bytesRead, bytesWritten } = socket
    if (bytesRead !== this.#readBytes) this.#heard(FIRST_PROBE_MS)
    if (bytesWritten !== this.#sentBytes) {
      this.#sentBytes = bytesWritten
      this.#movedMs = now
    }
    if (this.#askedMs === undefined) {
      if (now - this.#heardMs >= this.#patienceMs) this.#ask(now)
      return undefined
    }
    if (now - this.#askedMs >= ANSWER_MS) return `no sign of life within ${ANSWER_MS / 1_000} s`
    const isStuck = now - Math.max(this.#movedMs, this.#askedMs) >= DEAF_MS && isWritable(socket)
    if (isStuck && (this.session.state.outboundQueueSize ?? 0) > 0) return 'Node neither reads nor sends on it any more'
    return undefined
  }

  #heard(patienceMs: number): void {
    this.#readBytes = this.#socket?.bytesRead ?? 0
    this.#heardMs = this.clock()
    this.#patienceMs = patienceMs
    this.#askedMs = undefined
  }

  #ask(now: number): void {
    const { session } = this
    this.#askedMs = now
    const answered = (error: Error | null): void => {
      if (error === null) this.#heard(NEXT_PROBE_MS)
    }
    if (session.closed) session.settings({}, answered)
    else session.ping(answered)
  }
}

const isWritable = (socket: Socket): boolean => (socket as unknown as WithHandle)._handle?.writeQueueSize === 0
