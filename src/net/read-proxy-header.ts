/** The PROXY protocol, as a proxy before us speaks it. https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt */
import { isIPv4, isIPv6 } from 'node:net'
import { GatewayError } from '../errors.ts'
import { unmapped } from '../address/mapped.ts'
import { Family, SIGNATURE, type Endpoint } from './write-proxy-header.ts'

/** A header that was read. */
export interface ProxyHeader {
  /** Bytes of the header. */
  readonly length: number
  /** The client; undefined when the proxy speaks for itself, as in its health checks, or does not know. */
  readonly source: Endpoint | undefined
  /** Where the client connected to. */
  readonly destination: Endpoint | undefined
}

/** §2.1: longest line with its end, bytes. */
const MAX_LINE_BYTES = 107
/** Longest header of version 2 that is taken, bytes: addresses and a few values. */
const MAX_BINARY_BYTES = 4_096
const FIXED_BYTES = 16
const LINE = /^PROXY (?:(UNKNOWN)(?: [^\r]*)?|(TCP4|TCP6) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n/

const violation = (what: string): GatewayError => new GatewayError('BAD_REQUEST', `PROXY protocol: ${what}`)

/**
 * Reads the header at the beginning of `bytes`.
 * @returns `more` when it is not complete
 * @throws GatewayError BAD_REQUEST when this is none
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | 'more' {
  const known = Math.min(bytes.length, SIGNATURE.length)
  if (bytes.subarray(0, known).equals(SIGNATURE.subarray(0, known))) return bytes.length < FIXED_BYTES ? 'more' : parseBinary(bytes)
  return parseLine(bytes)
}

function parseLine(bytes: Buffer): ProxyHeader | 'more' {
  const text = bytes.subarray(0, MAX_LINE_BYTES).toString('latin1')
  if (!'PROXY '.startsWith(text.slice(0, 6))) throw violation('the connection does not begin with a header')
  const end = text.indexOf('\n')
  if (end < 0) {
    if (text.length < MAX_LINE_BYTES) return 'more'
    throw violation('a line that does not end')
  }
  const [line, unknown, family, source = '', destination = '', sourcePort, destinationPort] = LINE.exec(text) ?? []
  if (line === undefined) throw violation('a line that is not well-formed')
  if (unknown !== undefined) return { length: line.length, source: undefined, destination: undefined }
  const isOfFamily = family === 'TCP4' ? isIPv4 : isIPv6
  if (!isOfFamily(source) || !isOfFamily(destination)) throw violation(`an address that is not ${family}`)
  return { length: line.length, source: endpoint(source, Number(sourcePort)), destination: endpoint(destination, Number(destinationPort)) }
}

function parseBinary(bytes: Buffer): ProxyHeader | 'more' {
  const versionAndCommand = bytes[12]!
  const family = bytes[13]!
  const length = FIXED_BYTES + bytes.readUInt16BE(14)
  if (versionAndCommand >>> 4 !== 2) throw violation(`version ${versionAndCommand >>> 4}`)
  const command = versionAndCommand & 0x0f
  if (command > 1) throw violation(`command ${command}`)
  if (length > MAX_BINARY_BYTES) throw violation(`a header of ${length} bytes`)
  if (bytes.length < length) return 'more'
  // §2.2: LOCAL is the proxy itself, and other families than TCP are for others.
  const size = command === 0 ? 0 : family === Family.TCP4 ? 4 : family === Family.TCP6 ? 16 : 0
  if (size === 0) return { length, source: undefined, destination: undefined }
  if (length < FIXED_BYTES + 2 * size + 4) throw violation('a header that is too short for its addresses')
  const at = FIXED_BYTES
  return {
    length,
    source: endpoint(addressOf(bytes.subarray(at, at + size)), bytes.readUInt16BE(at + 2 * size)),
    destination: endpoint(addressOf(bytes.subarray(at + size, at + 2 * size)), bytes.readUInt16BE(at + 2 * size + 2)),
  }
}

function endpoint(address: string, port: number): Endpoint {
  if (port > 65_535) throw violation(`port ${port}`)
  return { address: unmapped(address), port }
}

/** Four or sixteen bytes as text, IPv6 in its shortest form (RFC 5952). */
function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const isMapped = bytes.subarray(0, 12).equals(Buffer.from('00000000000000000000ffff', 'hex'))
  if (isMapped) return bytes.subarray(12).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}
