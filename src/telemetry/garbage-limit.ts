import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The part of the engine that a limit of garbage uses. */
export interface Heap {
  /** Memory of all buffers, used or not, bytes. */
  readonly bufferBytes: () => number
  /** Collects what nobody uses, at once: what is young, in a millisecond, or all of it, in some tens of them. */
  readonly collect: (what: 'young' | 'all') => void
}

/**
 * Milliseconds, rising: of time, and of CPU that this process has used. On a busy machine a collection takes many times as long by the one, and by
 * the other what the threads of the collector do beside it counts as well.
 */
export interface Clocks {
  readonly wallMs: () => number
  readonly cpuMs: () => number
}

/** So often it looks, bytes that were moved. Memory is given back beside the event loop: what a collection has brought is seen after a few more. */
const LOOK_BYTES = 4_194_304
const RESULT_BYTES = 1_048_576
/** Below this nothing is collected that V8 does not collect itself. */
const MIN_LIMIT_BYTES = 20_971_520
/** Memory in use may not fill the limit: each look would collect, and find nothing. */
const HEADROOM_BYTES = 10_485_760
/** The same of a few transfers, of which what is young alone is collected. */
const YOUNG_LOOK_BYTES = 2_097_152
const MIN_YOUNG_BYTES = 10_485_760
const YOUNG_HEADROOM_BYTES = 4_194_304
/** The part of the CPU of this process that it takes at most. */
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
  /** The collection whose result is not seen yet. */
  #last: 'few' | 'young' | 'all' | undefined
  /** Collecting what was young was not enough. */
  #isYoungInVain = false
  #notBeforeMs = -Infinity

  constructor(
    private readonly heap: Heap,
    private readonly clocks: Clocks,
  ) {}

  /** Memory of buffers above which is collected, bytes. */
  get limitBytes(): number {
    return this.#limitBytes
  }

  /** Counts bytes that were read or written by way of buffers. @param isMany  while many streams were open */
  moved(bytes: number, isMany = true): void {
    this.#movedBytes += bytes
    if (this.#movedBytes < (this.#last !== undefined ? RESULT_BYTES : isMany ? LOOK_BYTES : YOUNG_LOOK_BYTES)) return
    this.#movedBytes = 0
    const held = this.heap.bufferBytes()
    this.#see(held)
    if (held < (isMany ? this.#limitBytes : this.#youngLimitBytes)) return
    const { wallMs, cpuMs } = this.clocks
    const hadUsedMs = cpuMs()
    if (hadUsedMs < this.#notBeforeMs) return
    const startedMs = wallMs()
    if (!isMany) this.#last = 'few'
    else this.#last = this.#isYoungInVain ? 'all' : 'young'
    this.heap.collect(this.#last === 'all' ? 'all' : 'young')
    const usedMs = cpuMs()
    this.#notBeforeMs = usedMs + Math.min(wallMs() - startedMs, usedMs - hadUsedMs) / MAX_PART
  }

  /** Takes in what the last collection has left, if it is known by now. A limit that was set too early, or for what was in use then, comes down again. */
  #see(held: number): void {
    const [limitBytes, youngLimitBytes] = [held + HEADROOM_BYTES, held + YOUNG_HEADROOM_BYTES]
    if (this.#last === 'young') this.#isYoungInVain = held >= this.#limitBytes
    else if (this.#last === 'all') this.#isYoungInVain = false
    this.#limitBytes = Math.max(MIN_LIMIT_BYTES, this.#last === 'all' ? limitBytes : Math.min(this.#limitBytes, limitBytes))
    this.#youngLimitBytes = Math.max(
      MIN_YOUNG_BYTES,
      this.#last === 'few' ? youngLimitBytes : Math.min(this.#youngLimitBytes, youngLimitBytes),
    )
    this.#last = undefined
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

/**
 * Keeps the garbage of this process small; the function returned is told of bytes that were moved.
 * @param cpuMs  milliseconds of CPU that this process has used
 */
export const limitGarbage = (cpuMs: () => number): ((bytes: number, isMany: boolean) => void) => {
  let collector: Collector | undefined
  const heap: Heap = {
    bufferBytes: () => getHeapStatistics().external_memory,
    collect: what => (collector ??= createCollector())(what === 'young' ? { type: 'minor' } : undefined),
  }
  const limit = new GarbageLimit(heap, { wallMs: () => performance.now(), cpuMs })
  return (bytes, isMany) => limit.moved(bytes, isMany)
}
