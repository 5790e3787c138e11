/** The names under which inner layers dial an outer layer. */

const HOST_AND_PORT = /^(\[[^\]]*\]|[^:/?#@\\\s[\]]+)(?::(\d{1,5}))?$/
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['ws:', '80'],
  ['http:', '80'],
  ['wss:', '443'],
  ['https:', '443'],
])

const withoutDot = (host: string): string => host.replace(/\.$/, '')

/**
 * Reads HOST or HOST:PORT.
 * @returns the same in one spelling: lower case, A-labels, IPv6 compressed and in brackets; undefined for anything else
 */
export function parseLinkName(text: string): string | undefined {
  const [, host, port] = HOST_AND_PORT.exec(text) ?? []
  if (host === undefined || !URL.canParse(`http://${host}`)) return undefined
  const name = withoutDot(new URL(`http://${host}`).hostname)
  if (port === undefined) return name
  return Number(port) >= 1 && Number(port) <= 65_535 ? `${name}:${Number(port)}` : undefined
}

/**
 * Was one of `names` dialled? A name without a port stands for the port of the scheme.
 * @param url    scheme and authority, such as `wss://link.example.com`
 * @param names  as `parseLinkName` gives them
 */
export function isDialledAs(url: string, names: readonly string[]): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname, port } = new URL(url)
  const usual = DEFAULT_PORTS.get(protocol)
  if (usual === undefined) return false
  const host = withoutDot(hostname)
  return names.some(name => name === `${host}:${port || usual}` || (port === '' && name === host))
}
