/** Host names as they are compared: lower case, A-labels, no trailing dot, IPv6 in brackets and compressed. RFC 9110 §4.2.3, RFC 3986 §3.2.2. */
import { domainToASCII } from 'node:url'
import { GatewayError } from '../errors.ts'

/** A host in canonical form and the port beside it, undefined when there is none. */
export interface HostAndPort {
  readonly host: string
  readonly port: number | undefined
}

const NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/
const SPLIT = /^(\[[^\]]*\]|[^:[\]]*)(?::([0-9]{0,5}))?$/
const MAX_NAME = 253
const utf8 = new TextDecoder('utf-8', { fatal: true })

const refuse = (value: string, why: string): never => {
  throw new GatewayError('BAD_HOST', `host ${JSON.stringify(value.slice(0, 100))} ${why}`)
}

/** node:http decodes header bytes as latin1; a value that is UTF-8 underneath is read as what the client meant. */
const readUtf8 = (name: string): string => {
  const bytes = Buffer.from(name, 'latin1')
  if (bytes.toString('latin1') !== name) return name // beyond latin1: plain Unicode already
  try {
    return utf8.decode(bytes)
  } catch {
    return name // plain Unicode that happens to fit latin1, such as "bücher"
  }
}

const parseIpv6 = (value: string, literal: string): string => {
  if (!/^\[[0-9a-f:.]+\]$/i.test(literal)) refuse(value, 'is not an IPv6 address; zone ids are not allowed')
  // The URL parser is the one canonical form of Node: compressed, lower case, IPv4 tail as hex.
  if (!URL.canParse(`http://${literal}/`)) refuse(value, 'is not an IPv6 address')
  return new URL(`http://${literal}/`).hostname
}

const parseName = (value: string, name: string): string => {
  let ascii = name
  if (/[^\x00-\x7f]/.test(name)) {
    // The URL host parser behind this decodes "%2e" and drops tabs, so that one name would pass as another.
    ascii = /[^\w.\x80-\uffff-]/.test(name) ? '' : domainToASCII(readUtf8(name))
    if (/^[0-9.]+$/.test(ascii)) refuse(value, 'is an IP address in other than ASCII digits')
  }
  const host = (ascii.endsWith('.') ? ascii.slice(0, -1) : ascii).toLowerCase()
  if (host.length > MAX_NAME || !NAME.test(host)) refuse(value, name === '' ? 'is empty' : 'is not one valid host name')
  return host
}

/**
 * Reads a Host header or an authority.
 * @param value `name`, `name:port`, `[IPv6]` or `[IPv6]:port`; raw UTF-8 (as latin1 or as Unicode) is turned into A-labels
 * @returns the canonical host, IPv6 in brackets, and the port 1 … 65535 if one was given
 * @throws GatewayError BAD_HOST for anything else: empty, a list, userinfo, a path, spaces, zone ids, a bad port
 */
export const parseHost = (value: string): HostAndPort => {
  if (NAME.test(value) && value.length <= MAX_NAME) return { host: value, port: undefined }
  const match = SPLIT.exec(value)
  if (match === null) return refuse(value, 'is not a host name with an optional port')
  const name = match[1] ?? ''
  const port = match[2] ? Number(match[2]) : undefined // RFC 3986 §3.2.3: "name:" has no port
  if (port !== undefined && (port < 1 || port > 65535)) refuse(value, 'has a port outside 1 to 65535')
  return { host: name.startsWith('[') ? parseIpv6(value, name) : parseName(value, name), port }
}

/** The authority that `parseHost` reads as this. */
export const formatAuthority = ({ host, port }: HostAndPort): string => (port === undefined ? host : `${host}:${port}`)

/**
 * Reads a host key of the targets file.
 * @param pattern an exact host, `*.x` (exactly one label in place of the star) or `*`
 * @returns the pattern in the form that `RouteTable` compares
 * @throws GatewayError BAD_HOST, also when the key has a port, since ports are not part of the match
 */
export const parseHostPattern = (pattern: string): string => {
  if (pattern === '*') return pattern
  const wildcard = pattern.startsWith('*.')
  const rest = wildcard ? pattern.slice(2) : pattern
  if (rest.includes('*')) refuse(pattern, 'has a "*" that is neither alone nor the whole first label')
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(rest)) refuse(pattern, 'has a scheme; write the host name alone')
  const { host, port } = parseHost(rest)
  if (port !== undefined || rest.endsWith(':'))
    refuse(pattern, 'has a port; requests match whatever their port, so write the host name alone')
  if (wildcard && (host.startsWith('[') || /(?:^|\.)[0-9]+$/.test(host))) refuse(pattern, 'is a wildcard of an IP address')
  return wildcard ? `*.${host}` : host
}

/**
 * Reads the host of a target: as `parseHostPattern`, and `**.x`, any number of labels in place of the stars.
 * @throws GatewayError BAD_HOST
 */
export const parseTargetHost = (pattern: string): string =>
  pattern.startsWith('**.') ? `*${parseHostPattern(pattern.slice(1))}` : parseHostPattern(pattern)

/**
 * Reads the address of an origin: a name, an IPv4 address in four decimal parts, or an IPv6 address with or without brackets.
 * @returns the canonical host WITHOUT brackets, as a dialler takes it
 * @throws GatewayError BAD_HOST for anything else; `127.1` and `0x7f.1` too, which resolvers read as other addresses than they look like
 */
export const parseOriginHost = (value: string): string => {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) refuse(value, 'has a scheme; write the host name alone, and the scheme as protocol')
  if (value.includes('/')) refuse(value, 'has a path; write the host name alone')
  const bare = value.split(':').length > 2 && !value.startsWith('[')
  const { host, port } = parseHost(bare ? `[${value}]` : value)
  if (port !== undefined || (!bare && value.endsWith(':'))) refuse(value, 'has a port; write the host name alone, and the port as port')
  if (host.startsWith('[')) return host.slice(1, -1)
  const numeric = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/.test(host)
  if (numeric && !/^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(host))
    refuse(value, 'is not an IPv4 address in four decimal parts')
  return host
}
