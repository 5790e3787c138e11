import type { Socket } from 'node:net'
import { addressKey } from '../../address/address-key.ts'
import { RateLimit } from '../../rates/token-bucket.ts'

/** Connections that may be unproven at a time, in all and per address. */
const MAX_UNPROVEN = 100
const MAX_UNPROVEN_PER_ADDRESS = 5
/** The handshake has 5 s of its own and tells the peer when they are over; a second later the connection is cut, whatever it does. */
const UNPROVEN_MS = 6_000
/** Connections that one address may begin without proving itself, each second and at once. */
const ATTEMPTS = { perSecond: 5, burst: 50 }
const MAX_TRACKED_ADDRESSES = 10_000

/**
 * Keeps what strangers cost small: counts connections from the first byte of the websocket handshake, not from the first message, since
 * a stranger need not send one.
 */
export class HandshakeLimits {
  readonly #sockets = new Map<Socket, { readonly address: string; readonly timer: NodeJS.Timeout }>()
  readonly #counts = new Map<string, number>()
  readonly #attempts = new Map<string, RateLimit>()

  /** @param clock  milliseconds, rising */
  constructor(private readonly clock: () => number) {}

  /** Takes `socket` in, until it closes or is proven; or says why not. */
  admit(socket: Socket, from: string): string | undefined {
    const address = addressKey(from)
    const count = this.#counts.get(address) ?? 0
    if (this.#sockets.size >= MAX_UNPROVEN || count >= MAX_UNPROVEN_PER_ADDRESS) return 'too many handshakes'
    if (!this.#takeAttempt(address)) return 'too many attempts'
    if (this.#sockets.has(socket)) return undefined
    const timer = setTimeout(() => socket.destroy(), UNPROVEN_MS)
    timer.unref()
    this.#sockets.set(socket, { address, timer })
    this.#counts.set(address, count + 1)
    socket.once('close', () => this.#release(socket))
    return undefined
  }

  /** Whoever has proven itself is no stranger: many inner layers behind one address may come back at once. */
  proven(socket: Socket, from: string): void {
    this.#release(socket)
    this.#attempts.delete(addressKey(from))
  }

  #takeAttempt(address: string): boolean {
    let limit = this.#attempts.get(address)
    if (limit === undefined) {
      if (this.#attempts.size >= MAX_TRACKED_ADDRESSES) this.#attempts.clear()
      limit = new RateLimit(ATTEMPTS.perSecond, ATTEMPTS.burst, this.clock)
      this.#attempts.set(address, limit)
    }
    return limit.take()
  }

  #release(socket: Socket): void {
    const held = this.#sockets.get(socket)
    if (held === undefined) return
    clearTimeout(held.timer)
    this.#sockets.delete(socket)
    const left = (this.#counts.get(held.address) ?? 0) - 1
    if (left > 0) this.#counts.set(held.address, left)
    else this.#counts.delete(held.address)
  }
}
