/** Two ends of a link in memory, on which nothing moves but what a schedule lets through. */
import type { Link } from '../../src/mux/link.ts'

/** A message lies in the socket, then in the network, then it is there. */
export class ScheduledEnd implements Link {
  peer!: ScheduledEnd
  /** In the socket of this end: the sender may not change them yet. */
  readonly #socket: Uint8Array[] = []
  readonly #network: Buffer[] = []
  #bufferedBytes = 0
  #isClosing = false
  isClosed = false
  receivedBytes = 0
  onMessage: (message: Buffer) => void = () => undefined
  onDrain: () => void = () => undefined
  onClose: (reason: string) => void = () => undefined

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  get hasWork(): boolean {
    return this.#socket.length + this.#network.length > 0 || (this.#isClosing && !this.isClosed)
  }

  send(message: Uint8Array): void {
    if (this.isClosed || this.#isClosing) return
    this.#socket.push(message)
    this.#bufferedBytes += message.length
  }

  close(): void {
    this.#isClosing = true
  }

  destroy(): void {
    this.cut('destroyed')
  }

  /** The network takes what lies in the socket. */
  take(): void {
    if (this.#socket.length === 0) return
    for (const message of this.#socket.splice(0)) this.#network.push(Buffer.from(message))
    this.#bufferedBytes = 0
    if (!this.isClosed) this.onDrain()
  }

  /** The next message arrives; behind the last one, the end. `change` may falsify it. @returns whether there was one */
  deliver(change: (message: Buffer) => Buffer = message => message): boolean {
    const message = this.#network.shift()
    if (message !== undefined) {
      if (this.peer.isClosed) return true
      this.peer.receivedBytes += message.length
      this.peer.onMessage(change(message))
      return true
    }
    if (!this.#isClosing || this.isClosed || this.#socket.length > 0) return false
    this.cut('closed')
    this.peer.cut('closed by the peer')
    return true
  }

  /** This end is gone. The other one learns of it when `cut` is called on it as well. */
  cut(reason: string): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#socket.length = 0
    this.#bufferedBytes = 0
    this.onClose(reason)
  }
}

export const scheduledLink = (): readonly [ScheduledEnd, ScheduledEnd] => {
  const [a, b] = [new ScheduledEnd(), new ScheduledEnd()]
  a.peer = b
  b.peer = a
  return [a, b]
}
