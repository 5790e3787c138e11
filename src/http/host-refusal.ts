/** Answers by which applications refuse the name that they were asked under, known by their text. */

/**
 * The cause for which an application refuses a request: the Host, an Origin that is not the Host, a signature over the Host, or a proxy
 * that it does not know.
 */
export type HostRefusal = 'host' | 'origin' | 'signature' | 'proxy'

/** Statuses of such answers; no other answer is looked at. */
const STATUSES: ReadonlySet<number> = new Set([400, 403, 421])

/** Bytes at the beginning of a body that may have the text: behind the styles of an error page. */
const LOOKED_AT = 8_192

/** In lower case, each with the applications that say so. */
const TEXTS: readonly (readonly [text: string, refusal: HostRefusal])[] = [
  ['blocked request. this host', 'host'], // Vite
  ['invalid host header', 'host'], // webpack-dev-server, Angular, Starlette
  ['host check error', 'host'], // Syncthing
  ['hostname was unrecognized', 'host'], // Transmission
  ['blocked host', 'host'], // Rails
  ['disallowedhost', 'host'], // Django with DEBUG
  ['invalid http_host header', 'host'], // Django
  ['untrusted domain', 'host'], // Nextcloud
  ["non-local 'host'", 'host'], // Jupyter
  ['untrusted host', 'host'], // Symfony
  ['dns rebind', 'host'], // OPNsense, pfSense
  ['misdirected request', 'host'], // Apache
  ['csrf verification failed', 'origin'], // Django
  ['origin checking failed', 'origin'], // Django with DEBUG
  ['cross-site post form submissions are forbidden', 'origin'], // SvelteKit
  ['invalid cors request', 'origin'], // Spring
  ['origin not allowed', 'origin'], // Grafana
  ['signaturedoesnotmatch', 'signature'], // S3
  ['400: bad request', 'proxy'], // Home Assistant
]

/** May an answer of this status be such a refusal? */
export const mayRefuseHost = (status: number): boolean => STATUSES.has(status)

/** The text by which an application refuses, and why; undefined when it is none that is known. @param body  its first bytes */
export function hostRefusalIn(body: Buffer): { readonly text: string; readonly refusal: HostRefusal } | undefined {
  const said = body.toString('latin1', 0, LOOKED_AT).toLowerCase()
  const found = TEXTS.find(([text]) => said.includes(text))
  return found && { text: found[0], refusal: found[1] }
}
