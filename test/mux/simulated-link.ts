/** Two ends of a link in simulated time: a rate, a way, and kernels that take megabytes. Nothing of it depends on how busy the machine is. */
import type { Link } from '../../src/mux/link.ts'
import { Chance } from '../support/random.ts'
import { SEED } from '../support/seed.ts'

export interface Path {
  bytesPerMs: number
  /** Half the round trip. */
  delayMs: number
  /** The longest time for which an end does something else, again and again: half of all time at most. Default 0. */
  busyMs?: number
}

/** What the kernel takes before bytes wait at the sender. */
const KERNEL_BYTES = 4 << 20

class SimulatedEnd implements Link {
  peer!: SimulatedEnd
  readonly #queue: { readonly message: Buffer; left: number }[] = []
  readonly #way: { readonly message: Buffer; readonly dueMs: number }[] = []
  #queuedBytes = 0
  #isWaiting = false
  #isBusy = false
  #turnsAtMs = 0
  receivedBytes = 0
  onMessage: (message: Buffer) => void = () => undefined
  onDrain: () => void = () => undefined
  onClose: (reason: string) => void = () => undefined

  constructor(
    private readonly path: Path,
    private readonly clock: () => number,
    private readonly chance: Chance,
  ) {}

  get bufferedBytes(): number {
    return Math.max(0, this.#queuedBytes - KERNEL_BYTES)
  }

  /** Bytes that the kernel has and the line has not taken. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** True while this end is told nothing: what comes waits in its kernel. */
  get isBusy(): boolean {
    const { busyMs = 0 } = this.path
    if (busyMs > 0 && this.clock() >= this.#turnsAtMs) {
      this.#isBusy = !this.#isBusy
      this.#turnsAtMs = this.clock() + this.chance.between(1, busyMs)
    }
    return busyMs > 0 && this.#isBusy
  }

  send(message: Uint8Array): void {
    // The websocket, TCP and IP add some bytes to each.
    const bytes = message.length + 8
    this.#queue.push({ message: Buffer.from(message), left: bytes })
    this.#queuedBytes += bytes
    if (this.bufferedBytes > 0) this.#isWaiting = true
  }

  close(): void {
    this.onClose('closed')
  }

  destroy(): void {
    this.onClose('destroyed')
  }

  step(ms: number): void {
    let budget = this.path.bytesPerMs * ms
    while (budget > 0 && this.#queue.length > 0) {
      const head = this.#queue[0]!
      const taken = Math.min(budget, head.left)
      head.left -= taken
      budget -= taken
      this.#queuedBytes -= taken
      this.peer.receivedBytes += taken
      if (head.left > 0) break
      this.#queue.shift()
      this.#way.push({ message: head.message, dueMs: this.clock() + this.path.delayMs })
    }
    while (!this.peer.isBusy && this.#way.length > 0 && this.#way[0]!.dueMs <= this.clock()) this.peer.onMessage(this.#way.shift()!.message)
    if (this.isBusy) return
    if (this.#isWaiting && this.bufferedBytes === 0) {
      this.#isWaiting = false
      this.onDrain()
    }
  }
}

/** A link whose two directions are alike, and its clock. */
export const simulatedLink = (path: Path) => {
  const clock = { nowMs: 1_000 }
  const read = (): number => clock.nowMs
  const [outer, inner] = [new SimulatedEnd(path, read, new Chance(SEED)), new SimulatedEnd(path, read, new Chance(SEED + 1))]
  outer.peer = inner
  inner.peer = outer
  /** Lets `ms` of simulated time pass, in steps of `stepMs`; `each` is called after every one. */
  const run = async (ms: number, { stepMs = 1, each = (_stepMs: number): void => undefined } = {}): Promise<void> => {
    const end = clock.nowMs + ms
    while (clock.nowMs < end) {
      clock.nowMs += stepMs
      outer.step(stepMs)
      inner.step(stepMs)
      each(stepMs)
      // Sessions send once in a turn of the event loop.
      await new Promise(setImmediate)
      await new Promise(setImmediate)
    }
  }
  return { outer, inner, clock: read, run }
}
