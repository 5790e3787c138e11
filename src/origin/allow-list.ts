import { domainToASCII } from 'node:url'
import ipaddr from 'ipaddr.js'
import { guardOf, isGuardedName, parseAddress, within, type AddressRange } from '../address/guarded.ts'
import { parsePortRange } from '../address/host-port.ts'
import { GatewayError } from '../errors.ts'

interface Entry {
  /** The hosts that it allows: any, a name (pattern) or a range of addresses. */
  readonly host: 'any' | { readonly name: RegExp; readonly literal: string | undefined } | { readonly range: AddressRange }
  readonly from: number
  readonly to: number
}

const NAME = /^(?!-)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/
const NAME_PATTERN = /^[a-z0-9_*-]+(?:\.[a-z0-9_*-]+)*$/
const ANY_PORT = [0, 65_535] as const
const MAX_NAME_LENGTH = 253
const MAX_REMEMBERED = 1000
const EXPECTED =
  'expected HOST:PORT, where HOST is a name (a * stands for any letters of one label, * alone for every host), an address, [IPV6] or a range such as 10.0.0.0/8, and PORT is a number, a range such as 8000-8099, or *'

/**
 * Which origins an inner layer may reach: its own key to the private network, whatever the outer layer asks for.
 *
 * Without entries everything is allowed but link-local and cloud-metadata addresses. Those need an entry that names them (an address or a
 * range inside theirs): neither `*:*` nor `0.0.0.0/0:*` opens them. Names are judged by the addresses that they resolve to as well.
 */
export class AllowList {
  /** No entries: every host is allowed but the guarded addresses. */
  readonly open: boolean
  readonly #entries: readonly Entry[]
  readonly #remembered = new Map<string, 'yes' | 'no' | 'by-address'>()

  /**
   * @param entries  HOST:PORT; see `--allow`
   * @throws GatewayError USAGE with what was expected
   */
  constructor(entries: readonly string[]) {
    this.#entries = entries.map(parseEntry)
    this.open = entries.length === 0
  }

  /**
   * Judges a host before it is resolved. `by-address` is the answer for every name that is not refused outright: hold each of its addresses
   * against `checkAddress` before dialling it. An address gets `yes` or `no` at once.
   * @param hostname  a name or an address, IPv6 with or without brackets
   * @param port      0 to 65535
   */
  check(hostname: string, port: number): 'yes' | 'no' | 'by-address' {
    const key = `${port} ${hostname}` // this runs for every request, with few different hosts
    const known = this.#remembered.get(key)
    if (known !== undefined) return known
    const verdict = this.#judge(hostname, port)
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
    this.#remembered.set(key, verdict)
    return verdict
  }

  /**
   * May the inner layer dial `address`, one of those that `hostname` resolves to (or the same address)?
   * @param address  as the resolver gives it; spellings like `0x7f.1` are refused
   */
  checkAddress(hostname: string, address: string, port: number): boolean {
    const parsed = parseAddress(address)
    if (parsed === undefined) return false
    const entries = this.#entries.filter(({ from, to }) => port >= from && port <= to)
    const guard = guardOf(parsed)
    if (guard !== undefined) {
      return entries.some(({ host }) => host !== 'any' && 'range' in host && within(parsed, host.range) && isInside(host.range, guard))
    }
    if (this.open) return true
    const name = canonicalName(hostname)
    return entries.some(({ host }) => {
      if (host === 'any') return true
      return 'range' in host ? within(parsed, host.range) : name !== undefined && host.name.test(name)
    })
  }

  #judge(hostname: string, port: number): 'yes' | 'no' | 'by-address' {
    if (parseAddress(hostname) !== undefined) return this.checkAddress(hostname, hostname, port) ? 'yes' : 'no'
    const name = canonicalName(hostname)
    if (name === undefined) return 'no'
    const entries = this.#entries.filter(({ from, to }) => port >= from && port <= to)
    if (isGuardedName(name) && !entries.some(({ host }) => host !== 'any' && 'name' in host && host.literal === name)) return 'no'
    if (this.open) return 'by-address'
    return entries.some(({ host }) => host === 'any' || 'range' in host || host.name.test(name)) ? 'by-address' : 'no'
  }
}

/** Lower case, A-labels, no trailing dot. Undefined for what is no name, such as `0x7f.1`, which resolvers take for an address. */
function canonicalName(hostname: string): string | undefined {
  const name = toAscii(hostname.toLowerCase().replace(/\.$/, ''))
  return name.length <= MAX_NAME_LENGTH && NAME.test(name) && !endsInNumber(name) ? name : undefined
}

const toAscii = (name: string): string => (/^[\x00-\x7f]*$/.test(name) ? name : domainToASCII(name))

// As the URL standard has it: a host whose last label is a number is an address, in whatever spelling, or nothing.
const endsInNumber = (name: string): boolean => /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name)

const isInside = ([base, bits]: AddressRange, [outerBase, outerBits]: AddressRange): boolean =>
  bits >= outerBits && base.kind() === outerBase.kind() && base.match(outerBase, outerBits)

function parseEntry(entry: string): Entry {
  const refuse = (why: string): GatewayError => new GatewayError('USAGE', `allowed origin ${JSON.stringify(entry)}: ${why}; ${EXPECTED}`)
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(entry)) throw refuse(`it is a URL${insteadOf(entry)}`)
  const [, host, ports] = /^(.+):([^:\]/]*)$/s.exec(entry) ?? []
  if (host === undefined || ports === undefined) throw refuse('it has no port')
  const [from, to] = (ports === '*' ? ANY_PORT : parsePortRange(ports)) ?? []
  if (from === undefined || to === undefined) throw refuse(`${JSON.stringify(ports)} is no port`)
  const bracketed = /^\[(.*)\](\/\d+)?$/.exec(host)
  const bare = bracketed ? `${bracketed[1] ?? ''}${bracketed[2] ?? ''}` : host
  if (bare.includes('/')) return { host: { range: parseRange(bare, refuse) }, from, to }
  if (bare.includes(':') && !bracketed) throw refuse('an IPv6 address is written in brackets')
  const address = parseAddress(bare)
  if (address !== undefined) return { host: { range: [address, address.kind() === 'ipv4' ? 32 : 128] }, from, to }
  if (bracketed) throw refuse(`${JSON.stringify(bare)} is no IPv6 address`)
  return { host: parseName(bare, refuse), from, to }
}

/** The entry that a URL probably meant. */
function insteadOf(text: string): string {
  if (!URL.canParse(text)) return ''
  const { protocol, hostname, port } = new URL(text)
  if (hostname === '') return ''
  return `, give ${hostname}:${port || (/^(?:https|wss):$/.test(protocol) ? 443 : 80)} instead`
}

function parseRange(text: string, refuse: (why: string) => GatewayError): AddressRange {
  const [, base = '', bits = ''] = /^(.*)\/(\d{1,3})$/.exec(text) ?? []
  const address = ipaddr.IPv4.isValidFourPartDecimal(base) || base.includes(':') ? parseAddress(base) : undefined
  if (address?.kind() === 'ipv4' && base.includes(':')) throw refuse('write an IPv4-mapped range as an IPv4 range')
  if (address === undefined || Number(bits) > (address.kind() === 'ipv4' ? 32 : 128))
    throw refuse(`${JSON.stringify(text)} is no range of addresses`)
  const network = (address.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6).networkAddressFromCIDR(`${address.toString()}/${bits}`)
  if (network.toString() !== address.toString())
    throw refuse(`${text} has bits beyond its prefix, did you mean ${network.toString()}/${bits}`)
  return [address, Number(bits)]
}

function parseName(text: string, refuse: (why: string) => GatewayError): Entry['host'] {
  const name = toAscii(text.toLowerCase().replace(/\.$/, ''))
  if (name === '*') return 'any'
  if (name.length > MAX_NAME_LENGTH || !NAME_PATTERN.test(name)) throw refuse(`${JSON.stringify(text)} is no host name`)
  if (endsInNumber(name)) throw refuse(`${JSON.stringify(text)} is an unusual spelling of an address, or no name`)
  const pattern = name.replace(/[.-]/g, String.raw`\$&`).replace(/\*+/g, '[^.]*')
  return { name: new RegExp(`^${pattern}$`), literal: name.includes('*') ? undefined : name }
}
