import { DEFAULT_LIMITS } from '../mux/limits.ts'
import type { Timing } from '../mux/liveness.ts'

/** The limits of links between nodes: what many inner layers have shares one of them. */
export const NODE_LIMITS = Object.freeze({ ...DEFAULT_LIMITS, streams: 16_384 })

/** Nodes are close to each other, and what one of them has is lost for all while nobody knows that it has gone. */
export const NODE_TIMING: Timing = Object.freeze({ pingAfterMs: 2_000, deadAfterMs: 8_000 })

/** A dial that began while a node could not be reached must not outlast the next one, milliseconds. */
export const NODE_CONNECT_MS = 3_000
