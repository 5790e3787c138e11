const MAX_BYTES = 65_536

/** The beginning of an upload, so that a request can move to another inner layer while all of it is still known. */
export class ReplayBuffer {
  #chunks: Buffer[] = []
  #bytes = 0
  #isIncomplete = false
  /** The upload is complete. */
  hasEnded = false

  /** Everything so far; empty when it was too much to keep. */
  get chunks(): readonly Buffer[] {
    return this.#chunks
  }

  /** True when more than 64 KiB came, so that the request cannot be sent again. */
  get isIncomplete(): boolean {
    return this.#isIncomplete
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > MAX_BYTES) {
      this.#isIncomplete = true
      this.#chunks = []
    } else this.#chunks.push(chunk)
  }
}
