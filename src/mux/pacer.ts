const MIN_BYTES = 32_768
const MAX_BYTES = 524_288
/** The socket's own queue holds what the link carries in this time: longer, and control frames wait behind data. */
const TARGET_MS = 100
const FIRST_BYTES = 262_144

/** The number of bytes that may wait in the queue of the socket: clamp(100 ms × measured rate, 32 KiB, 512 KiB). */
export class Pacer {
  #highBytes = FIRST_BYTES
  #bytesPerMs = 0
  #blockedAtMs = -1
  #blockedBytes = 0

  /** Bytes that may wait in the socket. */
  get highBytes(): number {
    return this.#highBytes
  }

  /** The socket holds `bufferedBytes` and takes no more for now. */
  blocked(nowMs: number, bufferedBytes: number): void {
    if (this.#blockedAtMs >= 0) return
    this.#blockedAtMs = nowMs
    this.#blockedBytes = bufferedBytes
  }

  /** The socket's queue has run empty. */
  drained(nowMs: number): void {
    if (this.#blockedAtMs < 0) return
    const rate = this.#blockedBytes / Math.max(nowMs - this.#blockedAtMs, 0.01)
    this.#blockedAtMs = -1
    this.#bytesPerMs = this.#bytesPerMs === 0 ? rate : this.#bytesPerMs * 0.75 + rate * 0.25
    this.#highBytes = Math.min(MAX_BYTES, Math.max(MIN_BYTES, Math.round(this.#bytesPerMs * TARGET_MS)))
  }
}
