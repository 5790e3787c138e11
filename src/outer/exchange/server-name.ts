import { GatewayError } from '../../errors.ts'
import type { PeerTls } from '../../http/client.ts'
import { parseHost } from '../../address/host.ts'
import type { TargetTable, Target } from '../../route/table.ts'

/**
 * A connection that was made for one target must not be used for another one, unless the certificate says that both are the same server
 * (RFC 9110 §7.4, RFC 9113 §9.1.1): what a browser, a proxy or a rule of somebody's network has decided by the name in TLS would not
 * hold for the request. Names that no target has decide nothing.
 * @param target  that of `host`, the value of the Host field; undefined: the gateway itself
 * @throws GatewayError MISDIRECTED
 */
export function checkServerName({ serverName, covers }: PeerTls, host: string, target: Target | undefined, table: TargetTable): void {
  if (serverName === undefined || serverName === host) return
  const named = targetOf(serverName, table)
  if (named === undefined || named === target || covers(parseHost(host).host)) return
  throw new GatewayError('MISDIRECTED', `TLS was for ${serverName}, the Host header names ${host}, and the certificate is not for that`)
}

function targetOf(serverName: string, table: TargetTable): Target | undefined {
  try {
    return table.match(parseHost(serverName).host)
  } catch {
    return undefined // no host name, so nobody's
  }
}
