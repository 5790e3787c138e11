import type { Pool, ServedBy } from '../../route/target.ts'
import type { InnerConnection, Registry } from './registry.ts'

/** Requests that may wait for an inner layer at a time. */
export const MAX_HELD = 1_024

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
  /** Requests that may wait at a time, for each pool. */
  readonly max: number
  /** The time for which each of them may wait, milliseconds; undefined: five seconds, in the first ten after a start and after a loss. */
  readonly holdMs: number | undefined
  /** The inner layers: one that is there for a target and cannot take its request is on its way out. */
  readonly registry: Pick<Registry, 'serves'>
  /** Milliseconds, rising. */
  readonly clock: () => number
}

/** Requests that are kept of one pool: tenants can neither take the places of the operator's requests, nor have them tried again and again. */
interface PoolState {
  /** Request → what it waits for. */
  readonly held: Map<HeldRequest, ServedBy>
  /** Identifier → when it was lost, the latest last. */
  readonly lost: Map<string, number>
  lastLossMs: number
}

/** Requests that came while no inner layer was there for them, and wait for one to come back. */
export class HeldRequests {
  readonly #startedMs: number
  readonly #pools: Readonly<Record<Pool, PoolState>>

  constructor(private readonly options: HeldRequestsOptions) {
    const lastLossMs = options.clock()
    const create = (): PoolState => ({ held: new Map(), lost: new Map(), lastLossMs })
    this.#startedMs = lastLossMs
    this.#pools = { operator: create(), tunnel: create() }
  }

  /** Returns the time for which a request may wait that no inner layer can take, milliseconds; 0: not at all. */
  patienceMs(served: ServedBy): number {
    const { holdMs, registry, clock } = this.options
    if (holdMs !== undefined) return holdMs
    const { identifiers, pool = 'operator' } = served
    const { lost, lastLossMs } = this.#pools[pool]
    const sinceMs = clock() - EXPECTED_MS
    const isExpected =
      this.#startedMs > sinceMs ||
      (identifiers === undefined ? lastLossMs > sinceMs : identifiers.some(identifier => (lost.get(identifier) ?? -Infinity) > sinceMs)) ||
      registry.serves(served)
    return isExpected ? DEFAULT_HOLD_MS : 0
  }

  /** An inner layer has gone. */
  lost({ identifier, pool }: Pick<InnerConnection, 'identifier' | 'pool'>): void {
    const state = this.#pools[pool]
    const { lost } = state
    state.lastLossMs = this.options.clock()
    lost.delete(identifier)
    if (lost.size >= MAX_TRACKED_IDENTIFIERS) for (const oldest of lost.keys()) if (lost.delete(oldest)) break
    lost.set(identifier, state.lastLossMs)
  }

  /** Takes a request in; false when too many wait already. */
  add(request: HeldRequest, served: ServedBy): boolean {
    const { held } = this.#pools[served.pool ?? 'operator']
    if (held.size >= this.options.max) return false
    held.set(request, served)
    return true
  }

  /** The request waits no longer. */
  delete(request: HeldRequest): void {
    this.#pools.operator.held.delete(request)
    this.#pools.tunnel.held.delete(request)
  }

  /** An inner layer has come: what it may serve tries again. */
  wake({ identifier, pool }: Pick<InnerConnection, 'identifier' | 'pool'>): void {
    const { held } = this.#pools[pool]
    if (held.size === 0) return
    const woken = [...held].filter(([, { identifiers }]) => identifiers?.includes(identifier) !== false)
    for (const [request] of woken) held.delete(request)
    for (const [request] of woken) request.retry()
  }
}
