import type { AcceptedRequest } from '../../http/admission.ts'
import type { Client } from '../../http/client.ts'
import type { LoginRule } from '../../route/access.ts'

/** They change nothing (RFC 9110 §9.2.1). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Says why a request with the session of a host is none of this host's pages, so that it must not act in the name of the visitor; undefined:
 * it is, or it can do no harm. `SameSite` alone does not see pages of neighbouring hosts, which belong to somebody else here; and a WebSocket
 * is bound by no policy of the browser (RFC 6455 §10.2).
 */
export function whyCrossSite(
  { method, upgrades, fields, names }: AcceptedRequest,
  client: Client,
  rule: Pick<LoginRule, 'origins'>,
): string | undefined {
  const isUpgrade = upgrades !== undefined
  if (!isUpgrade && SAFE.has(method)) return undefined
  const first = names.indexOf('origin')
  if (first < 0) return isUpgrade ? 'a WebSocket without Origin' : undefined
  if (names.lastIndexOf('origin') !== first) return 'more than one Origin'
  const origin = fields[2 * first + 1]!.toLowerCase()
  // Pages without a referrer send forms with the origin `null`; the browser says all the same where it comes from.
  if (origin === 'null' && !isUpgrade && SAME.has(valueOf(fields, names, 'sec-fetch-site') ?? '')) return undefined
  if (origin === `${client.scheme}://${withoutDefaultPort(client.host.toLowerCase(), client.scheme)}`) return undefined
  return rule.origins.has(origin) ? undefined : `sent by a page of ${origin.slice(0, 100)}`
}

/** As browsers say it, and no page can (W3C Fetch Metadata §2.3). */
const SAME: ReadonlySet<string> = new Set(['same-origin', 'none'])

function valueOf(fields: readonly string[], names: readonly string[], name: string): string | undefined {
  const first = names.indexOf(name)
  return first < 0 || names.lastIndexOf(name) !== first ? undefined : fields[2 * first + 1]
}

const withoutDefaultPort = (host: string, scheme: string): string => {
  const port = scheme === 'https' ? ':443' : ':80'
  return host.endsWith(port) ? host.slice(0, -port.length) : host
}
