/** Tells somebody, or all, something of a topic. */
export type Tell = (topic: string, message: unknown) => void

/**
 * The processes that are one outer layer: nodes of a cluster, or workers of one machine. What one tells, all others that are there hear, in order, and
 * nobody waits for it; all of them are trusted.
 */
export interface Peers {
  readonly tell: Tell
  /** Has `listener` hear what others tell of a topic: another release may tell what this one does not understand. */
  hear(topic: string, listener: (message: unknown) => void): void
  /** Has `greeter` say to each that comes what it cannot have heard. */
  greet(greeter: (tell: Tell) => void): void
}

/** Numbers that all processes together keep to, each at a time. */
export interface ExactUses {
  /**
   * Takes one of `max`.
   * @param known  so many are taken, as far as this process knows
   * @returns how many are taken with this one, 0 when none was left, undefined when nobody can say
   */
  take(key: string, wanted: { readonly max: number; readonly known: number; readonly lastsMs: number }): Promise<number | undefined>
}

/** Another process. */
export interface Peer {
  readonly id: string
  /** For operators. */
  readonly name: string
}

/** A call to another process. */
export interface PeerCall {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'DELETE'
  /** Path and query. */
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
}
