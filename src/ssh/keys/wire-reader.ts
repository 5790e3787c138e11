import { GatewayError } from '../../errors.ts'

/** Reads what SSH writes (RFC 4251 §5), from foreign bytes. Each call throws GatewayError INVALID beyond the end. */
export class WireReader {
  #at = 0

  constructor(private readonly bytes: Buffer) {}

  /** The place up to which it has read. */
  get position(): number {
    return this.#at
  }

  get isDone(): boolean {
    return this.#at === this.bytes.length
  }

  byte(): number {
    const value = this.#need(1)[0]!
    this.#at += 1
    return value
  }

  u32(): number {
    const value = this.#need(4).readUInt32BE(0)
    this.#at += 4
    return value
  }

  u64(): bigint {
    const value = this.#need(8).readBigUInt64BE(0)
    this.#at += 8
    return value
  }

  /** A string of bytes, a view. */
  string(): Buffer {
    const length = this.u32()
    const value = this.#need(length).subarray(0, length)
    this.#at += length
    return value
  }

  text(): string {
    return this.string().toString('utf8')
  }

  /** A positive number, without the zero byte that keeps it positive. */
  mpint(): Buffer {
    const value = this.string()
    let start = 0
    while (start < value.length - 1 && value[start] === 0) start++
    return value.subarray(start)
  }

  /** Nothing may follow. */
  end(): void {
    if (!this.isDone) throw new GatewayError('INVALID', 'bytes behind the end of what SSH announced')
  }

  #need(bytes: number): Buffer {
    if (bytes > this.bytes.length - this.#at) throw new GatewayError('INVALID', 'fewer bytes than SSH announced')
    return this.bytes.subarray(this.#at, this.#at + bytes)
  }
}

/** A string of SSH: its length, then its bytes. */
export function wireString(value: Buffer | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(bytes.length, 0)
  return Buffer.concat([length, bytes])
}
