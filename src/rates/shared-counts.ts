import { RateMeter } from './rate-meter.ts'

/** A rate, as meters take it. */
type Rate = ConstructorParameters<typeof RateMeter>[0]

/** The part that other processes have in something that is counted, by key. */
export interface Tally {
  /** Of all other processes together, as far as they have said. */
  others(key: string): number
  /** This process has one more, or one less. */
  add(key: string, by: 1 | -1): void
}

/** Counts that several processes have in common. */
export interface SharedCounts {
  /** The meter of this name and rate, from which all of them take. */
  meter(name: string, rate: Rate): RateMeter
  tally(name: string): Tally
}

/** A change of the counts of one process, as JSON. */
export interface CountsChange {
  /** Number taken of each key; below zero: given back. */
  readonly taken: readonly {
    readonly meter: string
    readonly rate: Rate
    readonly counts: readonly (readonly [key: string, count: number])[]
  }[]
  /** Tally, key, and how many there are. */
  readonly held: readonly (readonly [tally: string, key: string, count: number])[]
}

/** Of targets that are in no file any more, too. */
const MAX_METERS = 10_000

/** Processes whose bursts at the same moment are remembered until they are paid for; as many as can be. */
const MAX_PROCESSES = 256

/** Options of the counts of one process. */
export interface CountsBookOptions {
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Tells all other processes. */
  readonly tell: (change: CountsChange) => void
  /** Calls `flush` in a moment: what happens meanwhile is told together. */
  readonly soon: (flush: () => void) => void
}

/**
 * The counts of one process among several. Each decides by itself at once, and tells the others a moment later: so nobody waits, and in that moment
 * each of them may let in what one alone would have. What is too much of a rate is a debt that all of them wait for, so that in the long run the rate
 * is exact; what is too much of a number at a time is over when it ends.
 */
export class CountsBook implements SharedCounts {
  readonly #meters = new Map<string, SharedMeter>()
  readonly #tallies = new Map<string, SharedTally>()
  #isDue = false

  constructor(private readonly options: CountsBookOptions) {}

  /** Others may have begun to take from it before this process has asked for it. */
  meter(name: string, rate: Rate): RateMeter {
    // While files are read anew, some have another rate than others.
    const id = `${rate.perSecond} ${rate.burst} ${name}`
    const known = this.#meters.get(id)
    if (known !== undefined) return known
    const meter = new SharedMeter(name, rate, this.options.clock, this.#dirty)
    const [oldest] = this.#meters.size >= MAX_METERS ? this.#meters.keys() : []
    if (oldest !== undefined) this.#meters.delete(oldest)
    this.#meters.set(id, meter)
    return meter
  }

  tally(name: string): Tally {
    return this.#tallyOf(name)
  }

  #tallyOf(name: string): SharedTally {
    const known = this.#tallies.get(name)
    if (known !== undefined) return known
    const tally = new SharedTally(this.#dirty)
    this.#tallies.set(name, tally)
    return tally
  }

  /** Another process has said this. @param from  which one */
  hear(from: string, { taken, held }: CountsChange): void {
    for (const { meter: name, rate, counts } of taken) {
      const meter = this.meter(name, rate)
      for (const [key, count] of counts) meter.absorb(key, count)
    }
    for (const [name, key, count] of held) this.#tallyOf(name).hear(from, key, count)
  }

  /** Another process has ended, and with it whatever it had at a time. */
  gone(from: string): void {
    for (const tally of this.#tallies.values()) tally.gone(from)
  }

  /** Somebody new has come: says once more what there is. */
  repeat(): void {
    for (const tally of this.#tallies.values()) tally.repeat()
    this.#dirty()
  }

  readonly #dirty = (): void => {
    if (this.#isDue) return
    this.#isDue = true
    this.options.soon(() => this.#flush())
  }

  #flush(): void {
    this.#isDue = false
    const taken = [...this.#meters.values()].flatMap(meter => {
      const counts = meter.drain()
      return counts.length === 0 ? [] : [{ meter: meter.name, rate: meter.rate, counts }]
    })
    const held = [...this.#tallies].flatMap(([name, tally]) => tally.drain().map(([key, count]) => [name, key, count] as const))
    if (taken.length + held.length > 0) this.options.tell({ taken, held })
  }
}

/** A meter that notes what is taken here. */
class SharedMeter extends RateMeter {
  #taken = new Map<string, number>()

  readonly rate: Rate

  constructor(
    readonly name: string,
    { perSecond, burst }: Rate,
    clock: () => number,
    private readonly onTaken: () => void,
  ) {
    super({ perSecond, burst }, clock, MAX_PROCESSES)
    this.rate = { perSecond, burst }
  }

  override take(key: string): number {
    const waitMs = super.take(key)
    if (waitMs === 0) this.#note(key, 1)
    return waitMs
  }

  override giveBack(key: string): void {
    super.giveBack(key)
    this.#note(key, -1)
  }

  drain(): readonly (readonly [string, number])[] {
    const taken = [...this.#taken].filter(([, count]) => count !== 0)
    this.#taken = new Map()
    return taken
  }

  #note(key: string, count: number): void {
    this.#taken.set(key, (this.#taken.get(key) ?? 0) + count)
    this.onTaken()
  }
}

class SharedTally implements Tally {
  readonly #own = new Map<string, number>()
  readonly #changed = new Set<string>()
  readonly #others = new Map<string, number>()
  readonly #byProcess = new Map<string, Map<string, number>>()

  constructor(private readonly onChanged: () => void) {}

  others(key: string): number {
    return this.#others.get(key) ?? 0
  }

  add(key: string, by: 1 | -1): void {
    put(this.#own, key, (this.#own.get(key) ?? 0) + by)
    this.#changed.add(key)
    this.onChanged()
  }

  hear(from: string, key: string, count: number): void {
    const ofProcess = this.#byProcess.get(from) ?? new Map<string, number>()
    this.#byProcess.set(from, ofProcess)
    put(this.#others, key, this.others(key) + count - (ofProcess.get(key) ?? 0))
    put(ofProcess, key, count)
  }

  gone(from: string): void {
    for (const key of [...(this.#byProcess.get(from)?.keys() ?? [])]) this.hear(from, key, 0)
    this.#byProcess.delete(from)
  }

  repeat(): void {
    for (const key of this.#own.keys()) this.#changed.add(key)
  }

  drain(): readonly (readonly [string, number])[] {
    const changed = [...this.#changed].map(key => [key, this.#own.get(key) ?? 0] as const)
    this.#changed.clear()
    return changed
  }
}

/** Keeps nothing of what there is none of. */
function put(map: Map<string, number>, key: string, count: number): void {
  if (count === 0) map.delete(key)
  else map.set(key, count)
}
