/** The data types of the SSH protocol (RFC 4251 §5), as far as keys and certificates have them. */

/** Returns `bytes` with their length before them. */
export function sshString(bytes: Buffer | string): Buffer {
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes
  return Buffer.concat([sshUint32(content.length), content])
}

export const sshUint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export const sshUint64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

/** Returns an unsigned number as mpint: no needless zero before it, one zero where the first bit would say "negative". */
export function sshMpint(bytes: Buffer): Buffer {
  let start = 0
  while (start < bytes.length && bytes[start] === 0) start++
  const plain = bytes.subarray(start)
  return sshString(plain.length > 0 && plain[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), plain]) : plain)
}

/** Reads strings one after the other; undefined when the bytes end too soon. */
export class SshReader {
  #at = 0

  constructor(private readonly bytes: Buffer) {}

  get isAtEnd(): boolean {
    return this.#at === this.bytes.length
  }

  /** Bytes that have not been read. */
  get rest(): Buffer {
    return this.bytes.subarray(this.#at)
  }

  string(): Buffer | undefined {
    if (this.bytes.length - this.#at < 4) return undefined
    const length = this.bytes.readUInt32BE(this.#at)
    const start = this.#at + 4
    if (length > this.bytes.length - start) return undefined
    this.#at = start + length
    return this.bytes.subarray(start, this.#at)
  }
}
