import type { Socket } from 'node:net'
import { addressKey, networkKey } from '../../address/address-key.ts'
import { guarded } from '../../net/guard.ts'
import { Recent } from '../../rates/recent.ts'
import { TokenBucket } from '../../rates/token-bucket.ts'

/** Connections that may be unproven at a time: in all, of one network (IPv4: /24, IPv6: /48), and of one address. */
const MAX_UNPROVEN = 512
const MAX_UNPROVEN_PER_NETWORK = 128
const MAX_UNPROVEN_PER_ADDRESS = 5
/** Of one from which an inner layer has proven itself not long ago: there may be many behind it, and they come back together. */
const MAX_UNPROVEN_PER_KNOWN = 256
const KNOWN_MS = 3_600_000
/** An honest handshake takes two round trips: one that is younger keeps its place, and many that come back at once do not push each other out. */
const FAIR_MS = 500
/** The handshake has 5 s of its own and tells the peer when they are over; a second later the connection is cut, whatever it does. */
const UNPROVEN_MS = 6_000
/** Connections that one address may begin without proving itself, each second and at once. */
const ATTEMPTS = { perSecond: 5, burst: 50 }
const ATTEMPTS_OF_KNOWN = { perSecond: 50, burst: 500 }
const MAX_TRACKED_ADDRESSES = 10_000

/** One connection that has not proven itself. */
interface Unproven {
  readonly socket: Socket
  readonly address: string
  readonly network: string
  readonly sinceMs: number
  readonly timer: NodeJS.Timeout
}

/**
 * Keeps what strangers cost small: counts connections from the first byte of the websocket handshake, not from the first message, since
 * a stranger need not send one. Where places are full the oldest of those who have the most goes, so that nobody is kept out by many who
 * only wait.
 */
export class HandshakeLimits {
  readonly #all = new Map<Socket, Unproven>()
  /** In the order in which they came, each. */
  readonly #byAddress = new Map<string, Set<Unproven>>()
  readonly #byNetwork = new Map<string, Set<Unproven>>()
  readonly #attempts = new Map<string, TokenBucket>()
  readonly #known: Recent<true>

  /**
   * @param clock     milliseconds, rising
   * @param isCrowd   whoever comes from one address is many: only all of them together are limited
   */
  constructor(
    private readonly clock: () => number,
    private readonly isCrowd = false,
  ) {
    this.#known = new Recent(MAX_TRACKED_ADDRESSES, KNOWN_MS, clock)
  }

  /** Connections that have not proven themselves. */
  get size(): number {
    return this.#all.size
  }

  /** Takes `socket` in, until it closes or is proven; or says why not. May cut another one for it. */
  admit(socket: Socket, from: string): string | undefined {
    const address = addressKey(from)
    const network = networkKey(from)
    if (!this.isCrowd && !this.#takeAttempt(address)) return 'too many attempts'
    if (this.#all.has(socket)) return undefined
    if (!this.#makeRoom(address, network)) return 'too many handshakes'
    const timer = setTimeout(() => socket.destroy(), UNPROVEN_MS)
    timer.unref()
    const unproven: Unproven = { socket, address, network, sinceMs: this.clock(), timer }
    this.#all.set(socket, unproven)
    addTo(this.#byAddress, address, unproven)
    addTo(this.#byNetwork, network, unproven)
    socket.once(
      'close',
      guarded(
        () => this.#all.delete(socket),
        () => this.#release(socket),
      ),
    )
    return undefined
  }

  /** Stops counting an inner layer that has proven itself: many of them behind one address may come back at once. */
  proven(socket: Socket, from: string): void {
    this.#release(socket)
    const address = addressKey(from)
    this.#attempts.delete(address)
    this.#known.set(address, true)
  }

  #makeRoom(address: string, network: string): boolean {
    const ofAddress = this.#byAddress.get(address)
    const ofNetwork = this.#byNetwork.get(network)
    if (!this.isCrowd) {
      const isKnown = this.#known.get(address) === true
      const mostOfAddress = isKnown ? MAX_UNPROVEN_PER_KNOWN : MAX_UNPROVEN_PER_ADDRESS
      const mostOfNetwork = isKnown ? MAX_UNPROVEN_PER_KNOWN : MAX_UNPROVEN_PER_NETWORK
      if (ofAddress !== undefined && ofAddress.size >= mostOfAddress) return this.#evictOldest(ofAddress, FAIR_MS)
      if (ofNetwork !== undefined && ofNetwork.size >= mostOfNetwork) return this.#evictOldest(ofNetwork, FAIR_MS)
    }
    if (this.#all.size < MAX_UNPROVEN) return true
    const crowd = this.#mostCrowded()
    return this.#evictOldest(crowd, crowd.size > (ofNetwork?.size ?? 0) + 1 ? 0 : FAIR_MS)
  }

  #evictOldest(crowd: ReadonlySet<Unproven>, leastMs: number): boolean {
    const oldest = oldestOf(crowd)
    if (this.clock() - oldest.sinceMs < leastMs) return false
    this.#release(oldest.socket)
    oldest.socket.destroy()
    return true
  }

  /** Of the networks that have the most, the one whose oldest is the oldest. */
  #mostCrowded(): ReadonlySet<Unproven> {
    let most: ReadonlySet<Unproven> | undefined
    for (const crowd of this.#byNetwork.values()) {
      const isMore =
        most === undefined || crowd.size > most.size || (crowd.size === most.size && oldestOf(crowd).sinceMs < oldestOf(most).sinceMs)
      if (isMore) most = crowd
    }
    return most!
  }

  #takeAttempt(address: string): boolean {
    let limit = this.#attempts.get(address)
    if (limit === undefined) {
      if (this.#attempts.size >= MAX_TRACKED_ADDRESSES) for (const oldest of this.#attempts.keys()) if (this.#attempts.delete(oldest)) break
      const { perSecond, burst } = this.#known.get(address) === true ? ATTEMPTS_OF_KNOWN : ATTEMPTS
      limit = new TokenBucket(perSecond, burst, this.clock)
      this.#attempts.set(address, limit)
    }
    return limit.take()
  }

  #release(socket: Socket): void {
    const unproven = this.#all.get(socket)
    if (unproven === undefined) return
    clearTimeout(unproven.timer)
    this.#all.delete(socket)
    removeFrom(this.#byAddress, unproven.address, unproven)
    removeFrom(this.#byNetwork, unproven.network, unproven)
  }
}

function addTo(sets: Map<string, Set<Unproven>>, key: string, unproven: Unproven): void {
  const known = sets.get(key)
  if (known === undefined) sets.set(key, new Set([unproven]))
  else known.add(unproven)
}

function removeFrom(sets: Map<string, Set<Unproven>>, key: string, unproven: Unproven): void {
  const known = sets.get(key)
  if (known?.delete(unproven) === true && known.size === 0) sets.delete(key)
}

/** Sets keep the order; this one is never empty. */
const oldestOf = (crowd: ReadonlySet<Unproven>): Unproven => crowd.values().next().value!
