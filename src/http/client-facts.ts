/** Who the client is: one function decides address, scheme, host and port together (RFC 7239 §5, §7.4). */
import { isIPv4, isIPv6 } from 'node:net'
import type { Fields } from './fields.ts'

/** What is known of a connection before any field is believed. */
export interface Peer {
  /** Address of the other end of the connection, v4-mapped ones as IPv4. */
  readonly address: string
  readonly isTrusted: boolean
  readonly scheme: 'http' | 'https'
  /** Port of ours that was connected to. */
  readonly localPort: number
}

/** The real client, as told to the origin. */
export interface ClientFacts {
  readonly address: string
  /** Trusted proxies between the client and us, in order; without the connection's own peer when that is the client. */
  readonly hops: readonly string[]
  readonly scheme: string
  /** Host that the client asked for, with its port. */
  readonly host: string
  readonly port: string
}

/** `::ffff:192.0.2.1` as `192.0.2.1`. */
export const unmapped = (address: string): string => (address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address)

/**
 * Believes forwarding fields of a trusted peer only, from right to left up to the first address that is not trusted.
 * @param isTrusted  is this address one of ours
 */
export function clientFacts(
  peer: Peer,
  request: { readonly fields: Fields; readonly names: readonly string[]; readonly host: string },
  isTrusted: (address: string) => boolean,
): ClientFacts {
  const own = { address: peer.address, hops: [], scheme: peer.scheme, host: request.host, port: portOf(request.host, peer.scheme, peer.localPort) }
  if (!peer.isTrusted) return own
  const chain = forwardedFor(request.fields, request.names)
  if (chain.length === 0 && !request.names.some(name => name.startsWith('x-forwarded-'))) return own
  let first = chain.length
  while (first > 0) {
    first--
    if (!isTrusted(chain[first]!)) break
  }
  const scheme = single(request, 'x-forwarded-proto')?.toLowerCase()
  const believedScheme = scheme === 'http' || scheme === 'https' ? scheme : peer.scheme
  const host = single(request, 'x-forwarded-host')
  const believedHost = host !== undefined && /^[\w.:[\]-]{1,255}$/.test(host) ? host : request.host
  const port = single(request, 'x-forwarded-port')
  return {
    address: chain[first] ?? peer.address,
    hops: chain.length === 0 ? [] : [...chain.slice(first + 1), peer.address],
    scheme: believedScheme,
    host: believedHost,
    port: port !== undefined && /^[0-9]{1,5}$/.test(port) ? port : portOf(believedHost, believedScheme, peer.localPort),
  }
}

/** Addresses of X-Forwarded-For, else of Forwarded; what follows an entry that is no address is not believed. */
function forwardedFor(fields: Fields, names: readonly string[]): string[] {
  const plain = joined(fields, names, 'x-forwarded-for')
  const entries =
    plain !== ''
      ? plain.split(',').map(entry => entry.trim())
      : joined(fields, names, 'forwarded')
          .split(',')
          .map(element => /(?:^|;)\s*for=("?)([^";,\s]+)\1/i.exec(element)?.[2] ?? '')
          .filter((entry, _index, all) => all.length > 1 || entry !== '')
  const addresses: string[] = []
  for (let i = entries.length - 1; i >= 0; i--) {
    const address = bareAddress(entries[i]!)
    if (address === undefined) break
    addresses.unshift(address)
  }
  return addresses
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
