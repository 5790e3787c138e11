/** A stream that a node of a cluster passes on: the payload of an OPEN frame between two nodes. */
import { GatewayError } from '../errors.ts'

/** First byte of the payload of an OPEN frame; 1 is HTTP, 2 is TCP. */
const KIND_RELAY = 3
const KIND_CALL = 4
const IS_TUNNEL = 0x01
const IS_ENROLLED = 0x02
const FIXED_BYTES = 6

/** The process that a stream is for, and what the sender has been told of it: by a store that others can write to, so it is told back. */
export interface RelayTarget {
  /** Number of an inner layer's process, as the node that has its connection counts them; below 2^32. */
  readonly process: number
  readonly isTunnel: boolean
  readonly isEnrolled: boolean
  readonly identifier: string
  readonly instance: string
}

/** The process that a stream is for, and what it gets. */
export interface RelayHead extends RelayTarget {
  /** Payload of the OPEN frame for that inner layer; a view. */
  readonly payload: Buffer
}

/** The part that all streams to one process begin with. */
export function encodeRelayTarget({ process, isTunnel, isEnrolled, identifier, instance }: RelayTarget): Buffer {
  const fixed = Buffer.alloc(FIXED_BYTES)
  fixed[0] = KIND_RELAY
  fixed[1] = (isTunnel ? IS_TUNNEL : 0) | (isEnrolled ? IS_ENROLLED : 0)
  fixed.writeUInt32BE(process, 2)
  return Buffer.concat([fixed, ...textBytes(identifier), ...textBytes(instance)])
}

function textBytes(text: string): readonly Buffer[] {
  const bytes = Buffer.from(text, 'utf8')
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return [length, bytes]
}

/**
 * Payload of an OPEN frame: kind u8 (3: relay), flags u8 (1: tunnel, 2: enrolled), process u32, identifier and instance, each as length u16 and
 * UTF-8, then the payload for the inner layer.
 */
export function encodeRelayHead(target: Buffer, payload: Uint8Array): Buffer {
  const head = Buffer.allocUnsafe(target.length + payload.length)
  head.set(target)
  head.set(payload, target.length)
  return head
}

/** The inverse of both; unknown flags are a later release's. @throws GatewayError PROTOCOL */
export function decodeRelayHead(head: Buffer): RelayHead {
  if (head[0] !== KIND_RELAY) throw new GatewayError('PROTOCOL', `a stream of unknown kind ${head[0]} between nodes`)
  let at = FIXED_BYTES
  const bytes = (count: number): Buffer => {
    at += count
    if (at >= head.length) throw new GatewayError('PROTOCOL', 'a head cut short')
    return head.subarray(at - count, at)
  }
  const text = (): string => bytes(bytes(2).readUInt16BE()).toString('utf8')
  const [identifier, instance] = [text(), text()]
  const flags = head[1]!
  return {
    process: head.readUInt32BE(2),
    isTunnel: (flags & IS_TUNNEL) !== 0,
    isEnrolled: (flags & IS_ENROLLED) !== 0,
    identifier,
    instance,
    payload: head.subarray(at),
  }
}

/** Payload of the OPEN frame of a stream in which a node asks another one: kind u8 (4: call). HTTP/1.1 follows, in both directions. */
export const encodeCallHead = (): Buffer => Buffer.of(KIND_CALL)

/** Is it a stream in which a node asks? */
export const isCallHead = (head: Buffer): boolean => head[0] === KIND_CALL
