import type { Peers } from '../../peers/peers.ts'
import { readRevocations, revocationLine, type Revocation } from './revocations.ts'

const TOPIC = 'revoked'
/** Those that are told to others, and are told from what was told: the latest. */
const MAX_KNOWN = 5_000
/** Of one message. */
const MAX_AT_ONCE = 100
/** Bytes; a line that is longer stays where it is: it would not fit into a message with others. */
const MAX_LINE = 400

/** Options of the revocations of one process. */
export interface SharedRevocationsOptions {
  readonly peers: Peers
  /** Puts what others have said in force, and writes it down. */
  readonly apply: (revocations: readonly Revocation[]) => void
}

/** Revocations that all nodes have, each in a file of its own: what one writes down, the others hear, and one that comes later hears what there is. */
export class SharedRevocations {
  readonly #known = new Map<string, Revocation>()

  constructor(private readonly options: SharedRevocationsOptions) {
    const { peers, apply } = options
    peers.hear(TOPIC, message => {
      const { lines } = (message ?? {}) as { readonly lines?: unknown }
      if (typeof lines !== 'string') return
      const fresh = this.#freshOf(readRevocations(lines) ?? [])
      if (fresh.length > 0) apply(fresh)
    })
    peers.greet(tell => this.#say(tell, [...this.#known.values()]))
  }

  /** These are in force at this node. */
  read(revocations: readonly Revocation[]): void {
    this.#say(this.options.peers.tell, this.#freshOf(revocations))
  }

  #say(tell: Peers['tell'], revocations: readonly Revocation[]): void {
    for (let i = 0; i < revocations.length; i += MAX_AT_ONCE)
      tell(TOPIC, {
        lines: revocations
          .slice(i, i + MAX_AT_ONCE)
          .map(revocationLine)
          .join(''),
      })
  }

  #freshOf(revocations: readonly Revocation[]): readonly Revocation[] {
    const latest = [...revocations].sort((a, b) => a.atMs - b.atMs).slice(-MAX_KNOWN)
    return latest.filter(revocation => {
      const key = keyOf(revocation)
      if (Buffer.byteLength(revocationLine(revocation)) > MAX_LINE || this.#known.has(key)) return false
      const [oldest] = this.#known.size >= MAX_KNOWN ? this.#known.keys() : []
      if (oldest !== undefined) this.#known.delete(oldest)
      this.#known.set(key, revocation)
      return true
    })
  }
}

/** The same for the same revocation, in whatever order it was written. */
const keyOf = (revocation: Revocation): string => JSON.stringify(Object.entries(revocation).sort(([a], [b]) => (a < b ? -1 : 1)))
