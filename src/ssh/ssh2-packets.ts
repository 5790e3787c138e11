/**
 * What ssh2 spends on each packet that it sends, and need not: a call for a few random bytes of padding, and three writes, of the length, the text and the
 * tag. Once keys are in use its cipher is given cheaper ways. Where another release of ssh2 has another cipher, it stays as it is.
 */
import { randomFillSync } from 'node:crypto'
import type { Connection } from './ssh2.ts'

interface Cipher {
  allocPacket(payloadBytes: number): Buffer
  encrypt(packet: Buffer): void
  _onWrite(bytes: Uint8Array): void
}

interface Holder {
  readonly _protocol?: { readonly _cipher?: Partial<Cipher> }
}

const POOL_BYTES = 4_096
/** RFC 4253 §6: a packet without its length is a multiple of this, and has so many bytes of padding at least. */
const BLOCK_BYTES = 16
const MIN_PADDING = 4
/** In front of the payload: the length of the packet, and that of the padding. */
const HEAD_BYTES = 5
const LENGTH_BYTES = 4
/** A packet of more bytes is written in parts: a copy of it costs more than two writes. */
const JOINED_BYTES = 8_192

/** Random bytes for the padding of packets, many drawn at a time, each used once. */
export class Padding {
  readonly #bytes = Buffer.allocUnsafeSlow(POOL_BYTES)
  #used = POOL_BYTES

  /** @param length  256 at most */
  fill(packet: Buffer, at: number, length: number): void {
    if (this.#used + length > POOL_BYTES) {
      randomFillSync(this.#bytes)
      this.#used = 0
    }
    this.#bytes.copy(packet, at, this.#used, this.#used + length)
    this.#used += length
  }
}

/** A packet in which the payload is left out, as ssh2 makes it for ciphers that leave the length readable: AES-GCM, and all with a MAC over the ciphertext. */
function allocPacket(payloadBytes: number, padding: Padding): Buffer {
  const rest = (1 + payloadBytes) % BLOCK_BYTES
  const least = BLOCK_BYTES - rest
  const paddingBytes = least < MIN_PADDING ? least + BLOCK_BYTES : least
  const packet = Buffer.allocUnsafe(HEAD_BYTES + payloadBytes + paddingBytes)
  packet.writeUInt32BE(packet.length - LENGTH_BYTES, 0)
  packet[LENGTH_BYTES] = paddingBytes
  padding.fill(packet, HEAD_BYTES + payloadBytes, paddingBytes)
  return packet
}

/** Does the cipher want packets of just these lengths? */
const isAlike = (cipher: Cipher, padding: Padding): boolean => {
  for (let payload = 0; payload < BLOCK_BYTES; payload++) {
    const [theirs, ours] = [cipher.allocPacket(payload), allocPacket(payload, padding)]
    if (!theirs.subarray(0, HEAD_BYTES).equals(ours.subarray(0, HEAD_BYTES)) || theirs.length !== ours.length) return false
  }
  return true
}

/** Call when keys have come into use, each time. */
export function sendCheaply(client: Connection, padding: Padding): void {
  const cipher = (client as unknown as Holder)._protocol?._cipher
  if (typeof cipher?.allocPacket !== 'function' || typeof cipher.encrypt !== 'function' || typeof cipher._onWrite !== 'function') return
  const known = cipher as Cipher
  if (!isAlike(known, padding)) return
  known.allocPacket = payloadBytes => allocPacket(payloadBytes, padding)
  const encrypt = known.encrypt.bind(known)
  const send = known._onWrite.bind(known)
  const write = (bytes: Uint8Array): void => send(bytes)
  let parts: Uint8Array[] = []
  known._onWrite = bytes => void parts.push(bytes)
  known.encrypt = packet => {
    parts = []
    encrypt(packet)
    const done = parts
    parts = []
    const bytes = done.reduce((sum, { length }) => sum + length, 0)
    if (bytes > JOINED_BYTES) done.forEach(write)
    else if (bytes > 0) write(Buffer.concat(done, bytes))
  }
}
