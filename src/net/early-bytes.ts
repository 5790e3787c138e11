import type { Duplex } from 'node:stream'
import { guarded } from './guard.ts'

/** Then nothing more is read until somebody takes what came. */
const MAX_BYTES = 65_536

/**
 * Bytes that a client sends behind a request to switch protocols, before it is decided what they mean. As long as it is HTTP, a client that
 * ends its half has left.
 */
export class EarlyBytes {
  readonly #chunks: Buffer[]
  #bytes: number
  readonly #leave = (): void => void this.socket.destroy()
  readonly #onData = guarded(this.#leave, (chunk: Buffer) => {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes >= MAX_BYTES) this.socket.pause()
  })

  /** @param head  what node:http had read already; it may change afterwards */
  constructor(
    readonly socket: Duplex,
    head: Buffer,
  ) {
    this.#chunks = head.length > 0 ? [Buffer.from(head)] : []
    this.#bytes = head.length
    socket.on('data', this.#onData)
    socket.on('end', this.#leave)
    socket.on('error', this.#leave)
  }

  /** Hands over what came so far; the socket is paused, and of this only the listener for errors stays. */
  take(): Buffer {
    this.socket.pause()
    this.socket.off('data', this.#onData)
    this.socket.off('end', this.#leave)
    const all = Buffer.concat(this.#chunks)
    this.#chunks.length = 0
    return all
  }

  /** Gives the socket back as it was before, with what came so far, behind `head`. */
  giveBack(head: Buffer): void {
    this.socket.unshift(Buffer.concat([head, this.take()]))
    this.socket.off('error', this.#leave)
  }
}
