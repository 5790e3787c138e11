/**
 * What ssh2 spends on each packet, and need not: a call for a few random bytes of padding, three writes, of the length, the text and the
 * tag, and a cipher of which a MAC is no part. Once keys are in use its cipher is given cheaper ways, and whoever carries much another cipher.
 * Where another release of ssh2 has another shape, it stays as it is.
 */
import { randomFillSync } from 'node:crypto'
import { attempt } from '../net/guard.ts'
import { WireReader } from './keys/wire-reader.ts'
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

/** Ciphers that prove what they encrypt, in one pass. */
const QUICK: readonly string[] = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com']
const KEXINIT = 20
/** Type and cookie of that message (RFC 4253 §7.1), before its lists. */
const COOKIE_BYTES = 17
/** A connection that has cost so much goes over: a key exchange costs as much as a MAC of some 4 MB at either end. */
const MUCH_BYTES = 8 * 2 ** 20
/** The cost of a packet beside its bytes, in bytes. */
const PACKET_BYTES = 8_192

/** Names of the ciphers of both directions. */
interface Ciphers {
  readonly cs: readonly string[]
  readonly sc: readonly string[]
}

interface Names {
  readonly array: readonly string[]
}

type Way = Readonly<Record<'cipher' | 'mac' | 'compress' | 'lang', Names>>

interface Offer {
  readonly lists: { readonly kex: Names; readonly serverHostKey: Names; readonly cs: Way; readonly sc: Way }
}

interface Exchanging {
  readonly _protocol?: {
    _offer?: Offer
    readonly _kexinit?: unknown
    readonly _decipher?: { _onPayload?: (payload: Buffer) => unknown }
  }
}

/** @throws GatewayError INVALID */
function ciphersIn(kexinit: Buffer): Ciphers {
  const reader = new WireReader(kexinit.subarray(COOKIE_BYTES))
  const names = (): readonly string[] => reader.text().split(',')
  for (const _list of ['kex', 'host keys']) reader.string()
  return { cs: names(), sc: names() }
}

const isQuick = ({ cs, sc }: Ciphers): boolean => [cs, sc].every(names => names.some(name => QUICK.includes(name)))

/**
 * Has a connection go over to AES-GCM once it carries much. Of the ciphers that both ends know, the client's first one counts, and OpenSSH before
 * 10.0 names AES-CTR before AES-GCM: with its MAC it costs the door half as much again. Whoever knows no AES-GCM keeps what there is.
 */
export class QuickCipher {
  #spent = 0
  #known: Ciphers | undefined
  #offer: Offer | undefined

  /** To be made before the client has been read from any further than its first line. @param onFault  a fault of ours */
  constructor(
    private readonly client: Connection,
    onFault: (thrown: unknown) => void,
  ) {
    const decipher = (client as unknown as Exchanging)._protocol?._decipher
    const onPayload = decipher?._onPayload
    if (decipher === undefined || onPayload === undefined) return
    decipher._onPayload = payload => {
      decipher._onPayload = onPayload
      // What is malformed ssh2 refuses.
      if (payload[0] === KEXINIT)
        attempt(
          () => undefined,
          () => void (this.#known = ciphersIn(payload)),
        )
      return onPayload(payload)
    }
    client.on('handshake', negotiated => attempt(onFault, () => this.#negotiated(negotiated)))
  }

  /** Bytes of a packet, of either direction. */
  spend(bytes: number): void {
    this.#spent += bytes + PACKET_BYTES
  }

  /** Begins another key exchange where it is time, and none is under way. */
  renewIfDue(): void {
    if (this.#spent < MUCH_BYTES || this.#offer === undefined) return
    const protocol = (this.client as unknown as Exchanging)._protocol!
    if (protocol._kexinit !== undefined) return
    protocol._offer = this.#offer
    this.#offer = undefined
    this.client.rekey()
  }

  #negotiated(negotiated: { readonly cs: { readonly cipher: string }; readonly sc: { readonly cipher: string } }): void {
    const offer = (this.client as unknown as Exchanging)._protocol?._offer
    this.#offer = undefined
    if (offer === undefined || this.#known === undefined || !isQuick(this.#known)) return
    if ([negotiated.cs, negotiated.sc].every(({ cipher }) => QUICK.includes(cipher))) return
    const { kex, serverHostKey, cs, sc } = offer.lists
    const way = ({ mac, compress, lang }: Way) => ({ cipher: QUICK, mac: mac.array, compress: compress.array, lang: lang.array })
    const OfOffers = offer.constructor as new (lists: object) => Offer
    this.#offer = new OfOffers({ kex: kex.array, serverHostKey: serverHostKey.array, cs: way(cs), sc: way(sc) })
  }
}
