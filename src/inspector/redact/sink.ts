/** Takes what may be kept: `bytes[from…to)`, which belong to the caller. */
export type Sink = (bytes: Uint8Array, from: number, to: number) => void

/** Reads bytes in pieces of any size and gives on what may be kept of them. Takes time in proportion to their number. */
export interface Redactor {
  /** Places where something was taken out. */
  readonly count: number
  push(chunk: Uint8Array): void
  /** Nothing follows. */
  end(): void
}

/** Keeps everything: for bytes without names. */
export class KeepAll implements Redactor {
  readonly count = 0

  constructor(private readonly sink: Sink) {}

  push(chunk: Uint8Array): void {
    this.sink(chunk, 0, chunk.length)
  }

  end(): void {
    // Nothing was held back.
  }
}
