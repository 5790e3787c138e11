/**
 * The PROXY protocol, as the origin is spoken to: who the client is, before its first byte. Version 1 is a line of text, version 2 binary
 * with room for what TLS knew. https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
import { isIPv4, isIPv6 } from 'node:net'

/** One end of the client's connection. */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** The connection that the header describes. */
export interface ProxiedConnection {
  readonly source: Endpoint
  readonly destination: Endpoint
  /** The TLS name that the client sent. Version 2 alone. */
  readonly authority?: string | undefined
  /** The protocol that was agreed on by ALPN. Version 2 alone. */
  readonly alpn?: string | undefined
  /** Where TLS was ended. Version 2 alone. */
  readonly tls?: {
    /** Such as `TLSv1.3`. */
    readonly version: string
    readonly cipher: string
    /** Common name of a client certificate that was verified. */
    readonly clientName?: string | undefined
  }
  /** Somebody who has proven who they are. Version 2 alone. */
  readonly visitor?: ProxiedVisitor | undefined
}

/** The identity of a client, as the origin is told. */
export interface ProxiedVisitor {
  /** The way by which they have come in: `login`, `token`, `jwt`, `certificate`. */
  readonly lane: string
  /** One person or program for ever, with what vouches for it: `company|1234`. */
  readonly subject: string
  readonly email: string | undefined
  readonly name: string | undefined
  readonly groups: readonly string[]
  /** A JWT that says the same, and is signed. */
  readonly identity: string | undefined
}

/** §2.2: the signature of version 2. */
export const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const VERSION_2_PROXY = 0x21
/** §2.2: transport and family of the addresses. */
export const Family = { UNSPEC: 0x00, TCP4: 0x11, TCP6: 0x21 } as const
/** §2.2: types of the values behind the addresses, and of those inside SSL. */
const Tlv = { ALPN: 0x01, AUTHORITY: 0x02, SSL: 0x20, SSL_VERSION: 0x21, SSL_CN: 0x22, SSL_CIPHER: 0x23 } as const
/** §2.2.7: a range for everybody's own purposes. Ours, UTF-8 each, in this order. */
const VISITOR_TLV = { lane: 0xe0, subject: 0xe1, email: 0xe2, name: 0xe3, groups: 0xe4, identity: 0xe5 } as const
const CLIENT_SSL = 0x01
const CLIENT_CERT = 0x02 | 0x04 // on this connection, in this session

/**
 * The header, to be sent before anything else.
 * @param facts  addresses without brackets and zones
 */
export const proxyHeader = (version: 1 | 2, facts: ProxiedConnection): Buffer => (version === 1 ? textHeader(facts) : binaryHeader(facts))

/** §2.1, at most 107 bytes. */
function textHeader({ source, destination }: ProxiedConnection): Buffer {
  const family = familyOf(source, destination)
  if (family === Family.UNSPEC) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
  const name = family === Family.TCP4 ? 'TCP4' : 'TCP6'
  return Buffer.from(`PROXY ${name} ${source.address} ${destination.address} ${source.port} ${destination.port}\r\n`, 'latin1')
}

function binaryHeader({ source, destination, authority, alpn, tls, visitor }: ProxiedConnection): Buffer {
  const family = familyOf(source, destination)
  const addresses =
    family === Family.UNSPEC ? [] : [bytesOf(source.address), bytesOf(destination.address), uint16(source.port), uint16(destination.port)]
  const values = [
    ...(alpn === undefined ? [] : tlv(Tlv.ALPN, Buffer.from(alpn, 'latin1'))),
    ...(authority === undefined ? [] : tlv(Tlv.AUTHORITY, Buffer.from(authority, 'utf8'))),
    ...(tls === undefined ? [] : tlv(Tlv.SSL, sslValue(tls))),
    ...(visitor === undefined ? [] : visitorValues(visitor)),
  ]
  const rest = Buffer.concat([...addresses, ...values])
  return Buffer.concat([SIGNATURE, Buffer.from([VERSION_2_PROXY, family]), uint16(rest.length), rest])
}

/** The same as fields of HTTP have: groups with commas between them, a comma in a name is `%2C`, a percent sign `%25`. */
function visitorValues({ lane, subject, email = '', name = '', groups, identity = '' }: ProxiedVisitor): Buffer[] {
  const listed = groups.map(group => group.replace(/[%,]/g, each => (each === ',' ? '%2C' : '%25'))).join(',')
  const texts = { lane, subject, email, name, groups: listed, identity }
  return (Object.keys(VISITOR_TLV) as (keyof typeof VISITOR_TLV)[]).flatMap(key =>
    texts[key] === '' ? [] : tlv(VISITOR_TLV[key], Buffer.from(texts[key], 'utf8')),
  )
}

function sslValue({ version, cipher, clientName }: NonNullable<ProxiedConnection['tls']>): Buffer {
  // u8 client, u32 verify: 0 where a certificate was presented and verified.
  const head = Buffer.from(clientName === undefined ? [CLIENT_SSL, 0, 0, 0, 1] : [CLIENT_SSL | CLIENT_CERT, 0, 0, 0, 0])
  const parts = [
    ...tlv(Tlv.SSL_VERSION, Buffer.from(version, 'latin1')),
    ...(clientName === undefined || clientName === '' ? [] : tlv(Tlv.SSL_CN, Buffer.from(clientName, 'utf8'))),
    ...tlv(Tlv.SSL_CIPHER, Buffer.from(cipher, 'latin1')),
  ]
  return Buffer.concat([head, ...parts])
}

const tlv = (type: number, value: Buffer): Buffer[] => [Buffer.from([type]), uint16(value.length), value]

const uint16 = (value: number): Buffer => Buffer.from([(value >>> 8) & 0xff, value & 0xff])

function familyOf(source: Endpoint, destination: Endpoint): number {
  if (isIPv4(source.address) && isIPv4(destination.address)) return Family.TCP4
  return isIPv6(source.address) && isIPv6(destination.address) ? Family.TCP6 : Family.UNSPEC
}

/** An address in network byte order, 4 or 16 bytes. */
function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  // The URL parser compresses, and writes an IPv4 tail as hexadecimal.
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const left = groups(head)
  const right = tail === undefined ? [] : groups(tail)
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return Buffer.from([...left, ...middle, ...right].map(group => group.padStart(4, '0')).join(''), 'hex')
}
