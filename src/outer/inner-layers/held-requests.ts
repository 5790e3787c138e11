import type { Registry } from './registry.ts'

/** A request that waits for an inner layer. */
export interface HeldRequest {
  /** One has come: try again. */
  retry(): void
}

/** For so long after a start and after a loss an inner layer is expected to come back, milliseconds. */
const EXPECTED_MS = 10_000
/** The time for which a request waits then, milliseconds. */
const DEFAULT_HOLD_MS = 5_000
const MAX_TRACKED_IDENTIFIERS = 10_000

/** Options of the held requests. */
export interface HeldRequestsOptions {
  /** Requests that may wait at a time. */
  readonly max: number
  /** The time for which each of them may wait, milliseconds; undefined: five seconds, in the first ten after a start and after a loss. */
  readonly holdMs: number | undefined
  /** The inner layers: one that is there for a target and cannot take its request is on its way out. */
  readonly registry: Pick<Registry, 'serves'>
  /** Milliseconds, rising. */
  readonly clock: () => number
}

/** Requests that came while no inner layer was there for them, and wait for one to come back. */
export class HeldRequests {
  readonly #held = new Set<HeldRequest>()
  readonly #startedMs: number
  /** Identifier → when it was lost, the latest last. */
  readonly #lost = new Map<string, number>()
  #lastLossMs: number

  constructor(private readonly options: HeldRequestsOptions) {
    this.#startedMs = options.clock()
    this.#lastLossMs = this.#startedMs
  }

  /**
   * Returns the time for which a request may wait that no inner layer can take, milliseconds; 0: not at all.
   * @param identifiers  of its target; undefined: any inner layer
   */
  patienceMs(identifiers: readonly string[] | undefined): number {
    const { holdMs, registry, clock } = this.options
    if (holdMs !== undefined) return holdMs
    const sinceMs = clock() - EXPECTED_MS
    const isExpected =
      this.#startedMs > sinceMs ||
      (identifiers === undefined
        ? this.#lastLossMs > sinceMs
        : identifiers.some(identifier => (this.#lost.get(identifier) ?? -Infinity) > sinceMs)) ||
      registry.serves(identifiers)
    return isExpected ? DEFAULT_HOLD_MS : 0
  }

  /** An inner layer has gone. */
  lost(identifier: string): void {
    this.#lastLossMs = this.options.clock()
    this.#lost.delete(identifier)
    if (this.#lost.size >= MAX_TRACKED_IDENTIFIERS) for (const oldest of this.#lost.keys()) if (this.#lost.delete(oldest)) break
    this.#lost.set(identifier, this.#lastLossMs)
  }

  /** Takes a request in; false when too many wait already. */
  add(request: HeldRequest): boolean {
    if (this.#held.size >= this.options.max) return false
    this.#held.add(request)
    return true
  }

  /** The request waits no longer. */
  delete(request: HeldRequest): void {
    this.#held.delete(request)
  }

  /** An inner layer has come. */
  wake(): void {
    const all = [...this.#held]
    this.#held.clear()
    for (const request of all) request.retry()
  }
}
