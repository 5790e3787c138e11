import { GatewayError } from '../errors.ts'

/** RFC 9110 §9.2.2, and the registered ones that are safe: the same request twice means the same as once. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'QUERY', 'PROPFIND', 'REPORT', 'SEARCH'])

/** May a request with this method be sent again when nothing was answered? */
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method)

/** They open a tunnel, echo the request with its credentials, or wake a debugger: towards an origin for nobody, in whatever case. */
const REFUSED = /^(?:CONNECT|TRACE|TRACK|DEBUG)$/i

/** A method as it may be sent to an origin, unchanged: the policy has seen it as it is. @throws GatewayError ORIGIN_BAD_REQUEST */
export function checkedMethod(method: string): string {
  if (REFUSED.test(method)) throw new GatewayError('ORIGIN_BAD_REQUEST', `method ${method}`)
  return method
}
