/**
 * Bytes of the payloads that OPEN, RESPONSE, TRAILERS and NOTE carry. A list of fields is: count u16, then per field name length u16, name,
 * value length u16, value, as bytes, never as UTF-8 or JSON.
 */
import { GatewayError } from '../errors.ts'
import { MAX_FIELDS, type Fields } from '../http/fields.ts'
import type { RepeatedFields } from '../http/message.ts'

export type { RepeatedFields } from '../http/message.ts'

const characterOf = (byte: number): string => String.fromCharCode(byte & 0xff)
/** The two characters of a length below 256, which almost all are. */
const SHORT_LENGTHS = Array.from({ length: 256 }, (_, length) => `\0${characterOf(length)}`)

const lengthPrefix = (length: number): string => {
  if (length > 0xffff) throw new GatewayError('HEADERS_TOO_LARGE', `a value of ${length} bytes`)
  return SHORT_LENGTHS[length] ?? characterOf(length >>> 8) + characterOf(length)
}

/**
 * Writes big-endian integers and length-prefixed byte strings. Collected as one latin-1 string and encoded at once: a call into
 * native code per name and value costs four times as much.
 */
export class ByteWriter {
  #text = ''

  u8(value: number): this {
    this.#text += characterOf(value)
    return this
  }

  u16(value: number): this {
    this.#text += characterOf(value >>> 8) + characterOf(value)
    return this
  }

  u32(value: number): this {
    return this.u16(value >>> 16).u16(value)
  }

  /** An unsigned integer below 2^53. */
  u53(value: number): this {
    const high = Math.floor(value / 0x1_0000_0000)
    this.u16(high >>> 16).u16(high)
    const low = value >>> 0
    return this.u16(low >>> 16).u16(low)
  }

  /** Length u16, then one byte per character. */
  latin1(value: string): this {
    this.#text += lengthPrefix(value.length) + value
    return this
  }

  /** Bytes that were encoded before, one for each character. */
  raw(text: string): this {
    this.#text += text
    return this
  }

  /** The bytes written. */
  take(): Buffer {
    return Buffer.from(this.#text, 'latin1')
  }
}

/** The inverse of ByteWriter, from one string as well. Every read checks its bounds. @throws GatewayError PROTOCOL */
export class ByteReader {
  readonly #text: string
  #at = 0

  constructor(payload: Buffer) {
    this.#text = payload.toString('latin1')
  }

  u8(): number {
    return this.#text.charCodeAt(this.#advance(1))
  }

  u16(): number {
    const at = this.#advance(2)
    return (this.#text.charCodeAt(at) << 8) | this.#text.charCodeAt(at + 1)
  }

  u32(): number {
    return this.u16() * 0x1_0000 + this.u16()
  }

  u53(): number {
    const at = this.#advance(8)
    let value = 0
    for (let i = at; i < at + 8; i++) value = value * 256 + this.#text.charCodeAt(i)
    if (!Number.isSafeInteger(value)) throw new GatewayError('PROTOCOL', 'an integer above 2^53')
    return value
  }

  latin1(): string {
    const length = this.u16()
    const at = this.#advance(length)
    return this.#text.slice(at, at + length)
  }

  /** @throws GatewayError PROTOCOL when bytes are left over */
  end(): void {
    const left = this.#text.length - this.#at
    if (left > 0) throw new GatewayError('PROTOCOL', `${left} bytes left over in a head`)
  }

  #advance(bytes: number): number {
    const at = this.#at
    this.#at += bytes
    if (this.#at > this.#text.length) throw new GatewayError('PROTOCOL', 'a head cut short')
    return at
  }
}

const NONE: RepeatedFields = Object.freeze({ fields: [], count: 0, text: '' })

/** Appends a list of fields and gives the payload. @param more  behind them */
export function takeWithFields(writer: ByteWriter, fields: Fields, more = NONE): Buffer {
  const count = fields.length / 2 + more.count
  checkCount(count)
  writer.u16(count)
  for (const value of fields) writer.latin1(value)
  return writer.raw(more.text).take()
}

/** @throws GatewayError HEADERS_TOO_LARGE */
export function checkCount(count: number): void {
  if (count > MAX_FIELDS) throw new GatewayError('HEADERS_TOO_LARGE', `${count} fields`)
}

/** Lists of fields that many heads have at their end, each encoded once for as long as somebody holds it. */
export class RepeatedFieldLists {
  readonly #known = new WeakMap<Fields, RepeatedFields>()

  /** @param fields  that do not change. @throws GatewayError HEADERS_TOO_LARGE */
  of(fields: Fields): RepeatedFields {
    const known = this.#known.get(fields)
    if (known !== undefined) return known
    const writer = new ByteWriter()
    for (const value of fields) writer.latin1(value)
    // From bytes: a text that is put together is made flat in each head anew.
    const made: RepeatedFields = { fields, count: fields.length / 2, text: writer.take().toString('latin1'), told: undefined }
    this.#known.set(fields, made)
    return made
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
export const encodeFields = (fields: Fields): Buffer => takeWithFields(new ByteWriter(), fields)

/** The inverse of `encodeFields`. @throws GatewayError PROTOCOL */
export function decodeFields(payload: Buffer): string[] {
  const reader = new ByteReader(payload)
  const fields = readFields(reader)
  reader.end()
  return fields
}
