import type { Transform } from 'node:stream'
import zlib, { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { guarded } from '../net/guard.ts'

/** Bodies that are decompressed at a time: each takes memory that no budget sees. */
const MAX_DECODERS = 32
/** Most that waits for its decompression, bytes. */
const MAX_WAITING_BYTES = 1_048_576

/** Told of what comes out. */
export interface DecoderEvents {
  /** @returns false when no more is wanted */
  data(chunk: Buffer): boolean
  /** Nothing follows. @param note  why not all came; null: all did */
  done(note: string | null): void
}

/** The streams that decompress bodies, so many at a time. */
export class Decoders {
  #count = 0

  /** @returns undefined when it cannot be undone, or not now; `note` says why */
  open(coding: string, events: DecoderEvents): Decoder | { readonly note: string } {
    const create = CODINGS.get(coding)
    if (create === undefined) return { note: `not kept: the content coding ${coding.slice(0, 40)} cannot be undone` }
    if (this.#count >= MAX_DECODERS) return { note: `not kept: ${MAX_DECODERS} other bodies were being decompressed` }
    this.#count++
    return new Decoder(create(), {
      data: chunk => events.data(chunk),
      done: note => {
        this.#count--
        events.done(note)
      },
    })
  }
}

/** Some programs say `deflate` and send it without the frame of zlib (RFC 9110 §8.4.1.2); those cannot be read. */
const CODINGS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ['gzip', () => createGunzip()],
  ['x-gzip', () => createGunzip()],
  ['deflate', () => createInflate()],
  ['br', () => createBrotliDecompress()],
  ...zstd(),
])

function zstd(): [string, () => Transform][] {
  // Node.js has it since 22.15.
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform }
  return createZstdDecompress === undefined ? [] : [['zstd', createZstdDecompress]]
}

/** Undoes one content coding, in the threads of zlib. What comes out is bounded by whoever takes it. */
export class Decoder {
  #isOver = false

  constructor(
    private readonly stream: Transform,
    private readonly events: DecoderEvents,
  ) {
    const fail = (): void => this.#over('cut: the decompressed body could not be read')
    stream.on(
      'data',
      guarded(fail, (chunk: Buffer) => {
        if (!this.#isOver && !events.data(chunk)) this.#over(null)
      }),
    )
    stream.on(
      'error',
      guarded(fail, (error: Error & { code?: string }) =>
        this.#over(error.code === 'Z_BUF_ERROR' ? 'cut: the compressed body is not whole' : 'cut: not what its content coding says'),
      ),
    )
    stream.on(
      'end',
      guarded(fail, () => this.#over(null)),
    )
  }

  write(chunk: Buffer): void {
    if (this.#isOver) return
    if (this.stream.writableLength > MAX_WAITING_BYTES) return this.#over('cut: it came faster than it could be decompressed')
    // A copy: it is read in another thread, later.
    this.stream.write(Buffer.from(chunk))
  }

  end(): void {
    if (!this.#isOver) this.stream.end()
  }

  #over(note: string | null): void {
    if (this.#isOver) return
    this.#isOver = true
    this.stream.destroy()
    this.events.done(note)
  }
}
