import { attempt } from '../net/guard.ts'
import { CountsBook, type CountsChange } from '../rates/shared-counts.ts'
import { PeerCalls } from './peer-calls.ts'
import type { Peers, Tell } from './peers.ts'
import { parseCounts, splitCounts } from './split-counts.ts'

/** The topic of what is counted. */
export const COUNTS = 'counts'

/** Options of the book of one process. */
export interface PeerBookOptions {
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Calls `flush` in a moment: what is counted meanwhile is told together. */
  readonly soon: (flush: () => void) => void
  /** A fault in what is done with a message. */
  readonly onFault: (thrown: unknown) => void
}

/** The way to the other processes. */
export interface PeerTransport {
  /**
   * Sends to all others that are there.
   * @param isCount  may be left out where somebody has not read what was sent before; then `false` is to be returned
   */
  send(topic: string, message: unknown, isCount: boolean): boolean
  /** Sends to one. */
  sendTo(peer: string, topic: string, message: unknown): void
}

/** One process among its peers: what it counts together with them, and what they tell each other. The way there is a transport's. */
export class PeerBook implements Peers {
  readonly counts: CountsBook
  /** The questions that they ask each other. */
  readonly calls: PeerCalls
  readonly #listeners = new Map<string, (message: unknown) => void>()
  readonly #greeters: ((tell: Tell) => void)[] = []
  #transport: PeerTransport | undefined

  constructor(private readonly options: PeerBookOptions) {
    this.counts = new CountsBook({ clock: options.clock, soon: options.soon, tell: change => this.#count(change) })
    this.calls = new PeerCalls(options.onFault)
  }

  /** From now on, others are told by this way. */
  attach(transport: PeerTransport): void {
    this.#transport = transport
  }

  /** A message that cannot be sent is a fault, and none of the caller's. */
  readonly tell = (topic: string, message: unknown): void => this.#contain(() => void this.#transport?.send(topic, message, false))

  hear(topic: string, listener: (message: unknown) => void): void {
    this.#listeners.set(topic, listener)
  }

  greet(greeter: (tell: Tell) => void): void {
    this.#greeters.push(greeter)
  }

  /** Another process has said this. */
  took(from: string, topic: string, message: unknown): void {
    this.#contain(() => {
      if (topic === COUNTS) this.counts.hear(from, parseCounts(message))
      else this.#listeners.get(topic)?.(message)
    })
  }

  /** Another process is there, and has heard nothing yet. */
  came(peer: string): void {
    this.counts.repeat()
    this.#contain(() => this.calls.came(peer))
    for (const greeter of this.#greeters) this.#contain(() => greeter((topic, message) => this.#transport?.sendTo(peer, topic, message)))
  }

  /** Another process has gone, and with it whatever it had at a time. */
  gone(peer: string): void {
    this.counts.gone(peer)
  }

  #count(change: CountsChange): void {
    let areAll = true
    for (const part of splitCounts(change)) if (this.#transport?.send(COUNTS, part, true) === false) areAll = false
    // What is held has to be known in the end; what was taken meanwhile is not, where a link stands still.
    if (!areAll) this.counts.repeat()
  }

  #contain(action: () => void): void {
    attempt(this.options.onFault, action)
  }
}
