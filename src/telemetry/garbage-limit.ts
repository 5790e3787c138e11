import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The part of the engine that a limit of garbage uses. */
export interface Heap {
  /** Memory of all buffers, used or not, bytes. */
  readonly bufferBytes: () => number
  /** Collects what nobody uses, at once: what is young, in a millisecond, or all of it, in some tens of them. */
  readonly collect: (what: 'young' | 'all') => void
}

/** So often it looks, bytes that were moved. */
const LOOK_BYTES = 4_194_304
/** Below this nothing is collected that V8 does not collect itself. */
const MIN_LIMIT_BYTES = 20_971_520
/** Memory in use may not fill the limit: each look would collect, and find nothing. */
const HEADROOM_BYTES = 10_485_760
/** The same of a few transfers, of which what is young alone is collected. */
const YOUNG_LOOK_BYTES = 2_097_152
const MIN_YOUNG_BYTES = 10_485_760
const YOUNG_HEADROOM_BYTES = 4_194_304
/** The part of the time that it takes at most. */
const MAX_PART = 1 / 10

/**
 * A limit for buffers that nobody uses any more. V8 sees the small objects around them, and collects young ones no sooner than they hold 32 MiB;
 * what has waited for a slow reader meanwhile counts as old, and stays until the heap has trebled. With hundreds of slow readers each layer would hold
 * more garbage than data.
 *
 * A few transfers leave little behind. But V8 holds young buffers against a limit of their own (Node.js 22, 24: 64 MiB since the last full collection)
 * or of the old generation (20), and reaches it before small objects have filled their space: a full collection for each 30 MB of a transfer, where now
 * and then a small one does.
 */
export class GarbageLimit {
  #movedBytes = 0
  #limitBytes = MIN_LIMIT_BYTES
  #youngLimitBytes = MIN_YOUNG_BYTES
  #last: 'nothing' | 'young' | 'all' = 'nothing'
  #notBeforeMs = -Infinity

  /** @param clock  milliseconds, rising */
  constructor(
    private readonly heap: Heap,
    private readonly clock: () => number,
  ) {}

  /** Memory of buffers above which is collected, bytes. */
  get limitBytes(): number {
    return this.#limitBytes
  }

  /** Counts bytes that were read or written by way of buffers. @param isMany  while many streams were open */
  moved(bytes: number, isMany = true): void {
    this.#movedBytes += bytes
    if (this.#movedBytes < (isMany ? LOOK_BYTES : YOUNG_LOOK_BYTES)) return
    this.#movedBytes = 0
    const startMs = this.clock()
    if (startMs < this.#notBeforeMs) return
    const held = this.heap.bufferBytes()
    if (isMany) this.#look(held)
    else this.#lookAtYoung(held)
    if (this.#last === 'nothing') return
    const endMs = this.clock()
    this.#notBeforeMs = endMs + (endMs - startMs) / MAX_PART
  }

  #look(held: number): void {
    // Memory is given back beside the event loop, so the result of one collection shows at the next look.
    if (this.#last === 'all') this.#limitBytes = Math.max(MIN_LIMIT_BYTES, held + HEADROOM_BYTES)
    if (held < this.#limitBytes) {
      this.#last = 'nothing'
      return
    }
    this.#last = this.#last === 'young' ? 'all' : 'young'
    this.heap.collect(this.#last)
  }

  #lookAtYoung(held: number): void {
    if (this.#last !== 'nothing') this.#youngLimitBytes = Math.max(MIN_YOUNG_BYTES, held + YOUNG_HEADROOM_BYTES)
    this.#last = held < this.#youngLimitBytes ? 'nothing' : 'young'
    if (this.#last === 'young') this.heap.collect('young')
  }
}

type Collector = (options?: { readonly type: 'minor' }) => void

/** V8 offers its collector to contexts alone that were made while this flag was set. */
const createCollector = (): Collector => {
  setFlagsFromString('--expose-gc')
  const collector: unknown = runInNewContext('typeof gc === "function" ? gc : () => {}')
  setFlagsFromString('--no-expose-gc')
  return collector as Collector
}

/** Keeps the garbage of this process small; the function returned is told of bytes that were moved */
export const limitGarbage = (): ((bytes: number, isMany: boolean) => void) => {
  let collector: Collector | undefined
  const heap: Heap = {
    bufferBytes: () => getHeapStatistics().external_memory,
    collect: what => (collector ??= createCollector())(what === 'young' ? { type: 'minor' } : undefined),
  }
  const limit = new GarbageLimit(heap, () => performance.now())
  return (bytes, isMany) => limit.moved(bytes, isMany)
}
