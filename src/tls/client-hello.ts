/** The first message of TLS, read without taking part in it: enough to know which name the client wants. RFC 8446 §4.1.2, RFC 6066 §3. */

/** The findings of `readClientHello` in the bytes so far. */
export type ClientHello =
  /** More bytes are needed: so many at least, counted from the first. */
  | { readonly kind: 'more'; readonly bytes: number }
  /** `name` as the client sent it, in lower case; undefined when it sent none. With ECH it is the public one (RFC 9849). */
  | { readonly kind: 'hello'; readonly name: string | undefined; readonly alpn: readonly string[] }
  | { readonly kind: 'invalid'; readonly reason: string }

/** Post-quantum key shares take about 2 KiB; what is larger than this is no honest hello. */
export const MAX_HELLO_BYTES = 16_384

const RECORD_HEADER = 5
const HANDSHAKE_HEADER = 4
const HANDSHAKE = 22
const CLIENT_HELLO = 1
const MAX_RECORD = 16_384
const Extension = { SERVER_NAME: 0, ALPN: 16 } as const
const HOST_NAME = 0

/** Fatal alert `unrecognized_name` (RFC 6066 §3) as a record. */
export const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112])

const invalid = (reason: string): ClientHello => ({ kind: 'invalid', reason })

/** The records of a ClientHello that were looked at, so that none of them is looked at again when more bytes have come. */
export class HelloProgress {
  /** The place of the first record that is not whole. */
  at = 0
  /** Bytes of the message in the records before it. */
  length = 0
  /** Its first four bytes, as far as they are there: the type and the length. */
  readonly head: number[] = []
}

/**
 * Reads a ClientHello, which may be spread over several records, each in pieces.
 * @param bytes     everything since the connection began
 * @param progress  the same for each call of one connection, so that all of them together take a time that is linear in the bytes
 */
export function readClientHello(bytes: Buffer, progress = new HelloProgress()): ClientHello {
  const { head } = progress
  for (;;) {
    const { at } = progress
    if (bytes.length > at && bytes[at] !== HANDSHAKE)
      return invalid(at === 0 ? 'this is no TLS' : 'another record inside the first message')
    if (bytes.length < at + RECORD_HEADER) return more(at + RECORD_HEADER)
    if (bytes[at + 1] !== 3) return invalid('this is no TLS')
    const size = bytes.readUInt16BE(at + 3)
    if (size === 0 || size > MAX_RECORD) return invalid(`a record of ${size} bytes`)
    const end = at + RECORD_HEADER + size
    const length = progress.length + Math.min(end, bytes.length) - at - RECORD_HEADER
    for (let i = progress.length; i < Math.min(HANDSHAKE_HEADER, length); i++) head[i] = bytes[at + RECORD_HEADER + i - progress.length]!
    if (length > 0 && head[0] !== CLIENT_HELLO) return invalid('the first message is no ClientHello')
    const isSized = length >= HANDSHAKE_HEADER
    const wanted = isSized ? HANDSHAKE_HEADER + 65_536 * head[1]! + 256 * head[2]! + head[3]! : HANDSHAKE_HEADER
    if (wanted > MAX_HELLO_BYTES) return invalid(`a ClientHello of ${wanted} bytes, more than ${MAX_HELLO_BYTES}`)
    if (isSized && length >= wanted) return parse(messageIn(bytes, wanted).subarray(HANDSHAKE_HEADER))
    if (bytes.length < end) return more(Math.min(end, bytes.length + wanted - length))
    progress.at = end
    progress.length = length
  }
}

/** The first `wanted` bytes of the content of records, which are there. */
function messageIn(bytes: Buffer, wanted: number): Buffer {
  const fragments: Buffer[] = []
  for (let at = 0, length = 0; length < wanted;) {
    const end = at + RECORD_HEADER + bytes.readUInt16BE(at + 3)
    const fragment = bytes.subarray(at + RECORD_HEADER, end)
    fragments.push(fragment)
    length += fragment.length
    at = end
  }
  return Buffer.concat(fragments, wanted)
}

const more = (bytes: number): ClientHello =>
  bytes > MAX_HELLO_BYTES ? invalid(`no whole ClientHello in ${MAX_HELLO_BYTES} bytes`) : { kind: 'more', bytes }

/** Reads what is length-prefixed; beyond the end it says so once, by `isCut`. */
class Cursor {
  isCut = false
  #at = 0

  constructor(private readonly bytes: Buffer) {}

  get isDone(): boolean {
    return this.isCut || this.#at >= this.bytes.length
  }

  take(length: number): Buffer {
    if (this.#at + length > this.bytes.length) this.isCut = true
    const from = this.#at
    this.#at += length
    return this.bytes.subarray(from, from + length)
  }

  integer(size: 1 | 2): number {
    const bytes = this.take(size)
    return this.isCut ? 0 : bytes.readUIntBE(0, size)
  }

  /** A vector whose length is written in `size` bytes before it. */
  vector(size: 1 | 2): Buffer {
    return this.take(this.integer(size))
  }
}

function parse(body: Buffer): ClientHello {
  const cursor = new Cursor(body)
  cursor.take(2 + 32) // legacy_version, random
  cursor.vector(1) // legacy_session_id
  cursor.vector(2) // cipher_suites
  cursor.vector(1) // legacy_compression_methods
  let name: string | undefined
  let alpn: readonly string[] = []
  if (!cursor.isDone) {
    const extensions = new Cursor(cursor.vector(2))
    while (!extensions.isDone) {
      const type = extensions.integer(2)
      const value = extensions.vector(2)
      if (type === Extension.SERVER_NAME) name ??= serverName(value)
      else if (type === Extension.ALPN) alpn = protocols(value)
    }
    if (extensions.isCut) return invalid('a ClientHello cut short')
  }
  return cursor.isCut ? invalid('a ClientHello cut short') : { kind: 'hello', name, alpn }
}

function serverName(value: Buffer): string | undefined {
  const list = new Cursor(new Cursor(value).vector(2))
  while (!list.isDone) {
    const type = list.integer(1)
    const name = list.vector(2)
    if (type === HOST_NAME && !list.isCut && name.length > 0) return name.toString('latin1').toLowerCase()
  }
  return undefined
}

function protocols(value: Buffer): readonly string[] {
  const list = new Cursor(new Cursor(value).vector(2))
  const names: string[] = []
  while (!list.isDone) names.push(list.vector(1).toString('latin1'))
  return list.isCut ? [] : names
}
