/** Cookies of requests, as far as the gateway has some of its own (RFC 6265 §5.4). */

/** The names of cookies that hold a login of ours begin with it, after `__Host-` over https. */
export const LOGIN_COOKIE = 'sg-login-'

/** Fields as a request has them, with their names in lower case. */
interface Fields {
  readonly fields: readonly string[]
  readonly names: readonly string[]
}

const SPACE = 32
const EQUALS = 61

const nameOf = (pair: string): string => pair.slice(0, Math.max(0, pair.indexOf('='))).trim()

/** Where the pair is that has the character at `at`: searched for, since most of a long value is none of our business. */
const startOf = (value: string, at: number): number => value.lastIndexOf(';', at) + 1
const endOf = (value: string, at: number): number => {
  const end = value.indexOf(';', at)
  return end < 0 ? value.length : end
}

/** The place of the value of a pair in which a name was found at `at`; -1 when that is not its name. */
function valueFrom(value: string, at: number, end: number, wanted: string): number {
  const start = startOf(value, at)
  const after = at + wanted.length
  // As browsers write it: nothing has to be cut out to see it.
  const isFirst = start === at || (start === at - 1 && value.charCodeAt(start) === SPACE)
  if (isFirst && value.charCodeAt(after) === EQUALS) return after + 1
  const pair = value.slice(start, end)
  return nameOf(pair) === wanted ? start + pair.indexOf('=') + 1 : -1
}

/** The values of the first cookies of this name, at most `limit`: a browser sends one for each path and domain that has set it. */
export function cookiesOf({ fields, names }: Fields, wanted: string, limit: number): readonly string[] {
  const found: string[] = []
  for (let i = 0; i < names.length; i++) {
    if (names[i] !== 'cookie') continue
    const value = fields[2 * i + 1]!
    for (let at = value.indexOf(wanted); at >= 0;) {
      const end = endOf(value, at)
      const from = valueFrom(value, at, end, wanted)
      if (from >= 0) {
        found.push(value.slice(from, end).trim())
        if (found.length === limit) return found
      }
      at = value.indexOf(wanted, end)
    }
  }
  return found
}

/** The value of the first cookie of this name. */
export const cookieOf = (request: Fields, wanted: string): string | undefined => cookiesOf(request, wanted, 1)[0]

/** The value of a Cookie field without those that are for the gateway; empty when nothing is left. @param own  name of another one */
export function withoutOurs(value: string, own: string | undefined): string {
  const others = withoutLogins(value)
  if (own === undefined || !others.includes(own)) return others
  return others
    .split(';')
    .filter(pair => nameOf(pair) !== own)
    .join(';')
    .trim()
}

function withoutLogins(value: string): string {
  let at = value.indexOf(LOGIN_COOKIE)
  if (at < 0) return value
  let kept = ''
  let from = 0
  while (at >= 0) {
    const start = startOf(value, at)
    const end = endOf(value, at)
    if (isLogin(nameOf(value.slice(start, end)))) {
      kept += value.slice(from, start)
      from = end + 1
    }
    at = value.indexOf(LOGIN_COOKIE, end)
  }
  // The semicolon before the last pair goes with it.
  const left = from > value.length ? kept.slice(0, -1) : kept + value.slice(from)
  return left.trim()
}

/** Would this Set-Cookie set a cookie of ours? */
export const setsOurs = (value: string): boolean => isLogin(nameOf(value))

const isLogin = (name: string): boolean => name.startsWith(LOGIN_COOKIE) || name.startsWith(`__Host-${LOGIN_COOKIE}`)
