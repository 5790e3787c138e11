/** Limits for what clients may cost. 0 or undefined is without a limit, unless the name says otherwise. */
export interface EdgeLimits {
  /** Bytes of a header section; beyond: 431. */
  readonly headerBytes: number
  /** Time for a header section to arrive; beyond: 408, milliseconds. */
  readonly headerMs: number
  /** Time that who was accepted before the ports closed has for the first request, milliseconds. */
  readonly lastRequestMs: number
  /** Bytes of a request body, where a target does not say; beyond: 413. */
  readonly bodyBytes: number | undefined
  /** The least that an upload of known length has to bring in the long run, bytes per second. */
  readonly uploadBytesPerSecond: number
  /** For so long an upload is not judged, milliseconds. */
  readonly uploadGraceMs: number
  /** Longest silence of an origin within its answer, where a target does not say, milliseconds. */
  readonly idleMs: number
  /**
   * The time that an inner layer has to connect to an origin, where a target does not say, milliseconds; undefined: as it does by itself.
   */
  readonly connectMs: number | undefined
  /** The time for which a client may leave an answer unread; then the connection is cut, milliseconds. */
  readonly writeStallMs: number
  /** The time for which nothing may move on a connection that has left HTTP, where a target does not say, milliseconds. */
  readonly websocketIdleMs: number
  /**
   * The time for which a request waits for an inner layer when none is there, milliseconds; 0: it is refused at once; undefined: five
   * seconds, in the first ten after a start and after a loss.
   */
  readonly holdMs: number | undefined
  /** Requests of one address; beyond: 429. */
  readonly rate: { readonly perSecond: number; readonly burst: number } | undefined
  /** Requests at a time; beyond: 503. */
  readonly requests: number
  /** Connections of one address at a time; a proxy that is trusted is none. */
  readonly connectionsPerAddress: number
  /** Connections at a time. */
  readonly connections: number
}

/** The limits unless options say otherwise; docs/limits.md has the reasons. */
export const DEFAULT_EDGE_LIMITS: EdgeLimits = Object.freeze({
  headerBytes: 32_768,
  headerMs: 15_000,
  lastRequestMs: 1_000,
  bodyBytes: undefined,
  uploadBytesPerSecond: 240,
  uploadGraceMs: 20_000,
  idleMs: 0,
  connectMs: undefined,
  writeStallMs: 60_000,
  websocketIdleMs: 0,
  holdMs: undefined,
  rate: undefined,
  requests: 16_384,
  connectionsPerAddress: 256,
  connections: 16_384,
})
