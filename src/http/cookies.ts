/** Cookies of requests, as far as the gateway has some of its own (RFC 6265 §5.4). */

/** The names of cookies that hold a login of ours begin with it, after `__Host-` over https. */
export const LOGIN_COOKIE = 'sg-login-'

/** Fields as a request has them, with their names in lower case. */
interface Fields {
  readonly fields: readonly string[]
  readonly names: readonly string[]
}

const nameOf = (pair: string): string => pair.slice(0, Math.max(0, pair.indexOf('='))).trim()

/** The values of the first cookies of this name, at most `limit`: a browser sends one for each path and domain that has set it. */
export function cookiesOf({ fields, names }: Fields, wanted: string, limit: number): readonly string[] {
  const found: string[] = []
  for (let i = 0; i < names.length; i++) {
    if (names[i] !== 'cookie' || !fields[2 * i + 1]!.includes(wanted)) continue
    for (const pair of fields[2 * i + 1]!.split(';')) {
      if (nameOf(pair) !== wanted) continue
      found.push(pair.slice(pair.indexOf('=') + 1).trim())
      if (found.length === limit) return found
    }
  }
  return found
}

/** The value of the first cookie of this name. */
export const cookieOf = (request: Fields, wanted: string): string | undefined => cookiesOf(request, wanted, 1)[0]

/** The value of a Cookie field without those that are for the gateway; empty when nothing is left. @param own  name of another one */
export function withoutOurs(value: string, own: string | undefined): string {
  if (own === undefined && !value.includes(LOGIN_COOKIE)) return value
  if (!value.includes(';') && (value.startsWith(LOGIN_COOKIE) || value.startsWith(`__Host-${LOGIN_COOKIE}`))) return ''
  return value
    .split(';')
    .filter(pair => {
      const name = nameOf(pair)
      return name !== own && !name.startsWith(LOGIN_COOKIE) && !name.startsWith(`__Host-${LOGIN_COOKIE}`)
    })
    .join(';')
    .trim()
}
