/** A stream that a node of a cluster passes on: the payload of an OPEN frame between two nodes. */
import { GatewayError } from '../errors.ts'

/** First byte of the payload of an OPEN frame; 1 is HTTP, 2 is TCP. */
const KIND_RELAY = 3
const HEAD_BYTES = 6

/** The process that a stream is for, and what it gets. */
export interface RelayHead {
  /** Number of an inner layer's process, as the node that has its connection counts them; below 2^32. */
  readonly process: number
  /** Payload of the OPEN frame for that inner layer; a view. */
  readonly payload: Buffer
}

/** Payload of an OPEN frame: kind u8 (3: relay), flags u8 (none yet), process u32, then the payload for the inner layer. */
export function encodeRelayHead(process: number, payload: Uint8Array): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES + payload.length)
  head[0] = KIND_RELAY
  head[1] = 0
  head.writeUInt32BE(process, 2)
  head.set(payload, HEAD_BYTES)
  return head
}

/** The inverse of `encodeRelayHead`; unknown flags are a later release's. @throws GatewayError PROTOCOL */
export function decodeRelayHead(head: Buffer): RelayHead {
  if (head[0] !== KIND_RELAY) throw new GatewayError('PROTOCOL', `a stream of unknown kind ${head[0]} between nodes`)
  if (head.length <= HEAD_BYTES) throw new GatewayError('PROTOCOL', 'a head cut short')
  return { process: head.readUInt32BE(2), payload: head.subarray(HEAD_BYTES) }
}
