import { cookiesOf, LOGIN_COOKIE } from '../../http/cookies.ts'
import type { AcceptedRequest } from '../../http/admission.ts'

/** Cookies of the same name that are looked at in one request. */
const MAX_TRIED = 4

const LOCAL = /^(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.localhost|127(?:\.\d{1,3}){3}|::1)$/

/** Are there logins over this connection? Over http on this machine alone, for trials: elsewhere anybody on the way could read and plant them. */
export const isSafe = (scheme: string, host: string): boolean => scheme === 'https' || LOCAL.test(host)

/**
 * The name of a cookie of ours. Over https nobody but this very host can have set it (RFC 6265bis §4.1.3.2); over http, which is for
 * trials on one machine, there is no such thing.
 * @param kind  `visitor` for sessions
 */
export const cookieName = (kind: string, scheme: string): string => {
  const isSecure = scheme === 'https'
  return (isSecure ? SECURE : PLAIN).get(kind) ?? nameOf(kind, isSecure)
}

const nameOf = (kind: string, isSecure: boolean): string => `${isSecure ? '__Host-' : ''}${LOGIN_COOKIE}${kind}`
/** Those that are looked for in each request: a text that is put together for one has to be made flat before anything is found by it. */
const OFTEN = ['visitor', 'share']
const SECURE: ReadonlyMap<string, string> = new Map(OFTEN.map(kind => [kind, nameOf(kind, true)]))
const PLAIN: ReadonlyMap<string, string> = new Map(OFTEN.map(kind => [kind, nameOf(kind, false)]))

/** The values of the cookies of this kind. */
export const cookieValues = (request: AcceptedRequest, kind: string, scheme: string): readonly string[] =>
  cookiesOf(request, cookieName(kind, scheme), MAX_TRIED)

/** The kinds of the cookies of ours that begin with `prefix`, in the order in which the browser sends them: the oldest first (RFC 6265 §5.4). */
export function cookieKinds({ fields, names }: AcceptedRequest, prefix: string, scheme: string): readonly string[] {
  const own = cookieName('', scheme)
  return names
    .flatMap((name, i) => (name === 'cookie' ? fields[2 * i + 1]!.split(';') : []))
    .map(pair => pair.slice(0, Math.max(0, pair.indexOf('='))).trim())
    .filter(name => name.startsWith(own + prefix) && /^[\w-]{1,60}$/.test(name))
    .map(name => name.slice(own.length))
}

/**
 * A cookie as Set-Cookie has it, for this host alone.
 * @param maxAgeS  undefined: until the browser is closed; 0: it goes now
 * @param by       `form`: a form of another site brings it as well. Over http, where no browser takes such a cookie, it is left to the
 *                 browser, which has a habit for forms that come within two minutes
 */
export function setCookie(kind: string, scheme: string, value: string, maxAgeS?: number, by?: 'query' | 'form' | 'own-form'): string {
  const age = maxAgeS === undefined ? '' : `; Max-Age=${maxAgeS}`
  const isSecure = scheme === 'https'
  const site = by !== 'form' ? '; SameSite=Lax' : isSecure ? '; SameSite=None' : ''
  return `${cookieName(kind, scheme)}=${value}; Path=/${age}; HttpOnly${site}${isSecure ? '; Secure' : ''}`
}
