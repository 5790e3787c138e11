import { GatewayError } from '../errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host)

const valueOf = (env: Environment, name: string): string => env[name] || env[name.toLowerCase()] || ''

/** Entries of NO_PROXY: `*`, a name with everything below it, `.below`, either with a port. Ranges of addresses are left out. */
function isExcepted(url: URL, noProxy: string): boolean {
  const port = url.port || DEFAULT_PORTS[url.protocol]
  return noProxy
    .split(',')
    .map(entry => entry.trim().toLowerCase())
    .some(entry => {
      if (entry === '*') return true
      const [, name = '', only] = /^(.+?)(?::(\d+))?$/.exec(entry) ?? []
      if (name === '' || (only !== undefined && only !== port)) return false
      return url.hostname === name.replace(/^\./, '') || url.hostname.endsWith(name.startsWith('.') ? name : `.${name}`)
    })
}

/**
 * The proxy on the way to `url` (http or https), as curl and Go read it from HTTP_PROXY, HTTPS_PROXY and NO_PROXY; undefined for none,
 * and always for this machine.
 * @throws GatewayError USAGE for a proxy that is no http:// URL
 */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const value = valueOf(env, name)
  if (value === '' || isLoopback(url.hostname) || isExcepted(url, valueOf(env, 'NO_PROXY'))) return undefined
  const text = value.includes('://') ? value : `http://${value}`
  // Without its value, in which there may be a password.
  if (!URL.canParse(text) || new URL(text).protocol !== 'http:')
    throw new GatewayError('USAGE', `${name} is no http:// URL; only proxies that are spoken to without TLS are supported`)
  return new URL(text)
}
