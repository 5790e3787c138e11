/**
 * Our socket.io parser, the same on both ends: a batch of frames is one raw binary message, without the JSON placeholder message that
 * the default parser sends ahead of each. The few text packets (connect, disconnect, connect error) are one JSON object each.
 */
import { EventEmitter } from 'node:events'

/** The one event that carries frames. */
export const FRAMES_EVENT = 'f'

const EVENT = 2
const CONNECT_ERROR = 4
const TEXT_TYPES = new Set([0 /* CONNECT */, 1 /* DISCONNECT */, CONNECT_ERROR])
const MAX_TEXT_BYTES = 4_096

interface Packet {
  readonly type: number
  readonly nsp: string
  readonly data?: unknown
}

/** Packets → what engine.io sends. */
export class Encoder {
  encode(packet: Packet): (string | Buffer)[] {
    if (packet.type === EVENT && Array.isArray(packet.data)) return [packet.data[1] as Buffer]
    return [JSON.stringify({ type: packet.type, nsp: packet.nsp, data: packet.data })]
  }
}

/** Turns what engine.io received into packets. Throws for anything else, which ends that connection. */
export class Decoder extends EventEmitter {
  add(chunk: unknown): void {
    if (Buffer.isBuffer(chunk)) this.emit('decoded', { type: EVENT, nsp: '/', data: [FRAMES_EVENT, chunk] })
    else this.emit('decoded', decodeText(chunk))
  }

  destroy(): void {
    this.removeAllListeners()
  }
}

function decodeText(chunk: unknown): Packet {
  if (typeof chunk !== 'string' || chunk.length > MAX_TEXT_BYTES) throw new Error('neither a batch of frames nor a short text packet')
  const packet = JSON.parse(chunk) as unknown
  if (typeof packet !== 'object' || packet === null) throw new Error('a text packet that is no object')
  const { type, nsp, data } = packet as Record<string, unknown>
  if (typeof type !== 'number' || !TEXT_TYPES.has(type) || nsp !== '/') throw new Error('a text packet of unknown type')
  if (data !== undefined && (typeof data !== 'object' || data === null)) throw new Error('a text packet with invalid data')
  // socket.io-client reads `data.message` outside of any guard: without it, a server could end our process.
  if (type === CONNECT_ERROR && data === undefined) throw new Error('a connect error without data')
  return { type, nsp, data }
}
