import { lookup, type LookupAddress } from 'node:dns'

/** The time after which a name is looked up anew, milliseconds: `getaddrinfo` does not tell how long an address may be kept. */
const KEPT_MS = 10_000
/** For this long after that, what was known before serves while a resolver is slow … */
const STALE_MS = 60_000
/** … which it is when it has not answered by then. */
const PATIENCE_MS = 250
const MAX_NAMES = 1_000

/** Told once: of the addresses, of which there is at least one, or of why there is none. */
export type OnAddresses = (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void

/** Resolves a name, as the system does. */
export type Resolve = (hostname: string, callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void) => void

interface Known {
  readonly addresses: readonly LookupAddress[]
  readonly atMs: number
}

/**
 * Names of origins, looked up as the system does (`getaddrinfo`: hosts file, search domains and all). That blocks a thread for as long as a
 * name server is silent, and there are few of them: so a name is looked up once at a time, whoever asks, and what is found is kept.
 */
export class NameLookup {
  readonly #known = new Map<string, Known>()
  readonly #waiting = new Map<string, Set<OnAddresses>>()

  /** @param clock  milliseconds, rising */
  constructor(
    private readonly clock: () => number,
    private readonly resolve: Resolve = (hostname, callback) => lookup(hostname, { all: true }, callback),
  ) {}

  /** Never calls back before it returns. */
  lookup(hostname: string, onAddresses: OnAddresses): void {
    const known = this.#known.get(hostname)
    const ageMs = known === undefined ? Infinity : this.clock() - known.atMs
    if (known !== undefined && ageMs < KEPT_MS) return queueMicrotask(() => onAddresses(null, known.addresses))
    let tell = onAddresses
    if (known !== undefined && ageMs < KEPT_MS + STALE_MS) {
      let isTold = false
      tell = (error, addresses) => {
        clearTimeout(timer)
        if (!isTold) onAddresses(error, addresses)
        isTold = true
      }
      const timer = setTimeout(() => tell(null, known.addresses), PATIENCE_MS)
    }
    const waiting = this.#waiting.get(hostname)
    if (waiting !== undefined) return void waiting.add(tell)
    this.#waiting.set(hostname, new Set([tell]))
    this.resolve(hostname, (error, addresses) => this.#found(hostname, error, addresses))
  }

  #found(hostname: string, error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]): void {
    const waiting = this.#waiting.get(hostname) ?? []
    this.#waiting.delete(hostname)
    this.#known.delete(hostname)
    if (error === null) {
      if (this.#known.size >= MAX_NAMES) this.#known.delete(this.#known.keys().next().value!)
      this.#known.set(hostname, { addresses, atMs: this.clock() })
    }
    for (const tell of waiting) tell(error, addresses)
  }
}
