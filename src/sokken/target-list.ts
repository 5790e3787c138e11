import { isIP } from 'node:net'
import { GatewayError } from '../errors.ts'
import { AddressRanges } from '../address/address-ranges.ts'
import { parseHostPort, parsePortRange, type HostPort } from '../address/host-port.ts'

interface Pattern {
  readonly matches: (host: string) => boolean
  readonly from: number
  readonly to: number
}

const EXPECTED =
  'expected HOST:PORT, or a pattern of CIDR:PORT, HOST:FROM-TO or *.NAME:PORT, such as 10.0.0.0/8:22, db.lan:5432-5440 or *.lan:443; IPv6 in brackets'

/**
 * The addresses that a sokken server tunnels to. HOST:PORT is compared as text, as sokken does it. A range of addresses matches addresses
 * alone, never a name that resolves into it: whoever runs the name could point it elsewhere.
 */
export class TargetList {
  readonly #texts: ReadonlySet<string>
  readonly #patterns: readonly Pattern[]

  /** @throws GatewayError USAGE for what is neither an address nor a pattern */
  constructor(entries: readonly string[]) {
    this.#texts = new Set(entries.filter(entry => !entry.includes('*') && parseHostPort(entry) !== undefined))
    this.#patterns = entries.filter(entry => !this.#texts.has(entry)).map(parsePattern)
  }

  /** Where to dial for what a client asks for; undefined when that is not allowed. */
  find(asked: string): HostPort | undefined {
    const parsed = parseHostPort(asked)
    if (parsed === undefined) return undefined
    const { host, port } = parsed
    const name = host.toLowerCase()
    const isListed = this.#texts.has(asked) || this.#patterns.some(({ matches, from, to }) => port >= from && port <= to && matches(name))
    // `:22` means this machine, to Go.
    return isListed ? { host: host === '' ? 'localhost' : host, port } : undefined
  }
}

function parsePattern(entry: string): Pattern {
  const refuse = (): GatewayError => new GatewayError('USAGE', `REMOTE_ADDR ${JSON.stringify(entry)}: ${EXPECTED}`)
  const [, place = '', ports = ''] = /^(.+):([\d-]+)$/.exec(entry) ?? []
  const [from, to] = parsePortRange(ports) ?? []
  if (from === undefined || to === undefined) throw refuse()
  const [, bracketed] = /^\[(.+)\]$/.exec(place) ?? []
  const host = (bracketed ?? place).toLowerCase()
  if (host.includes('/') || isIP(host) !== 0) {
    try {
      const ranges = new AddressRanges([host])
      return { matches: asked => ranges.has(asked), from, to }
    } catch {
      throw refuse()
    }
  }
  if (bracketed !== undefined || !/^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(host)) throw refuse()
  const below = host.startsWith('*.') ? host.slice(1) : undefined
  const matches = (asked: string): boolean =>
    below === undefined ? asked === host : isIP(asked) === 0 && asked.endsWith(below) && asked.length > below.length
  return { matches, from, to }
}
