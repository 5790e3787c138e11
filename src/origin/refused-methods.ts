import { GatewayError } from '../errors.ts'

/** They open a tunnel, echo the request with its credentials, or wake a debugger: for nobody, in whatever case. */
const REFUSED = /^(?:CONNECT|TRACE|TRACK|DEBUG)$/i

/** The method as the policy saw it. @throws GatewayError ORIGIN_BAD_REQUEST */
export function checkedMethod(method: string): string {
  if (REFUSED.test(method)) throw new GatewayError('ORIGIN_BAD_REQUEST', `method ${method}`)
  return method
}
