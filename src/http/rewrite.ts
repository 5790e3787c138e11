/** Where a response names its origin, the client must read the public name. URLs are parsed, never searched for text. */
import { isIP } from 'node:net'

/** The two names of one target. */
export interface PublicOrigin {
  readonly private: { readonly protocol: 'http' | 'https'; readonly hostname: string; readonly port: number }
  /** What the client asked for: scheme and host with its port, as in the Host field. */
  readonly public: { readonly scheme: string; readonly host: string }
}

const bare = (hostname: string): string => (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname).toLowerCase()

/** A URL that names the origin, with the public scheme and host instead; relative and foreign ones as they are. */
export function rewriteUrl(value: string, names: PublicOrigin): string {
  const absolute = /^\s*(?:(https?):)?\/\/([^/?#]*)(.*)$/is.exec(value)
  if (absolute === null) return value
  const scheme = (absolute[1] ?? names.private.protocol).toLowerCase()
  const authority = absolute[2]!
  const rest = absolute[3]!
  let url: URL
  try {
    url = new URL(`${scheme}://${authority}/`)
  } catch {
    return value
  }
  if (url.username !== '' || url.password !== '') return value
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port)
  const { protocol, hostname, port: privatePort } = names.private
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

/**
 * A Domain attribute that covers the origin would make the browser refuse the cookie: it becomes the public host, or goes where that
 * is an address or a single label. A foreign Domain, and one that covers the public host already, stay.
 */
export function rewriteSetCookie(value: string, names: PublicOrigin): string {
  if (!/;\s*domain\s*=/i.test(value)) return value
  const publicHost = names.public.host.replace(/:\d*$/, '').toLowerCase()
  const origin = bare(names.private.hostname)
  const [pair = '', ...attributes] = value.split(';')
  const kept: string[] = []
  for (const attribute of attributes) {
    const domain = /^\s*domain\s*=\s*\.?(.*?)\s*$/i.exec(attribute)?.[1]?.toLowerCase()
    if (domain === undefined || domain === '' || !covers(domain, origin) || covers(domain, publicHost)) kept.push(attribute)
    else if (domain === origin && isIP(bare(publicHost)) === 0 && publicHost.includes('.')) kept.push(` Domain=${publicHost}`)
    // else: without a Domain the cookie belongs to the public host alone, which never widens it.
  }
  return [pair, ...kept].join(';')
}

const covers = (domain: string, host: string): boolean => host === domain || host.endsWith(`.${domain}`)
