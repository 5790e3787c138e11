/** The request for a connection that is carried as it is: the payload of an OPEN frame of kind TCP. */
import { GatewayError } from '../errors.ts'
import { ByteReader, ByteWriter } from './byte-codec.ts'

/** First byte of the payload of an OPEN frame; 1 is HTTP. */
export const KIND_TCP = 2

/** Where the inner layer connects to, once its allow-list agrees. */
export interface TcpHead {
  /** A name or an address, IPv6 without brackets. */
  readonly hostname: string
  readonly port: number
  /** The address of the client, which some inner layers tell their origins; only said to those that take it. */
  readonly visitor?: { readonly address: string; readonly port: number } | undefined
}

/** Flag: the address of the client follows. */
const HAS_VISITOR = 1

/** Payload of an OPEN frame: kind u8 (2: TCP), flags u8 (1: the last two are there), port u16, hostname, client's port u16 and address. */
export function encodeTcpHead({ hostname, port, visitor }: TcpHead): Buffer {
  const writer = new ByteWriter()
    .u8(KIND_TCP)
    .u8(visitor === undefined ? 0 : HAS_VISITOR)
    .u16(port)
    .latin1(hostname)
  return (visitor === undefined ? writer : writer.u16(visitor.port).latin1(visitor.address)).take()
}

/** The inverse of `encodeTcpHead`; unknown flags are a later release's. @throws GatewayError PROTOCOL */
export function decodeTcpHead(payload: Buffer): TcpHead {
  const reader = new ByteReader(payload)
  const kind = reader.u8()
  if (kind !== KIND_TCP) throw new GatewayError('PROTOCOL', `a stream of unknown kind ${kind}`)
  const flags = reader.u8()
  const port = reader.u16()
  const hostname = reader.latin1()
  if ((flags & HAS_VISITOR) === 0) {
    reader.end()
    return { hostname, port }
  }
  const visitor = { port: reader.u16(), address: reader.latin1() }
  reader.end()
  return { hostname, port, visitor }
}
