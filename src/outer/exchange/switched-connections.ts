import { GatewayError, type ErrorCode } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'
import { READ_BYTES } from '../../net/read-into.ts'
import { closeFrame, WebSocketFrames } from '../../splice/web-socket-frames.ts'
import { Splice, type SpliceEnd, type SplicedStream, type SpliceWatch } from '../../splice/splice.ts'
import type { SwitchedClient } from './edge-request.ts'

/** The status of a WebSocket that the gateway ends (RFC 6455 §7.4.1). */
const POLICY_VIOLATION = 1_008
/** The time that a frame has to become whole. */
const FRAME_MS = 5_000

/** Options of a connection that leaves HTTP, beside its two ends. */
export interface SwitchOptions {
  /** Longest silence, 0 for any; undefined: as the layer has it. */
  readonly idleMs: number | undefined
  /** A WebSocket that may have to end before its time: it is told why then, which needs a look at its frames. */
  readonly isToldWhy?: boolean
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

/** Connections that have left HTTP: no server of Node knows of them any more, so this does. */
export class SwitchedConnections {
  readonly #open = new Set<Splice>()
  #isDestroyed = false
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
    { idleMs = this.idleMs, isToldWhy = false, watch, onEnd }: SwitchOptions,
  ): Switched {
    const frames = isToldWhy ? new WebSocketFrames() : undefined
    let parting: (() => void) | undefined
    const joined = new Splice(socket, {
      head,
      memory: (this.#memory ??= Buffer.allocUnsafeSlow(READ_BYTES)),
      idleMs,
      watch,
      ...(cut === undefined ? {} : { cut }),
      ...(frames !== undefined && {
        onOut: chunk => {
          frames.add(chunk)
          if (frames.isBetween) parting?.()
        },
      }),
      failure: error => new GatewayError('CANCELLED', error?.message ?? 'the client closed without an end'),
      onEnd: end => {
        this.#open.delete(joined)
        onEnd(end)
      },
    })
    this.#open.add(joined)
    joined.attach(stream)
    if (this.#isDestroyed) joined.abort('DRAINING', 'the gateway stops')
    const end = (code: ErrorCode, reason: string): void => {
      if (frames === undefined) return joined.abort(code, reason)
      const part = (): void => joined.part(code, reason, closeFrame(POLICY_VIOLATION, code))
      if (frames.isBetween) return part()
      // In the middle of a frame: after it, or not at all.
      parting = part
      const late = guarded(
        () => void socket.destroy(),
        () => joined.abort(code, reason),
      )
      setTimeout(late, FRAME_MS).unref()
    }
    return { end, bytes: () => joined.bytesIn + joined.bytesOut }
  }

  /** Cuts all of them, and whatever is joined from now on. */
  destroy(): void {
    this.#isDestroyed = true
    for (const joined of [...this.#open]) joined.abort('DRAINING', 'the gateway stops')
  }
}
