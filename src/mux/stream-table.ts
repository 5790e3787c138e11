/** Slots at first: a session that carries nothing is to cost nothing. */
const FIRST_SLOTS = 8
/** Slots from the first time on that two streams would share one; ids that are open at a time are mostly neighbours, so few do. */
const USUAL_SLOTS = 256
const MAX_SLOTS = 65_536

/**
 * The open streams of a session, by id. Not a Map: its tables are replaced every so many insertions, each old one points at the next, and
 * once one of them has become old all that come after it, with every stream that was open meanwhile, survive until the next full
 * collection. Under load that made a quarter of all allocations old, and a full collection four times a second.
 */
export class StreamTable<Stream extends { readonly id: number }> {
  #slots: (Stream | undefined)[] = new Array<Stream | undefined>(FIRST_SLOTS).fill(undefined)
  /** Streams whose slot is taken by another one. */
  readonly #others = new Map<number, Stream>()
  #size = 0

  /** Streams in the table. */
  get size(): number {
    return this.#size
  }

  /** The stream with this id. */
  get(id: number): Stream | undefined {
    const stream = this.#slots[this.#slotOf(id)]
    return stream?.id === id ? stream : this.#others.size > 0 ? this.#others.get(id) : undefined
  }

  /** Adds a stream whose id is not in the table. */
  add(stream: Stream): void {
    if (++this.#size * 2 > this.#slots.length && this.#slots.length < MAX_SLOTS) this.#grow()
    this.#place(stream)
  }

  /** True when it was in the table. */
  delete(stream: Stream): boolean {
    const slot = this.#slotOf(stream.id)
    if (this.#slots[slot] === stream) this.#slots[slot] = undefined
    else if (!this.#others.delete(stream.id)) return false
    this.#size--
    return true
  }

  /** All of them at this moment, in no order. */
  all(): Stream[] {
    return [...this.#slots.filter(stream => stream !== undefined), ...this.#others.values()]
  }

  /** The two ends open odd and even ids. */
  #slotOf(id: number): number {
    return (id >>> 1) & (this.#slots.length - 1)
  }

  #place(stream: Stream): void {
    const slot = this.#slotOf(stream.id)
    if (this.#slots[slot] === undefined) this.#slots[slot] = stream
    else if (this.#slots.length < USUAL_SLOTS) {
      this.#grow()
      this.#place(stream)
    } else this.#others.set(stream.id, stream)
  }

  #grow(): void {
    const streams = this.all()
    this.#slots = new Array<Stream | undefined>(Math.max(USUAL_SLOTS, this.#slots.length * 2)).fill(undefined)
    this.#others.clear()
    for (const stream of streams) this.#place(stream)
  }
}
