/** HTTP/2 by hand (RFC 9113): frames as bytes, on both ends, so that a test can send what no library would. */
import { createServer, type Socket } from 'node:net'
import { listen } from './ports.ts'
import { RawConnection, type ConnectOptions } from './raw-client.ts'
import { until } from './wait.ts'

/** Types of frames, RFC 9113 §6. */
export const H2 = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

export const END_STREAM = 0x1
export const ACK = 0x1
export const END_HEADERS = 0x4

/** Error codes, RFC 9113 §7. */
export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  CALM: 11,
} as const

/** Settings, RFC 9113 §6.5.2 and RFC 8441 §3. */
export const SETTING = { MAX_CONCURRENT_STREAMS: 3, INITIAL_WINDOW_SIZE: 4, ENABLE_CONNECT_PROTOCOL: 8 } as const

/** The preface of a client (RFC 9113 §3.4), before its settings. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** One frame as bytes; `length` may lie. */
export const frame = (
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
  length = payload.length,
): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

/** RFC 7541 §5.1 with a prefix of 7 bits. */
const hpackLength = (length: number): Buffer => {
  if (length < 127) return Buffer.from([length])
  const bytes = [127]
  let rest = length - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

/** A header block of literal fields without indexing and without Huffman codes (RFC 7541 §6.2.2). */
export const block = (fields: readonly (readonly [string, string])[]): Buffer =>
  Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0]),
      hpackLength(name.length),
      Buffer.from(name, 'latin1'),
      hpackLength(value.length),
      Buffer.from(value, 'latin1'),
    ]),
  )

export const headers = (stream: number, fields: readonly (readonly [string, string])[], flags: number = END_HEADERS): Buffer =>
  frame(H2.HEADERS, flags, stream, block(fields))
export const data = (stream: number, bytes: string | Buffer, flags = 0): Buffer => frame(H2.DATA, flags, stream, Buffer.from(bytes))
export const reset = (stream: number, code: number): Buffer => frame(H2.RST_STREAM, 0, stream, u32(code))
export const windowUpdate = (stream: number, bytes: number): Buffer => frame(H2.WINDOW_UPDATE, 0, stream, u32(bytes))
export const goAway = (last: number, code: number): Buffer => frame(H2.GOAWAY, 0, 0, Buffer.concat([u32(last), u32(code)]))
export const settings = (...pairs: readonly (readonly [number, number])[]): Buffer =>
  frame(
    H2.SETTINGS,
    0,
    0,
    Buffer.concat(
      pairs.map(([id, value]) => {
        const bytes = Buffer.alloc(6)
        bytes.writeUInt16BE(id)
        bytes.writeUInt32BE(value, 2)
        return bytes
      }),
    ),
  )

/** The pseudo-header fields of a request, then others. */
export const request = (
  path = '/',
  more: readonly (readonly [string, string])[] = [],
  { method = 'GET', authority = 'a.test', scheme = 'http' } = {},
): (readonly [string, string])[] => [[':method', method], [':scheme', scheme], [':authority', authority], [':path', path], ...more]

/** The number at the end of RST_STREAM, or behind the stream id of GOAWAY. */
export const codeOf = ({ type, payload }: Frame): number => payload.readUInt32BE(type === H2.GOAWAY ? 4 : 0)

/** Takes whole frames off the front of what came. */
class FrameReader {
  #rest = Buffer.alloc(0)

  push(bytes: Buffer): Frame[] {
    this.#rest = Buffer.concat([this.#rest, bytes])
    const frames: Frame[] = []
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < 9 + length) break
      frames.push({
        type: this.#rest[3]!,
        flags: this.#rest[4]!,
        stream: this.#rest.readUInt32BE(5) & 0x7fff_ffff,
        payload: Buffer.from(this.#rest.subarray(9, 9 + length)),
      })
      this.#rest = this.#rest.subarray(9 + length)
    }
    return frames
  }
}

const isQuestion = ({ type, flags }: Frame): boolean => type === H2.SETTINGS && (flags & ACK) === 0

/** A client that sends frames by hand. It answers SETTINGS by itself, unless it is told not to, and nothing else. */
export class H2Connection {
  readonly frames: Frame[] = []
  acknowledges = true
  readonly #reader = new FrameReader()

  private constructor(readonly connection: RawConnection) {
    connection.socket.on('data', (bytes: Buffer) => {
      for (const one of this.#reader.push(bytes)) {
        this.frames.push(one)
        if (this.acknowledges && isQuestion(one) && connection.socket.writable) connection.write(frame(H2.SETTINGS, ACK, 0))
      }
    })
  }

  /** Connects, and sends the preface with `pairs` as settings. */
  static async open(
    port: number,
    { pairs = [], ...options }: ConnectOptions & { readonly pairs?: readonly (readonly [number, number])[] } = {},
  ): Promise<H2Connection> {
    const h2 = new H2Connection(await RawConnection.open(port, options))
    h2.connection.write(Buffer.concat([PREFACE, settings(...pairs)]))
    return h2
  }

  write(...frames: readonly Buffer[]): this {
    this.connection.write(Buffer.concat(frames))
    return this
  }

  /** Frames so far of this type, on this stream if one is given. */
  of(type: number, stream?: number): Frame[] {
    return this.frames.filter(one => one.type === type && (stream === undefined || one.stream === stream))
  }

  /** Waits for a frame of this type, on this stream if one is given. */
  async frame(type: number, stream?: number): Promise<Frame> {
    return until(() => this.of(type, stream)[0], { what: `a frame of type ${type} on stream ${stream ?? 'any'}` })
  }

  /** Body bytes of a stream so far. */
  body(stream: number): Buffer {
    return Buffer.concat(this.of(H2.DATA, stream).map(({ payload }) => payload))
  }

  /** Waits for the END_STREAM flag or a reset of `stream`; gives `'end'` or the code. */
  async ended(stream: number): Promise<'end' | number> {
    return until(
      () => {
        // Newer releases of nghttp2 take some faults of a stream for faults of the connection.
        const cut = this.of(H2.RST_STREAM, stream)[0] ?? this.of(H2.GOAWAY).find(one => codeOf(one) !== CODE.NO_ERROR)
        if (
          this.frames.some(
            one => one.stream === stream && (one.type === H2.DATA || one.type === H2.HEADERS) && (one.flags & END_STREAM) !== 0,
          )
        )
          return 'end'
        return cut === undefined ? undefined : { code: codeOf(cut) }
      },
      { what: `the end of stream ${stream}` },
    ).then(outcome => (typeof outcome === 'string' ? outcome : outcome.code))
  }
}

/** One connection at a server of frames. */
export interface H2Peer {
  readonly socket: Socket
  readonly frames: Frame[]
}

/** An origin that speaks by hand: `onFrame` hears every frame; it has sent its own settings and acknowledges those of the client. */
export const startH2Origin = async (onFrame: (frame: Frame, peer: H2Peer) => void): Promise<{ port: number; peers: H2Peer[] }> => {
  const peers: H2Peer[] = []
  const server = createServer(socket => {
    const peer: H2Peer = { socket, frames: [] }
    peers.push(peer)
    const reader = new FrameReader()
    let preface = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.write(settings())
    socket.on('data', (bytes: Buffer) => {
      let rest = bytes
      if (preface.length < PREFACE.length) {
        const missing = PREFACE.length - preface.length
        preface = Buffer.concat([preface, bytes.subarray(0, missing)])
        rest = bytes.subarray(missing)
      }
      for (const one of reader.push(rest)) {
        peer.frames.push(one)
        if (isQuestion(one)) socket.write(frame(H2.SETTINGS, ACK, 0))
        onFrame(one, peer)
      }
    })
  })
  return { port: await listen(server), peers }
}
