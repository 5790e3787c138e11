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
}

/** Payload of an OPEN frame: kind u8 (2: TCP), flags u8 (none yet), port u16, hostname. */
export const encodeTcpHead = ({ hostname, port }: TcpHead): Buffer => new ByteWriter().u8(KIND_TCP).u8(0).u16(port).latin1(hostname).take()

/** The inverse of `encodeTcpHead`; unknown flags are a later release's. @throws GatewayError PROTOCOL */
export function decodeTcpHead(payload: Buffer): TcpHead {
  const reader = new ByteReader(payload)
  const kind = reader.u8()
  if (kind !== KIND_TCP) throw new GatewayError('PROTOCOL', `a stream of unknown kind ${kind}`)
  reader.u8()
  const port = reader.u16()
  const hostname = reader.latin1()
  reader.end()
  return { hostname, port }
}
