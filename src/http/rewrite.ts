/** Where a response names its origin, the client must read the public name. URLs are parsed, never searched for text. */
import { isIP } from 'node:net'

/** The two names of one target. */
export interface PublicOrigin {
  readonly private: { readonly protocol: 'http' | 'https'; readonly hostname: string; readonly port: number }
  /** The scheme and host that the client asked for, with its port, as in the Host field. */
  readonly public: { readonly scheme: string; readonly host: string }
  /** A prefix of paths that the origin does not know, and the one that it has instead; both without a slash at their end. */
  readonly prefixes?: PathPrefixes | undefined
  /** The origin was asked under its public name, so this one is its own as well. */
  readonly isHostPreserved?: boolean | undefined
}

/** Two names of the same paths; empty for the root. */
export interface PathPrefixes {
  readonly public: string
  readonly private: string
}

const isBelow = (path: string, prefix: string): boolean => path.startsWith(prefix) && /^(?:[/?#]|$)/.test(path.slice(prefix.length))

/** A path of the origin, with query and fragment, as the client has to ask for it. One that is public already stays. */
function publicPath(path: string, prefixes: PathPrefixes | undefined): string {
  if (prefixes === undefined || !isBelow(path, prefixes.private)) return path
  if (prefixes.public !== '' && isBelow(path, prefixes.public)) return path
  const mapped = prefixes.public + path.slice(prefixes.private.length)
  return mapped.startsWith('/') ? mapped : `/${mapped}`
}

const bare = (hostname: string): string => (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname).toLowerCase()

const defaultPort = (scheme: string): number => (scheme === 'https' ? 443 : 80)

/** `http://host:port/` taken apart; undefined when it cannot be, and for one with a password in it. */
function partsOf(scheme: string, authority: string): { readonly hostname: string; readonly port: number | undefined } | undefined {
  try {
    const url = new URL(`${scheme}://${authority}/`)
    if (url.username !== '' || url.password !== '') return undefined
    return { hostname: bare(url.hostname), port: url.port === '' ? undefined : Number(url.port) }
  } catch {
    return undefined
  }
}

/** The scheme that the client has to use for a URL of the origin with this scheme and authority; undefined for those of others. */
function publicScheme(scheme: string, authority: string, names: PublicOrigin): string | undefined {
  const parts = partsOf(scheme, authority)
  if (parts === undefined) return undefined
  const { protocol, hostname, port } = names.private
  const { scheme: ours, host } = names.public
  const ownPort = defaultPort(scheme)
  if (parts.hostname === bare(hostname)) {
    // An origin that believes X-Forwarded-Proto and not -Host names its own authority, as it stood in Host, with the public scheme.
    return (parts.port ?? ownPort) === port || (parts.port === undefined && port === defaultPort(protocol)) ? ours : undefined
  }
  const open = host === '' ? undefined : partsOf(ours, host)
  if (open === undefined || parts.hostname !== open.hostname) return undefined
  // The public name with the port that the origin listens at, which nothing else can have.
  if (parts.port === port && parts.port !== (open.port ?? defaultPort(ours))) return ours
  if (parts.port !== undefined && parts.port !== open.port) return undefined
  // The public name with the scheme of an origin that has not learned ours.
  if (scheme === 'http' && protocol === 'http' && ours === 'https') return ours
  // One that was asked under the public name speaks of itself. From http to https is meant: that is how an application asks for TLS.
  return names.isHostPreserved === true && authority.toLowerCase() === host.toLowerCase() ? scheme : undefined
}

/** A URL that names the origin, with the public scheme and host instead; relative and foreign ones as they are. */
export function rewriteUrl(value: string, names: PublicOrigin): string {
  // The rest is cut off, not matched: two expressions in a row that take the same characters take quadratic time.
  const absolute = /^\s*(?:(https?):)?\/\/([^/?#]*)/i.exec(value)
  // One that is relative to the present path leads to the right place by itself.
  if (absolute === null) return /^\s*\//.test(value) ? publicPath(value.trimStart(), names.prefixes) : value
  const scheme = publicScheme((absolute[1] ?? names.private.protocol).toLowerCase(), absolute[2]!, names)
  if (scheme === undefined) return value
  const rest = publicPath(value.slice(absolute[0].length), names.prefixes)
  // An HTTP/1.0 client that named no host knows which one it asked; "//x" would be read as a host.
  if (names.public.host === '') return rest.startsWith('//') ? `/.${rest}` : rest.startsWith('/') ? rest : `/${rest}`
  return `${absolute[1] === undefined ? '' : `${scheme}:`}//${names.public.host}${rest}`
}

/** `5; url=https://origin/x` (HTML, de facto): the URL alone is rewritten. */
export function rewriteRefresh(value: string, names: PublicOrigin): string {
  const start = /^\s*[\d.]+\s*[;,]\s*url\s*=\s*/i.exec(value)?.[0]
  if (start === undefined) return value
  const rest = value.slice(start.length)
  const quote = rest.startsWith('"') || rest.startsWith("'") ? rest[0]! : ''
  const closing = quote === '' ? -1 : rest.indexOf(quote, 1)
  const end = closing < 0 ? rest.trimEnd().length : closing
  return `${start}${quote}${rewriteUrl(rest.slice(quote.length, end), names)}${rest.slice(end)}`
}

/** `<https://origin/x>; rel=preload, …` (RFC 8288 §3): the targets alone are rewritten, nothing in a quoted text. In linear time: an open quote ends with the value. */
export const rewriteLink = (value: string, names: PublicOrigin): string =>
  value.replace(/"(?:[^"\\]|\\[^]?)*(?:"|$)|<([^<>"]*)>/g, (text, url: string | undefined) =>
    url === undefined ? text : `<${rewriteUrl(url, names)}>`,
  )

/**
 * A Domain attribute that covers the origin would make the browser refuse the cookie: it becomes the public host, or goes where that
 * is an address or a single label. A foreign Domain, and one that covers the public host already, stay. A Path becomes the public one.
 */
export function rewriteSetCookie(value: string, names: PublicOrigin): string {
  const hasDomain = /;\s*domain\s*=/i.test(value)
  // RFC 6265bis §4.1.3.2: a cookie with this prefix has to have the path of the root.
  const prefixes = /^\s*__host-/i.test(value) ? undefined : names.prefixes
  if (!hasDomain && prefixes === undefined) return value
  const publicHost = names.public.host.replace(/:\d*$/, '').toLowerCase()
  const origin = bare(names.private.hostname)
  const [pair = '', ...attributes] = value.split(';')
  const kept: string[] = []
  for (const attribute of attributes) {
    const mark = attribute.indexOf('=')
    const name = mark < 0 ? '' : attribute.slice(0, mark).trim().toLowerCase()
    const said = attribute.slice(mark + 1).trim()
    if (name === 'path' && prefixes !== undefined && said.startsWith('/')) {
      const mapped = publicPath(said, prefixes)
      // RFC 6265 §5.1.4: "/app/" would leave out /app itself, which the origin's "/" covers.
      kept.push(` Path=${said === '/' && mapped.length > 1 ? mapped.slice(0, -1) : mapped}`)
      continue
    }
    const domain = name === 'domain' ? (said.startsWith('.') ? said.slice(1) : said).toLowerCase() : ''
    if (domain === '' || !covers(domain, origin) || covers(domain, publicHost)) kept.push(attribute)
    else if (domain === origin && isIP(bare(publicHost)) === 0 && publicHost.includes('.')) kept.push(` Domain=${publicHost}`)
    // else: without a Domain the cookie belongs to the public host alone, which never widens it.
  }
  return [pair, ...kept].join(';')
}

const covers = (domain: string, host: string): boolean => host === domain || host.endsWith(`.${domain}`)
