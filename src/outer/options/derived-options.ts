import { GatewayError } from '../../errors.ts'
import type { OriginProfile } from '../../payload/origin-profile.ts'
import type { Log } from '../../telemetry/log.ts'
import type { EdgeLimits } from '../access/client-limits.ts'
import { faultOfHttp2 } from '../http-edge/http2-support.ts'
import type { OtherRequests } from '../inner-layers/link-port.ts'
import type { OuterLayerOptions } from './outer-options.ts'

/** HTTP/2, unless this Node.js cannot. @throws GatewayError USAGE where there is no other way */
export function offersHttp2({ appCertificates, appH2c = false, http2 = true, nghttp2 }: OuterLayerOptions, log: Log): boolean {
  const fault = nghttp2 === undefined ? undefined : faultOfHttp2(nghttp2)
  if (fault === undefined) return http2
  if (appH2c) throw new GatewayError('USAGE', `--app-h2c cannot be had: ${fault}`)
  if (appCertificates !== undefined && http2)
    log.warn({ nghttp2 }, `HTTP/2 is off, clients get HTTP/1.1: ${fault} (--no-http2 says that you know)`)
  return false
}

/** Returns the profile that every inner layer has to know of every origin; undefined: none. */
export const alwaysOf = ({ connectMs }: EdgeLimits, timing: boolean): OriginProfile | undefined =>
  connectMs === undefined && !timing
    ? undefined
    : { ...(timing && { timing }), ...(connectMs !== undefined && { timeouts: { connectMs } }) }

/** Everything else that is answered at the socket port: tunnels, and before them whoever joins. */
export const othersOf = (joining: OtherRequests | undefined, tunnels: OtherRequests): OtherRequests => {
  if (joining === undefined) return tunnels
  const of = (request: Parameters<OtherRequests['takes']>[0]): OtherRequests => (joining.takes(request) ? joining : tunnels)
  return {
    takes: request => joining.takes(request) || tunnels.takes(request),
    answer: (request, response, peer) => of(request).answer(request, response, peer),
    upgrade: (request, socket, head, peer) => of(request).upgrade(request, socket, head, peer),
  }
}
