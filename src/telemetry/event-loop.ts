import type { Log } from './log.ts'
import { claimStacks, StallTracer } from './stall-tracer.ts'

/** The time between two looks at the loop, milliseconds. */
const TICK_MS = 100
/** A tick that is late by so much is a stall, which is logged. */
const STALL_MS = 1_000
/** After a stall as long as this the process does not count as ready for a while: what made it stand still may come again. */
const LONG_STALL_MS = 10_000
const RECOVERY_MS = 60_000
/** The span over which the recent delay is taken. */
const WINDOW_MS = 5_000
/** A loop whose ticks are late by so much on average is overloaded, milliseconds. */
const OVERLOADED_MS = 500

/** A time in which nothing happened in this process. */
export interface Stall {
  readonly ms: number
  /** When it was over, milliseconds since 1970. */
  readonly atMs: number
}

/** Options of a watch. */
export interface EventLoopWatchOptions {
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

/**
 * Watches the event loop: ten times a second a timer says how late it is. One stall is logged; a second one with the stack of what held
 * the loop (see StallTracer), by one of the layers of a process. A loop that stood still for ten seconds, or that is late all the time, makes the process not ready. While it
 * stands still nothing can answer, so a probe of the health pages fails by itself.
 */
export class EventLoopWatch {
  #timer: NodeJS.Timeout | undefined
  #tracer: StallTracer | undefined
  #release: (() => void) | undefined
  #dueMs = 0
  #windowEndsMs = 0
  #delays: number[] = []
  #p99Ms = 0
  #meanMs = 0
  #stallCount = 0
  #lastStall: Stall | undefined
  #longStall: (Stall & { readonly clockMs: number }) | undefined

  constructor(
    private readonly log: Log,
    private readonly options: EventLoopWatchOptions,
  ) {}

  /** The delay that 99 of 100 ticks of the last five seconds did not exceed, milliseconds. */
  get delayP99Ms(): number {
    return this.#p99Ms
  }

  /** Stalls of a second or more since the start. */
  get stallCount(): number {
    return this.#stallCount
  }

  /** The latest stall. */
  get lastStall(): Stall | undefined {
    return this.#lastStall
  }

  /** Why the process is not ready because of its event loop, in words; empty when it is. */
  get faults(): string[] {
    const faults: string[] = []
    if (this.#meanMs > OVERLOADED_MS) faults.push(`the event loop is overloaded: everything is ${Math.round(this.#meanMs)} ms late`)
    const stall = this.#longStall
    const sinceMs = stall === undefined ? Infinity : this.options.clock() - stall.clockMs
    if (stall !== undefined && sinceMs < RECOVERY_MS)
      faults.push(`the event loop stood still for ${seconds(stall.ms)}, until ${seconds(sinceMs)} ago`)
    return faults
  }

  start(): void {
    const now = this.options.clock()
    this.#dueMs = now + TICK_MS
    this.#windowEndsMs = now + WINDOW_MS
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#tracer?.close()
    this.#release?.()
    this.#release = undefined
  }

  #tick(): void {
    const now = this.options.clock()
    const delayMs = Math.max(0, now - this.#dueMs)
    this.#dueMs = now + TICK_MS
    this.#tracer?.beat()
    this.#delays.push(delayMs)
    if (delayMs >= STALL_MS) this.#stalled(delayMs, now)
    if (now >= this.#windowEndsMs) this.#closeWindow(now)
  }

  #closeWindow(now: number): void {
    this.#windowEndsMs = now + WINDOW_MS
    const delays = this.#delays.sort((a, b) => a - b)
    this.#p99Ms = delays[Math.ceil(delays.length * 0.99) - 1]!
    this.#meanMs = delays.reduce((sum, delay) => sum + delay, 0) / delays.length
    this.#delays = []
  }

  #stalled(ms: number, clockMs: number): void {
    const stall = { ms: Math.round(ms), atMs: this.options.nowMs() }
    this.#stallCount++
    this.#lastStall = stall
    if (ms >= LONG_STALL_MS) this.#longStall = { ...stall, clockMs }
    if (this.#tracer === undefined) {
      this.#release = claimStacks()
      const next = this.#release === undefined ? '' : '; the next time the log will say where'
      this.log.warn({ stallMs: stall.ms }, `the event loop stood still for ${seconds(ms)}${next}`)
      if (this.#release !== undefined) this.#tracer = new StallTracer(STALL_MS / 2)
      return
    }
    // The stack comes from another thread, a moment later.
    this.#tracer.take(stack => {
      const fields = { stallMs: stall.ms, ...(stack !== undefined && { stack }) }
      this.log.warn(fields, `the event loop stood still for ${seconds(ms)}`)
    })
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
