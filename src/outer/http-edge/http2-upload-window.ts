import type { ServerHttp2Session } from 'node:http2'

/** Bytes of an upload that come ahead of the link, for each stream, at first and at last. */
export const FIRST_WINDOW_BYTES = 65_535
const LAST_WINDOW_BYTES = 2_097_152
const FACTOR = 4
/** Uploads that a connection may have while its window is larger than the first. */
const MAX_UPLOADS = 8
/** The number of bytes by which all windows together may have grown, in one process. */
const BUDGET_BYTES = 67_108_864

/** The bytes by which windows may still grow. */
export class UploadBudget {
  leftBytes = BUDGET_BYTES
}

/**
 * The window of the uploads of one connection: grows as long as the origin takes what comes, since a window is what one round trip can bring.
 * RFC 9113 §6.9.2: it is one setting for all streams, and node:http2 has no other, so a connection borrows for as many uploads as it may have.
 */
export class UploadWindow {
  #bytes = FIRST_WINDOW_BYTES
  #borrowedBytes = 0
  #receivedBytes = 0
  #uploads = 0
  #isChanging = false
  #isToShrink = false

  /** @param onFirst  the client has said that it knows that the window is the first again */
  constructor(
    private readonly session: ServerHttp2Session,
    private readonly budget: UploadBudget,
    private readonly onFirst: () => void,
  ) {}

  /** Bytes that may be under way for one upload, as far as the client has said that it knows. */
  get bytes(): number {
    return FIRST_WINDOW_BYTES + this.#borrowedBytes / MAX_UPLOADS
  }

  /** The bytes by which windows of its uploads may have grown, together. */
  get borrowedBytes(): number {
    return this.#borrowedBytes
  }

  /** An upload begins; false: it is one too many for what was borrowed, and has to wait for `onFirst` or the end of another. */
  begin(): boolean {
    if (this.#borrowedBytes > 0 && this.#uploads >= MAX_UPLOADS) {
      this.#shrink()
      // Until the client has said that it knows, the larger window holds.
      if (this.#uploads >= 2 * MAX_UPLOADS) return false
    }
    this.#uploads++
    return true
  }

  end(): void {
    this.#uploads--
  }

  /** Bytes of an upload came and were taken: a paused one does not tell of any. */
  received(bytes: number): void {
    this.#receivedBytes += bytes
    if (this.#receivedBytes < this.#bytes || this.#isChanging || this.#bytes >= LAST_WINDOW_BYTES || this.#uploads > MAX_UPLOADS) return
    const next = Math.min(LAST_WINDOW_BYTES, this.#bytes * FACTOR)
    const cost = (next - this.#bytes) * MAX_UPLOADS
    if (cost > this.budget.leftBytes) return
    this.budget.leftBytes -= cost
    this.#borrowedBytes += cost
    this.#receivedBytes = 0
    this.#change(next, () => undefined)
    this.session.setLocalWindowSize(next * MAX_UPLOADS)
  }

  /** To be called now and then: gives back what is not needed, once the client knows. */
  relax(): void {
    if (this.#uploads === 0 && this.#borrowedBytes > 0) this.#shrink()
  }

  /** The connection is over. */
  close(): void {
    this.#giveBack(this.#borrowedBytes)
  }

  #shrink(): void {
    if (this.#bytes === FIRST_WINDOW_BYTES) return
    if (this.#isChanging) {
      this.#isToShrink = true
      return
    }
    const bytes = this.#borrowedBytes
    this.#change(FIRST_WINDOW_BYTES, () => {
      this.#giveBack(bytes)
      this.onFirst()
    })
  }

  #change(bytes: number, acknowledged: () => void): void {
    this.#bytes = bytes
    this.#isChanging = true
    this.session.settings({ initialWindowSize: bytes }, error => {
      this.#isChanging = false
      if (error !== null) return
      acknowledged()
      if (!this.#isToShrink) return
      this.#isToShrink = false
      this.#shrink()
    })
  }

  #giveBack(bytes: number): void {
    const given = Math.min(bytes, this.#borrowedBytes)
    this.#borrowedBytes -= given
    this.budget.leftBytes += given
  }
}
