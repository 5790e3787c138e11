import type { Link } from '../mux/link.ts'

/** One end of a pair of links inside a process: of layers that are both there, and for tests of everything above the carrier. */
export class MemoryLink implements Link {
  #peer: MemoryLink | undefined
  #isClosed = false
  #bufferedBytes = 0
  /** Bytes that have arrived; a test may let some of an unfinished message arrive. */
  receivedBytes = 0
  /** While true nothing is delivered: a black hole. */
  isHeld = false
  readonly #held: Buffer[] = []
  onMessage: (message: Buffer) => void = () => undefined
  onDrain: () => void = () => undefined
  onClose: (reason: string) => void = () => undefined

  /** Two ends, each the other's peer. Messages arrive in a later turn of the event loop. */
  static pair(): [MemoryLink, MemoryLink] {
    const [a, b] = [new MemoryLink(), new MemoryLink()]
    a.#peer = b
    b.#peer = a
    return [a, b]
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  send(message: Buffer): void {
    if (this.#isClosed) return
    this.#bufferedBytes += message.length
    const copy = Buffer.from(message) // the sender writes to its memory again
    if (this.isHeld) this.#held.push(copy)
    else setImmediate(() => this.#deliver(copy))
  }

  /** Delivers what was held back and goes on. */
  release(): void {
    this.isHeld = false
    for (const message of this.#held.splice(0)) setImmediate(() => this.#deliver(message))
  }

  close(): void {
    setImmediate(() => this.destroy())
  }

  destroy(): void {
    if (this.#isClosed) return
    this.#end('closed here')
    const peer = this.#peer
    if (peer !== undefined) setImmediate(() => peer.#end('closed by the peer'))
  }

  #deliver(message: Buffer): void {
    this.#bufferedBytes -= message.length
    const peer = this.#peer
    if (peer !== undefined && !peer.#isClosed) {
      peer.receivedBytes += message.length
      peer.onMessage(message)
    }
    if (this.#bufferedBytes === 0 && !this.#isClosed) this.onDrain()
  }

  #end(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onClose(reason)
  }
}
