import { isThisMachine } from '../address/this-machine.ts'
import { GatewayError } from '../errors.ts'

/**
 * Returns the URL of the API of a service, as people give it: `https://` may be left out, a slash at the end goes.
 * @throws GatewayError USAGE for what is no such URL, and for `http://` on another machine, on the way to which a token could be read
 */
export function parseServerUrl(text: string): URL {
  const full = text.includes('://') ? text : `https://${text}`
  if (!URL.canParse(full)) throw wrong('it is no URL such as https://api.example.com')
  const url = new URL(full)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw wrong('it has to begin with https://')
  if (url.username !== '' || url.password !== '') throw wrong('it must not have a name or password in it; log in instead')
  if (url.search !== '' || url.hash !== '') throw wrong('nothing may follow its path')
  if (url.protocol === 'http:' && !isThisMachine(url.hostname))
    throw wrong('http:// is for this machine only, because everybody on the way could read the token; use https://')
  url.pathname = url.pathname.replace(/\/{1,8}$/, '')
  return url
}

/** The URL as a key and for people: without a slash at its end. */
export const textOfServer = (url: URL): string => url.href.replace(/\/$/, '')

// Not the value itself: somebody may have put a password into it.
const wrong = (why: string): GatewayError => new GatewayError('USAGE', `the URL of the server cannot be used: ${why}`)
