/** Where a response names its origin, the client must read the public name. URLs are parsed, never searched for text. */
import { isIP } from 'node:net'

/** The two names of one target. */
export interface PublicOrigin {
  readonly private: { readonly protocol: 'http' | 'https'; readonly hostname: string; readonly port: number }
  /** What the client asked for: scheme and host with its port, as in the Host field. */
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

/** A URL that names the origin, with the public scheme and host instead; relative and foreign ones as they are. */
export function rewriteUrl(value: string, names: PublicOrigin): string {
  const absolute = /^\s*(?:(https?):)?\/\/([^/?#]*)(.*)$/is.exec(value)
  // One that is relative to the present path leads to the right place by itself.
  if (absolute === null) return /^\s*\//.test(value) ? publicPath(value.trimStart(), names.prefixes) : value
  const scheme = (absolute[1] ?? names.private.protocol).toLowerCase()
  const authority = absolute[2]!
  const rest = publicPath(absolute[3]!, names.prefixes)
  let url: URL
  try {
    url = new URL(`${scheme}://${authority}/`)
  } catch {
    return value
  }
  if (url.username !== '' || url.password !== '') return value
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port)
  const { protocol, hostname, port: privatePort } = names.private
  if (names.isHostPreserved === true && authority.toLowerCase() === names.public.host.toLowerCase()) {
    return `${absolute[1] === undefined ? '' : `${absolute[1]}:`}//${authority}${rest}`
  }
  if (scheme !== protocol || port !== privatePort || bare(url.hostname) !== bare(hostname)) return value
  // An HTTP/1.0 client that named no host knows which one it asked; "//x" would be read as a host.
  if (names.public.host === '') return rest.startsWith('//') ? `/.${rest}` : rest.startsWith('/') ? rest : `/${rest}`
  return `${absolute[1] === undefined ? '' : `${names.public.scheme}:`}//${names.public.host}${rest}`
}

/** `5; url=https://origin/x` (HTML, de facto): the URL alone is rewritten. */
export function rewriteRefresh(value: string, names: PublicOrigin): string {
  const parts = /^(\s*[\d.]+\s*[;,]\s*url\s*=\s*)(["']?)(.*?)(\2\s*)$/is.exec(value)
  return parts === null ? value : `${parts[1]!}${parts[2]!}${rewriteUrl(parts[3]!, names)}${parts[4]!}`
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
    const path = prefixes === undefined ? undefined : /^\s*path\s*=\s*(\/.*?)\s*$/i.exec(attribute)?.[1]
    if (path !== undefined) {
      const mapped = publicPath(path, prefixes)
      // RFC 6265 §5.1.4: "/app/" would leave out /app itself, which the origin's "/" covers.
      kept.push(` Path=${path === '/' && mapped.length > 1 ? mapped.slice(0, -1) : mapped}`)
      continue
    }
    const domain = /^\s*domain\s*=\s*\.?(.*?)\s*$/i.exec(attribute)?.[1]?.toLowerCase()
    if (domain === undefined || domain === '' || !covers(domain, origin) || covers(domain, publicHost)) kept.push(attribute)
    else if (domain === origin && isIP(bare(publicHost)) === 0 && publicHost.includes('.')) kept.push(` Domain=${publicHost}`)
    // else: without a Domain the cookie belongs to the public host alone, which never widens it.
  }
  return [pair, ...kept].join(';')
}

const covers = (domain: string, host: string): boolean => host === domain || host.endsWith(`.${domain}`)
