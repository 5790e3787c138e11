/** Addresses as sokken and other programs in Go write them: `:8000`, `localhost:1234`, `[::1]:80`. */

/** Where to listen or what to dial. */
export interface HostPort {
  /** IPv6 without brackets; empty: every address of this machine, or this machine. */
  readonly host: string
  readonly port: number
}

const FORM = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/@?#]*)):(\d{1,5})$/i

/** Reads HOST:PORT; undefined when it is none. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, address, name = '', digits] = FORM.exec(text) ?? []
  const port = Number(digits)
  return digits !== undefined && port <= 65_535 ? { host: address ?? name, port } : undefined
}

/** Reads one port or a range such as `8000-8099`, as first and last; undefined when it is neither. */
export function parsePortRange(text: string): readonly [number, number] | undefined {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  const [from, to] = [Number(first), Number(last)]
  return from <= to && to <= 65_535 ? [from, to] : undefined
}

/** A host as it stands in a URL or before a port: brackets around IPv6. */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** HOST:PORT, with brackets around IPv6. */
export const formatHostPort = ({ host, port }: HostPort): string => `${bracketed(host)}:${port}`
