import type { Duplex } from 'node:stream'
import { GatewayError, type ErrorCode } from '../../errors.ts'
import { settleWithin } from '../../mux/settle-within.ts'
import { guarded } from '../../net/guard.ts'
import { READ_BYTES } from '../../net/read-into.ts'
import { closeFrame, WebSocketFrames } from '../../splice/web-socket-frames.ts'
import { Splice, type SpliceEnd, type SplicedStream, type SpliceWatch } from '../../splice/splice.ts'
import type { SwitchedClient } from './edge-request.ts'

/** Statuses of a WebSocket that the gateway ends: RFC 6455 §7.4.1, and "Service Restart" of the registry of IANA. */
const POLICY_VIOLATION = 1_008
const SERVICE_RESTART = 1_012
/** The codes of connections that end with a part of the gateway: whoever opens another one is served elsewhere, or in a moment. */
const MOVED: ReadonlySet<ErrorCode> = new Set(['INNER_LAYER_LOST', 'LINK_DEAD', 'DRAINING'])
/** The time that a frame has to become whole. */
const FRAME_MS = 5_000
/** The time that all have to hear of the end of this process, and to close. */
const CLOSE_MS = 1_000
const NOTHING = Buffer.alloc(0)

/** Options of a connection that leaves HTTP, beside its two ends. */
export interface SwitchOptions {
  /** Longest silence, 0 for any; undefined: as the layer has it. */
  readonly idleMs: number | undefined
  /** It is told why it has to end, where no frame is under way: its frames are followed for that. */
  readonly isWebSocket?: boolean
  /** Looks on. */
  readonly watch?: SpliceWatch | undefined
  readonly onEnd: (end: SpliceEnd) => void
}

/** A connection that has left HTTP. */
export interface Switched {
  /** Ends both sides. */
  readonly end: (code: ErrorCode, reason: string) => void
  /** In both directions until now. */
  readonly bytes: () => number
}

/** Ends a connection, a WebSocket with this status. */
type Dismiss = (code: ErrorCode, reason: string, status: number) => void

/** Connections that have left HTTP: no server of Node knows of them any more, so this does. */
export class SwitchedConnections {
  readonly #open = new Map<Splice, Dismiss>()
  /** Those that have got a close frame, and have not closed. */
  readonly #leaving = new Set<Duplex>()
  #isClosing = false
  #isDestroyed = false
  #onIdle: (() => void) | undefined
  /** Plain connections read into it; made for the first one. */
  #memory: Buffer | undefined

  /** @param idleMs  longest silence where a target says nothing, 0 for any */
  constructor(private readonly idleMs: number) {}

  /** Connections that are open. */
  get count(): number {
    return this.#open.size
  }

  /** Joins the stream and the client from now on. */
  join(
    stream: SplicedStream,
    { socket, head, cut }: SwitchedClient,
    { idleMs = this.idleMs, isWebSocket = false, watch, onEnd }: SwitchOptions,
  ): Switched {
    const frames = isWebSocket ? new WebSocketFrames() : undefined
    let parting: (() => void) | undefined
    const joined = new Splice(socket, {
      head,
      memory: (this.#memory ??= Buffer.allocUnsafeSlow(READ_BYTES)),
      idleMs,
      watch,
      ...(cut === undefined ? {} : { cut }),
      ...(frames !== undefined && {
        lastWords: code => (MOVED.has(code) ? this.#lastWords(socket, frames, SERVICE_RESTART, code) : undefined),
        onOut: chunk => {
          frames.add(chunk)
          if (parting !== undefined && frames.isBetween) parting()
        },
      }),
      failure: error => new GatewayError('CANCELLED', error?.message ?? 'the client closed without an end'),
      onEnd: end => {
        this.#open.delete(joined)
        onEnd(end)
        this.#look()
      },
    })
    const dismiss: Dismiss = (code, reason, status) => {
      if (frames === undefined) return joined.abort(code, reason)
      const part = (): void => {
        if (joined.isOver) return
        const last = this.#lastWords(socket, frames, status, code)
        if (last === undefined) joined.abort(code, reason)
        else joined.part(code, reason, last)
      }
      if (frames.isBetween) return part()
      // In the middle of a frame: after it, or not at all.
      parting = part
      const late = guarded(
        () => void socket.destroy(),
        () => joined.abort(code, reason),
      )
      setTimeout(late, FRAME_MS).unref()
    }
    this.#open.set(joined, dismiss)
    joined.attach(stream)
    if (this.#isDestroyed) joined.abort('DRAINING', STOPS)
    else if (this.#isClosing) dismiss('DRAINING', STOPS, SERVICE_RESTART)
    return {
      end: (code, reason) => dismiss(code, reason, POLICY_VIOLATION),
      bytes: () => joined.bytesIn + joined.bytesOut,
    }
  }

  /**
   * Ends all of them, and whatever is joined from now on: a WebSocket with a close frame that has its client open another one, as soon as no other frame
   * is under way to it. Resolves when all have closed, or after a second; `destroy` cuts the others.
   */
  async close(): Promise<void> {
    this.#isClosing = true
    for (const dismiss of [...this.#open.values()]) dismiss('DRAINING', STOPS, SERVICE_RESTART)
    const idle = new Promise<void>(resolve => {
      this.#onIdle = resolve
      this.#look()
    })
    await settleWithin(idle, CLOSE_MS)
  }

  /** Cuts all of them, and whatever is joined from now on. */
  destroy(): void {
    this.#isDestroyed = true
    for (const joined of [...this.#open.keys()]) joined.abort('DRAINING', STOPS)
    for (const socket of [...this.#leaving]) socket.destroy()
  }

  /** The last bytes that a WebSocket gets; undefined: nothing more can be said to it. */
  #lastWords(socket: Duplex, frames: WebSocketFrames, status: number, code: ErrorCode): Buffer | undefined {
    if (!frames.isBetween || socket.writableEnded || socket.destroyed) return undefined
    this.#leaving.add(socket)
    socket.once(
      'close',
      guarded(
        () => void socket.destroy(),
        () => {
          this.#leaving.delete(socket)
          this.#look()
        },
      ),
    )
    // The origin has closed it, and said why.
    return frames.isClosed ? NOTHING : closeFrame(status, code)
  }

  #look(): void {
    if (this.#open.size === 0 && this.#leaving.size === 0) this.#onIdle?.()
  }
}

const STOPS = 'the gateway stops'
