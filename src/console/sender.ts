import type { IncomingMessage } from 'node:http'

/** Returns the objection to a change that somebody asks for; undefined: there is none. */
export type SenderFault = 'another site' | 'another type' | undefined

/**
 * Lets nothing be changed from pages of other origins, whatever the browser sends along by itself (the password of the port, for one): a
 * change is JSON, which another origin cannot send without asking first, and comes from this very origin where the browser says from which.
 */
export function faultOfSender({ headers }: Pick<IncomingMessage, 'headers'>): SenderFault {
  const site = headers['sec-fetch-site']
  const { origin, host = '' } = headers
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'another site'
  if (origin !== undefined && hostOf(origin) !== host.toLowerCase()) return 'another site'
  return /^application\/json\s*(?:;|$)/i.test(headers['content-type'] ?? '') ? undefined : 'another type'
}

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}
