import { GatewayError, type ErrorCode } from '../../errors.ts'
import { Splice, type SpliceEnd, type SplicedStream } from '../../splice/splice.ts'
import type { SwitchedClient } from './edge-request.ts'

/** Options of a connection that leaves HTTP, beside its two ends. */
export interface SwitchOptions {
  /** Longest silence, 0 for any; undefined: as the layer has it. */
  readonly idleMs: number | undefined
  readonly onEnd: (end: SpliceEnd) => void
}

/** Connections that have left HTTP: no server of Node knows of them any more, so this does. */
export class SwitchedConnections {
  readonly #open = new Set<Splice>()
  #isDestroyed = false

  /** @param idleMs  longest silence where a target says nothing, 0 for any */
  constructor(private readonly idleMs: number) {}

  /** Connections that are open. */
  get count(): number {
    return this.#open.size
  }

  /** Joins the stream and the client from now on. @returns ends both */
  join(
    stream: SplicedStream,
    { socket, head, cut }: SwitchedClient,
    { idleMs = this.idleMs, onEnd }: SwitchOptions,
  ): (code: ErrorCode, reason: string) => void {
    const joined = new Splice(socket, {
      head,
      idleMs,
      ...(cut === undefined ? {} : { cut }),
      failure: error => new GatewayError('CANCELLED', error?.message ?? 'the client closed without an end'),
      onEnd: end => {
        this.#open.delete(joined)
        onEnd(end)
      },
    })
    this.#open.add(joined)
    joined.attach(stream)
    if (this.#isDestroyed) joined.abort('DRAINING', 'the gateway stops')
    return (code, reason) => joined.abort(code, reason)
  }

  /** Cuts all of them, and whatever is joined from now on. */
  destroy(): void {
    this.#isDestroyed = true
    for (const joined of [...this.#open]) joined.abort('DRAINING', 'the gateway stops')
  }
}
