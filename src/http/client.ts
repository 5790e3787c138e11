/** The client of a request: one function decides address, scheme, host and port together (RFC 7239 §5, §7.4). */
import type { IncomingMessage } from 'node:http'
import { isIPv4, isIPv6 } from 'node:net'
import { unmapped } from '../address/mapped.ts'
import type { Fields } from './fields.ts'

/** The facts of a connection before any field is believed. */
export interface Peer {
  /** Address of the other end of the connection, v4-mapped ones as IPv4. */
  readonly address: string
  readonly isTrusted: boolean
  readonly scheme: 'http' | 'https'
  /** Port of ours that was connected to. */
  readonly localPort: number
  /** Of a connection whose TLS was ended here. */
  readonly tls?: PeerTls | undefined
}

/** Facts about the TLS of a connection. */
export interface PeerTls {
  /** The name that the client asked for (SNI), in lower case; undefined for none, as with IP addresses. */
  readonly serverName: string | undefined
  /** Is the certificate that the client got for this host? @param host  as `parseHost` gives it */
  readonly covers: (host: string) => boolean
  /** Value of Strict-Transport-Security for every answer; undefined: none. */
  readonly hsts: string | undefined
  /** The authorities by whose rules a certificate was asked for; absent: none was. */
  readonly asked?: { readonly ca: string; readonly crl: string | undefined } | undefined
  /** The certificate that the client has sent then. */
  readonly client?: PeerCertificate | undefined
}

/** The certificate of a client. */
export interface PeerCertificate {
  /** The reason why it is not good; undefined: it is. */
  readonly fault: string | undefined
  readonly notAfterMs: number
  readonly fingerprint: string
  /** Names of DNS, in lower case; e-mail addresses; URIs. */
  readonly dns: readonly string[]
  readonly emails: readonly string[]
  readonly uris: readonly string[]
  /** Undefined for none, or more than one. */
  readonly commonName: string | undefined
}

/** The real client, as told to the origin. */
export interface Client {
  readonly address: string
  /** Trusted proxies between the client and us, in order; without the connection's own peer when that is the client. */
  readonly hops: readonly string[]
  readonly scheme: string
  /** Host that the client asked for, with its port. */
  readonly host: string
  readonly port: string
}

/**
 * Believes forwarding fields of a trusted peer only, from right to left up to the first address that is not trusted.
 * @param isTrusted  is this address one of ours
 */
export function identifyClient(
  peer: Peer,
  request: { readonly fields: Fields; readonly names: readonly string[]; readonly host: string },
  isTrusted: (address: string) => boolean,
): Client {
  const own = {
    address: peer.address,
    hops: [],
    scheme: peer.scheme,
    host: request.host,
    port: portOf(request.host, peer.scheme, peer.localPort),
  }
  if (!peer.isTrusted) return own
  const plain = joined(request.fields, request.names, 'x-forwarded-for')
  const standard = plain === '' ? joined(request.fields, request.names, 'forwarded') : ''
  const hops = standard === '' ? plainHops(plain) : standardHops(standard)
  if (hops.length === 0 && !request.names.some(name => name.startsWith('x-forwarded-'))) return own
  const chain = hops.map(hop => hop.address)
  let first = chain.length
  while (first > 0) {
    first--
    if (!isTrusted(chain[first]!)) break
  }
  // All of it from one source: a proxy that knows only one of the two kinds passes the other on as its client sent it.
  const client = hops[first]
  const scheme = standard === '' ? single(request, 'x-forwarded-proto') : client?.scheme
  const believedScheme = SCHEMES.get(scheme?.toLowerCase() ?? '') ?? peer.scheme
  const host = standard === '' ? single(request, 'x-forwarded-host') : client?.host
  const believedHost = host !== undefined && /^[\w.:[\]-]{1,255}$/.test(host) ? host : request.host
  const port = standard === '' ? single(request, 'x-forwarded-port') : undefined
  return {
    address: chain[first] ?? peer.address,
    hops: chain.length === 0 ? [] : [...chain.slice(first + 1), peer.address],
    scheme: believedScheme,
    host: believedHost,
    port: port !== undefined && /^[0-9]{1,5}$/.test(port) ? port : portOf(believedHost, believedScheme, peer.localPort),
  }
}

/** The peer of a request that came without TLS of ours, at a port that no proxy header is read at. */
export function peerOf(request: IncomingMessage, isTrusted: (address: string) => boolean): Peer {
  const address = unmapped(request.socket.remoteAddress ?? '')
  return { address, isTrusted: isTrusted(address), scheme: 'http', localPort: request.socket.localPort ?? 0 }
}

/** The address of the real client of a request: behind a proxy of ours, all clients would share one address and its limits. */
export function clientAddressOf(request: IncomingMessage, peer: Peer, isTrusted: (address: string) => boolean): string {
  const fields = request.rawHeaders
  const names = fields.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase())
  return identifyClient(peer, { fields, names, host: '' }, isTrusted).address
}

/** As proxies name them; of a WebSocket some say how it is dialled (Traefik). */
const SCHEMES: ReadonlyMap<string, 'http' | 'https'> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['ws', 'http'],
  ['wss', 'https'],
])

/** One proxy's word on whom it got the request from, and how. */
interface Hop {
  readonly address: string
  readonly scheme?: string
  readonly host?: string
}

/** X-Forwarded-For, in order; what precedes an entry that is no address is not believed. */
function plainHops(value: string): Hop[] {
  const hops: Hop[] = []
  const entries = value.split(',')
  for (let i = entries.length - 1; i >= 0; i--) {
    const address = bareAddress(entries[i]!.trim())
    if (address === undefined) break
    hops.push({ address })
  }
  return hops.reverse()
}

/** Forwarded (RFC 7239 §4), in the same way. */
function standardHops(value: string): Hop[] {
  const hops: Hop[] = []
  const elements = value.split(',')
  for (let i = elements.length - 1; i >= 0; i--) {
    const address = bareAddress(parameter(elements[i]!, 'for') ?? '')
    if (address === undefined) break
    const scheme = parameter(elements[i]!, 'proto')
    const host = parameter(elements[i]!, 'host')
    hops.push({ address, ...(scheme === undefined ? {} : { scheme }), ...(host === undefined ? {} : { host }) })
  }
  return hops.reverse()
}

function parameter(element: string, name: string): string | undefined {
  for (const pair of element.split(';')) {
    const [, key, , value] = /^\s*([a-z]+)=("?)([^"\s]+)\2\s*$/i.exec(pair) ?? []
    if (key?.toLowerCase() === name) return value
  }
  return undefined
}

function bareAddress(entry: string): string | undefined {
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(entry)
  const address = bracketed?.[1] ?? (/^[\d.]+:\d{1,5}$/.test(entry) ? entry.slice(0, entry.indexOf(':')) : entry)
  return isIPv4(address) || isIPv6(address) ? unmapped(address) : undefined
}

function joined(fields: Fields, names: readonly string[], name: string): string {
  let value = ''
  for (let i = 0; i < names.length; i++) if (names[i] === name) value += value === '' ? fields[2 * i + 1]! : `,${fields[2 * i + 1]!}`
  return value
}

/** The value nearest to us of a field that a trusted peer set. */
function single(request: { readonly fields: Fields; readonly names: readonly string[] }, name: string): string | undefined {
  const value = joined(request.fields, request.names, name)
  return value === '' ? undefined : value.slice(value.lastIndexOf(',') + 1).trim()
}

function portOf(host: string, scheme: string, localPort: number): string {
  const port = /:(\d{1,5})$/.exec(host)?.[1]
  if (port !== undefined) return port
  return host === '' ? String(localPort) : scheme === 'https' ? '443' : '80'
}
