/** The request for a connection whose TLS the inner layer ends itself: the payload of an OPEN frame of kind TLS. */
import { GatewayError } from '../errors.ts'
import { ByteReader, ByteWriter } from './byte-codec.ts'

/** First byte of the payload of an OPEN frame; 1 is HTTP, 2 a connection to an origin. An inner layer that does not know it refuses the stream. */
export const KIND_TLS = 3

/** A client that has said which name it wants, and nothing else that anybody on the way can read. */
export interface TlsHead {
  /** Canonical name, as the client has sent it in TLS (SNI). */
  readonly name: string
  /** An authority that asks whether the name leads here (RFC 8737): for the inner layer that has ordered a certificate of it. */
  readonly isChallenge: boolean
  readonly client: { readonly address: string; readonly port: number }
}

/** Flag: ALPN offers `acme-tls/1` alone. */
const IS_CHALLENGE = 1

/** Payload of an OPEN frame: kind u8 (3: TLS), flags u8 (1: an authority asks), client's port u16, name, client's address. */
export const encodeTlsHead = ({ name, isChallenge, client }: TlsHead): Buffer =>
  new ByteWriter()
    .u8(KIND_TLS)
    .u8(isChallenge ? IS_CHALLENGE : 0)
    .u16(client.port)
    .latin1(name)
    .latin1(client.address)
    .take()

/** The inverse of `encodeTlsHead`; unknown flags, and what follows, are a later release's. @throws GatewayError PROTOCOL */
export function decodeTlsHead(payload: Buffer): TlsHead {
  const reader = new ByteReader(payload)
  const kind = reader.u8()
  if (kind !== KIND_TLS) throw new GatewayError('PROTOCOL', `a stream of unknown kind ${kind}`)
  const flags = reader.u8()
  const port = reader.u16()
  const [name, address] = [reader.latin1(), reader.latin1()]
  return { name, isChallenge: (flags & IS_CHALLENGE) !== 0, client: { address, port } }
}
