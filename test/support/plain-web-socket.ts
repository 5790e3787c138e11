/**
 * A slow, obvious WebSocket on a raw socket, written from RFC 6455 and from what the real sokken sends, and sharing nothing with `src/`:
 * the other end in tests of tunnels. It keeps every frame it gets and does nothing by itself.
 */
import { createHash, randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { onCleanUp } from './cleanup.ts'
import { listen } from './ports.ts'
import { until, within } from './wait.ts'

/** One frame as it came. */
export interface Frame {
  readonly fin: boolean
  readonly rsv1: boolean
  readonly opcode: number
  readonly masked: boolean
  /** Unmasked, as long as it was on the wire. */
  readonly payload: Buffer
}

/** What the real client sends, in its order (observed). */
export const goHandshake = (path: string, host: string, more: readonly string[] = []): string =>
  [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'User-Agent: Go-http-client/1.1',
    'Connection: Upgrade',
    'Sec-Websocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover',
    'Sec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-Websocket-Protocol: sokken',
    'Sec-Websocket-Version: 13',
    'Upgrade: websocket',
    'Accept-Encoding: gzip',
    ...more,
    '',
    '',
  ].join('\r\n')

const TAIL = Buffer.from([0, 0, 0xff, 0xff])

/** Compresses one message without context takeover (RFC 7692 §7.2.1). */
export const deflated = (bytes: Buffer): Buffer => {
  const whole = deflateRawSync(bytes, { finishFlush: 2 })
  return whole.subarray(0, whole.length - 4)
}

export class PlainWebSocket {
  /** Status line and fields of the peer's handshake, or of its refusal with the body behind. */
  head = ''
  readonly frames: Frame[] = []
  #rest = Buffer.alloc(0)
  #isOpen = false
  readonly closed: Promise<void>

  constructor(
    readonly socket: Socket,
    private readonly role: 'client' | 'server',
  ) {
    socket.on('error', () => undefined)
    socket.on('end', () => socket.end())
    socket.on('data', (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk])
      this.#parse()
    })
    this.closed = new Promise(resolve => socket.once('close', () => resolve()))
    onCleanUp(() => socket.destroy())
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(this.head)?.[1])
  }

  /** Value of a field of the peer's head. */
  field(name: string): string | undefined {
    return new RegExp(`^${name}: *(.*?)\\r?$`, 'im').exec(this.head)?.[1]
  }

  /** Bytes of all binary messages so far, decompressed. */
  get bytes(): Buffer {
    const data = this.frames.filter(({ opcode }) => opcode <= 2 && opcode !== 1)
    return Buffer.concat(
      data.map(({ rsv1, payload }) => (rsv1 ? inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: 2 }) : payload)),
    )
  }

  /** Text messages so far. */
  get texts(): string[] {
    return this.frames.filter(({ opcode }) => opcode === 1).map(({ payload }) => payload.toString())
  }

  /** Code and reason of the close frame, undefined until it came. */
  get close(): { code: number; reason: string } | undefined {
    const frame = this.frames.find(({ opcode }) => opcode === 8)
    if (frame === undefined) return undefined
    return frame.payload.length === 0
      ? { code: 1005, reason: '' }
      : { code: frame.payload.readUInt16BE(0), reason: frame.payload.subarray(2).toString() }
  }

  /** Waits for the head of the peer: the whole of it, with the body when it is a refusal. */
  async opened(): Promise<this> {
    await until(() => this.#isOpen || this.socket.destroyed || (this.head !== '' && this.status !== 101), { what: 'a handshake' })
    return this
  }

  async closeFrame(): Promise<{ code: number; reason: string }> {
    return until(() => this.close, { what: 'a close frame' })
  }

  async gone(deadlineMs?: number): Promise<void> {
    await within(this.closed, 'the connection to close', deadlineMs)
  }

  send(opcode: number, payload: Buffer | string, { fin = true, rsv1 = false, mask = this.role === 'client', rsv = 0 } = {}): void {
    const bytes = Buffer.from(payload)
    const length =
      bytes.length < 126
        ? Buffer.from([bytes.length])
        : bytes.length < 65_536
          ? Buffer.from([126, bytes.length >> 8, bytes.length & 0xff])
          : Buffer.from([
              127,
              0,
              0,
              0,
              0,
              (bytes.length >> 24) & 0xff,
              (bytes.length >> 16) & 0xff,
              (bytes.length >> 8) & 0xff,
              bytes.length & 0xff,
            ])
    const key = randomBytes(4)
    if (mask) {
      length[0]! |= 0x80
      for (let i = 0; i < bytes.length; i++) bytes[i]! ^= key[i % 4]!
    }
    const first = Buffer.from([(fin ? 0x80 : 0) | (rsv1 ? 0x40 : 0) | rsv | opcode])
    this.socket.write(Buffer.concat([first, length, ...(mask ? [key] : []), bytes]))
  }

  binary(payload: Buffer | string): void {
    this.send(2, payload)
  }

  sendClose(code: number, reason = ''): void {
    this.send(8, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]))
  }

  /** As a server: answers the handshake that came with 101 and these fields. */
  accept(more: readonly string[] = []): void {
    const key = this.field('Sec-WebSocket-Key') ?? ''
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    const lines = [
      'HTTP/1.1 101 Switching Protocols',
      'Connection: Upgrade',
      `Sec-Websocket-Accept: ${accept}`,
      ...more,
      'Upgrade: websocket',
    ]
    this.socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  }

  #parse(): void {
    if (!this.#isOpen) {
      const end = this.#rest.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = this.#rest.subarray(0, end + 4).toString('latin1')
      const isRefusal = this.role === 'client' && !head.startsWith('HTTP/1.1 101')
      if (isRefusal) {
        const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
        if (this.#rest.length < end + 4 + length) return
        this.head = this.#rest.toString('latin1')
        return
      }
      this.head = head
      this.#rest = this.#rest.subarray(end + 4)
      this.#isOpen = true
    }
    while (this.#rest.length >= 2) {
      const masked = (this.#rest[1]! & 0x80) !== 0
      let length = this.#rest[1]! & 0x7f
      let at = 2
      if (length === 126) {
        if (this.#rest.length < 4) return
        length = this.#rest.readUInt16BE(2)
        at = 4
      } else if (length === 127) {
        if (this.#rest.length < 10) return
        length = Number(this.#rest.readBigUInt64BE(2))
        at = 10
      }
      const start = at + (masked ? 4 : 0)
      if (this.#rest.length < start + length) return
      const payload = Buffer.from(this.#rest.subarray(start, start + length))
      if (masked) for (let i = 0; i < payload.length; i++) payload[i]! ^= this.#rest[at + (i % 4)]!
      const first = this.#rest[0]!
      this.frames.push({ fin: (first & 0x80) !== 0, rsv1: (first & 0x40) !== 0, opcode: first & 0x0f, masked, payload })
      this.#rest = this.#rest.subarray(start + length)
    }
  }
}

/** Connects and sends `handshake`, by default that of the real client; resolves once it was answered. */
export const dialPlain = async (
  port: number,
  path: string,
  handshake = goHandshake(path, `127.0.0.1:${port}`),
): Promise<PlainWebSocket> => {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const plain = new PlainWebSocket(socket, 'client')
  socket.write(handshake)
  return plain.opened()
}

/** A server that takes handshakes and does with them what `onHandshake` says. */
export const plainServer = async (
  onHandshake: (peer: PlainWebSocket) => void,
): Promise<{ readonly port: number; readonly peers: readonly PlainWebSocket[] }> => {
  const peers: PlainWebSocket[] = []
  const server = createServer({ allowHalfOpen: true }, socket => {
    const peer = new PlainWebSocket(socket, 'server')
    peers.push(peer)
    void until(() => peer.head !== '', { what: 'a handshake' }).then(
      () => onHandshake(peer),
      () => undefined,
    )
  })
  return { port: await listen(server), peers }
}
