import { performance } from 'node:perf_hooks'
import type { InnerLayer } from '../../inner/inner-layer.ts'
import { MemoryLink } from '../../link/memory-link.ts'
import { GROWTH_BUDGET_BYTES } from '../../mux/limits.ts'
import { DEFAULT_TIMING } from '../../mux/liveness.ts'
import { GrowthBudget } from '../../mux/receive-window.ts'
import { Session } from '../../mux/session.ts'
import type { OuterLayer } from '../../outer/outer-layer.ts'
import { decodeNote } from '../../payload/origin-profile.ts'
import type { Log } from '../../telemetry/log.ts'

/** As many as connections of clients may bring. */
const LIMITS = Object.freeze({ streams: 16_384, windowBytes: 65_536 })
/** The way is memory: nothing has to be found out about it. */
const FIRST_FLIGHT_BYTES = 1_048_576

/** Joins both layers of one process by a link in memory, for as long as neither is told to end. @returns ends it */
export function joinLayers(
  outer: OuterLayer,
  inner: InnerLayer,
  { identifier, log }: { readonly identifier: string; readonly log: Log },
): () => void {
  const budget = new GrowthBudget(GROWTH_BUDGET_BYTES)
  let isOver = false
  let session: Session | undefined
  const open = (): void => {
    const [theirs, ours] = MemoryLink.pair()
    const handler = inner.serveOwn(payload => session?.note(payload))
    const next = new Session(ours, {
      role: 'inner',
      limits: LIMITS,
      peerLimits: LIMITS,
      budget,
      clock: () => performance.now(),
      timing: DEFAULT_TIMING,
      firstFlightBytes: FIRST_FLIGHT_BYTES,
      accept: handler.accept,
      onNote: payload => handler.onNote(decodeNote(payload)),
      onClose: () => {
        handler.close()
        // It ends with the process, and with a fault of ours: the next request has a new one.
        if (!isOver) setImmediate(open)
      },
      onFault: thrown => log.error({ err: thrown }, 'internal fault while handling a stream'),
    })
    session = next
    outer.takeInner(
      theirs,
      { identifier, pool: 'operator', kid: '', address: 'this process', agent: '' },
      { instance: identifier, limits: LIMITS },
    )
  }
  open()
  return () => {
    isOver = true
    session?.destroy('GOING_AWAY', 'the inner layer stops')
  }
}
