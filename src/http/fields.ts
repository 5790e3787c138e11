/**
 * Header and trailer fields as a flat list `[name, value, name, value, …]` in wire order, as `rawHeaders` of node:http: order, case,
 * duplicates and empty values survive. Names and values are bytes in HTTP; each character stands for one byte (latin-1).
 *
 * On the link: count u16, then per field name length u16, name, value length u16 … as bytes, never as UTF-8 or JSON.
 */
import { GatewayError } from '../errors.ts'

/** A flat list of names and values. */
export type Fields = readonly string[]

/** Most fields of one head. */
export const MAX_FIELDS = 200
/** Most bytes of all fields of one head. */
export const MAX_FIELDS_BYTES = 61_440

/** Grows as needed; writes big-endian integers and length-prefixed byte strings. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(1_024)
  #at = 0

  u8(value: number): this {
    this.#reserve(1)
    this.#buffer[this.#at++] = value
    return this
  }

  u16(value: number): this {
    this.#reserve(2)
    this.#buffer[this.#at++] = value >>> 8
    this.#buffer[this.#at++] = value
    return this
  }

  /** An unsigned integer below 2^53. */
  u53(value: number): this {
    this.#reserve(8)
    this.#buffer.writeUInt32BE(Math.floor(value / 2 ** 32), this.#at)
    this.#buffer.writeUInt32BE(value >>> 0, this.#at + 4)
    this.#at += 8
    return this
  }

  /** Length u16, then one byte per character. */
  latin1(value: string): this {
    const length = value.length
    if (length > 0xffff) throw new GatewayError('HEADERS_TOO_LARGE', `a value of ${length} bytes`)
    this.u16(length)
    this.#reserve(length)
    this.#buffer.write(value, this.#at, 'latin1')
    this.#at += length
    return this
  }

  /** Length u16, then the bytes. */
  bytes(value: Uint8Array): this {
    if (value.length > 0xffff) throw new GatewayError('HEADERS_TOO_LARGE', `a value of ${value.length} bytes`)
    this.u16(value.length)
    this.#reserve(value.length)
    this.#buffer.set(value, this.#at)
    this.#at += value.length
    return this
  }

  /** What was written. */
  take(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes))
    larger.set(this.#buffer.subarray(0, this.#at))
    this.#buffer = larger
  }
}

/** The inverse of ByteWriter. Every read checks its bounds. @throws GatewayError PROTOCOL */
export class ByteReader {
  #at = 0

  constructor(private readonly buffer: Buffer) {}

  u8(): number {
    return this.buffer[this.#advance(1)]!
  }

  u16(): number {
    return this.buffer.readUInt16BE(this.#advance(2))
  }

  u53(): number {
    const at = this.#advance(8)
    const value = this.buffer.readUInt32BE(at) * 2 ** 32 + this.buffer.readUInt32BE(at + 4)
    if (!Number.isSafeInteger(value)) throw new GatewayError('PROTOCOL', 'an integer above 2^53')
    return value
  }

  latin1(): string {
    const length = this.u16()
    const at = this.#advance(length)
    return this.buffer.toString('latin1', at, at + length)
  }

  /** @throws GatewayError PROTOCOL when bytes are left over */
  end(): void {
    if (this.#at !== this.buffer.length) throw new GatewayError('PROTOCOL', `${this.buffer.length - this.#at} bytes left over in a head`)
  }

  #advance(bytes: number): number {
    const at = this.#at
    this.#at += bytes
    if (this.#at > this.buffer.length) throw new GatewayError('PROTOCOL', 'a head cut short')
    return at
  }
}

/** Appends a list of fields; values may be strings (latin-1) or bytes. */
export function writeFields(writer: ByteWriter, fields: readonly (string | Uint8Array)[]): void {
  if (fields.length / 2 > MAX_FIELDS) throw new GatewayError('HEADERS_TOO_LARGE', `${fields.length / 2} fields`)
  writer.u16(fields.length / 2)
  for (const item of fields) {
    if (typeof item === 'string') writer.latin1(item)
    else writer.bytes(item)
  }
}

/** Reads a list of fields. @throws GatewayError PROTOCOL */
export function readFields(reader: ByteReader): string[] {
  const count = reader.u16()
  if (count > MAX_FIELDS) throw new GatewayError('PROTOCOL', `${count} fields`)
  const fields: string[] = []
  for (let left = count * 2; left > 0; left--) fields.push(reader.latin1())
  return fields
}

/** A list of fields as the payload of a TRAILERS frame. */
export function encodeFields(fields: readonly (string | Uint8Array)[]): Buffer {
  const writer = new ByteWriter()
  writeFields(writer, fields)
  return writer.take()
}

/** The inverse of `encodeFields`. @throws GatewayError PROTOCOL */
export function decodeFields(payload: Buffer): string[] {
  const reader = new ByteReader(payload)
  const fields = readFields(reader)
  reader.end()
  return fields
}

/** All values of the field `name` (lower case). */
export function valuesOf(fields: Fields, name: string): string[] {
  const values: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.length === name.length && fields[i]!.toLowerCase() === name) values.push(fields[i + 1]!)
  }
  return values
}
