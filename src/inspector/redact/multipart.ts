import { CENSOR, type SecretNames } from './secret-names.ts'
import type { Redactor, Sink } from './sink.ts'

/** Most of the head of a part, bytes. */
const MAX_HEAD = 8_192
const BLANK = Buffer.from('\r\n\r\n')
const MASK = Buffer.from(CENSOR)

/** Makes the redactor of a part. @param type  of the part; undefined: it does not say */
export type PartRedactor = (type: string | undefined, sink: Sink) => Redactor

/** `multipart/…` (RFC 2046 §5.1): parts with secret names go, the others are read as what they are. */
export class MultipartRedactor implements Redactor {
  readonly #delimiter: Buffer
  /** Bytes that may begin a delimiter, or a head that is not whole. */
  #rest: Buffer = Buffer.from('\r\n')
  #isFirst = true
  #isInHead = false
  #part: Redactor | undefined
  #count = 0

  constructor(
    boundary: string,
    private readonly names: SecretNames,
    private readonly partOf: PartRedactor,
    private readonly sink: Sink,
  ) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  }

  get count(): number {
    return this.#count + (this.#part?.count ?? 0)
  }

  push(chunk: Uint8Array): void {
    const last = this.#rest
    const all = Buffer.alloc(last.length + chunk.length)
    last.copy(all)
    all.set(chunk, last.length)
    let bytes: Buffer = all
    for (;;) {
      if (this.#isInHead) {
        const end = bytes.indexOf(BLANK)
        if (end < 0 && bytes.length <= MAX_HEAD) break
        this.#isInHead = false
        // A head without end is no head: nothing of that part is kept.
        if (end < 0) continue
        this.#begin(bytes.subarray(0, end + BLANK.length))
        // The delimiter of an empty part begins with the end of its head.
        bytes = bytes.subarray(end + 2)
        if (bytes.indexOf(this.#delimiter) !== 0) bytes = bytes.subarray(2)
        continue
      }
      const at = bytes.indexOf(this.#delimiter)
      if (at < 0) {
        const kept = Math.max(0, bytes.length - this.#delimiter.length + 1)
        this.#give(bytes.subarray(0, kept))
        bytes = bytes.subarray(kept)
        break
      }
      this.#give(bytes.subarray(0, at))
      this.#endPart()
      const next = at + this.#delimiter.length
      const from = this.#isFirst ? 2 : 0
      this.#isFirst = false
      this.sink(this.#delimiter, from, this.#delimiter.length)
      bytes = bytes.subarray(next)
      this.#isInHead = true
    }
    const rest = Buffer.alloc(bytes.length)
    bytes.copy(rest)
    this.#rest = rest
    // Nothing of what was taken out stays in memory that is given back as it is.
    last.fill(0)
    all.fill(0)
  }

  end(): void {
    if (this.#isInHead) {
      // What follows the last delimiter, if it is that: `--`.
      if (this.#rest.length >= 2 && this.#rest[0] === 0x2d && this.#rest[1] === 0x2d) this.sink(this.#rest, 0, 2)
    } else this.#give(this.#rest)
    this.#endPart()
    this.#rest.fill(0)
  }

  #give(bytes: Buffer): void {
    if (bytes.length > 0) this.#part?.push(bytes)
  }

  #begin(head: Buffer): void {
    this.sink(head, 0, head.length)
    const text = head.toString('latin1')
    const disposition = /^content-disposition:(.*)$/im.exec(text)?.[1] ?? ''
    const name = /;\s*name="?([^";]*)/i.exec(disposition)?.[1] ?? ''
    if (this.names.isSecret(name)) {
      this.#count++
      this.sink(MASK, 0, MASK.length)
      return
    }
    this.#part = this.partOf(/^content-type:(.*)$/im.exec(text)?.[1]?.trim(), this.sink)
  }

  #endPart(): void {
    const part = this.#part
    if (part === undefined) return
    part.end()
    this.#count += part.count
    this.#part = undefined
  }
}
