import type { Socket } from 'node:net'

/** The most that may be saved up. */
const CAPACITY = 10_000
const PER_SECOND = 500

/** Prices of what a client can do for next to nothing, and of what it gets back for requests that come to an end. */
export const FRAME_COST = {
  /** A stream that was given up before its answer was complete, by whomever (CVE-2023-44487, CVE-2025-8671). */
  brokenStream: 20,
  /** RFC 9113 §6.5: each has to be applied and acknowledged. */
  settings: 100,
  /** Each has to be answered; clients of gRPC measure the way with them while they send or receive. */
  ping: 2,
  /** A frame that carries nothing and of which node:http2 says nothing, such as WINDOW_UPDATE, PRIORITY or padding: as many bytes of them. */
  barren: 1,
  /** Earned by a stream that came to its end. */
  wholeStream: -20,
  /** Earned by a piece of a body. */
  piece: -2,
} as const

/** Bytes of a WINDOW_UPDATE, and those before the payload of any frame. */
const BARREN_BYTES = 13
const FRAME_BYTES = 9
/** Bytes that may be explained before they come, at least: a client gives back windows once it has read what was sent. */
const MIN_AHEAD_BYTES = 1_048_576

/**
 * Finds the bytes of a connection that carry nothing, by what is left when all others are accounted for: those of heads and bodies, and as
 * many as were sent, for whoever is sent something gives windows back.
 */
export class BarrenBytes {
  #explained = 0
  #sent = 0

  constructor(private readonly socket: Pick<Socket, 'bytesRead' | 'bytesWritten'>) {}

  /** Bytes of a head or a piece of a body came; twice as many are explained, since there may be some padding. */
  carried(bytes: number): void {
    this.#explained += 2 * bytes + FRAME_BYTES
  }

  /** Bytes that may still come of a stream that is over. */
  expect(bytes: number): void {
    this.#explained += bytes
  }

  /**
   * The number of frames that carried nothing since it was asked last.
   * @param held        bytes of bodies that nobody has taken yet
   * @param aheadBytes  those of streams that are over which may still be under way
   */
  count(held: number, aheadBytes = 0): number {
    const { bytesRead, bytesWritten } = this.socket
    this.#explained += bytesWritten - this.#sent
    this.#sent = bytesWritten
    const left = bytesRead - held - this.#explained
    this.#explained = Math.min(Math.max(this.#explained, bytesRead - held), bytesRead + Math.max(MIN_AHEAD_BYTES, aheadBytes))
    return Math.max(0, Math.floor(left / BARREN_BYTES))
  }
}

/**
 * The most that those frames of one client may cost that lead to nothing (RFC 9113 §10.5): five hundred broken streams, five thousand PINGs
 * or a hundred SETTINGS at once, and a twentieth of that in each second. Clients that also get something done are never near it.
 */
export class FrameBudget {
  #left: number
  #atMs: number

  /**
   * @param clock  milliseconds, rising
   * @param scale  how many times as much as above
   */
  constructor(
    private readonly clock: () => number,
    private readonly scale = 1,
  ) {
    this.#atMs = clock()
    this.#left = CAPACITY * scale
  }

  /** False when there is no budget left for it. */
  spend(cost: number): boolean {
    const now = this.clock()
    const { scale } = this
    this.#left = Math.min(CAPACITY * scale, this.#left + ((now - this.#atMs) * PER_SECOND * scale) / 1000) - cost
    this.#atMs = now
    return this.#left >= 0
  }

  /** Gives something back. @param cost  negative */
  earn(cost: number): void {
    this.#left = Math.min(CAPACITY * this.scale, this.#left - cost)
  }
}
