import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Peer } from '../../http/client.ts'
import type { EdgeLimits } from '../access/client-limits.ts'
import type { ExchangeContext } from '../exchange/http-exchange.ts'

/** The paths under which tunnels are opened; they take requests before targets are looked at. */
export interface TunnelPaths {
  takes(request: IncomingMessage): boolean
  /** Is this target one of those paths, however it is written? */
  owns(target: string): boolean
  /** A request that it takes and that is none to switch protocols. */
  answer(request: IncomingMessage, response: ServerResponse, peer: Peer): void
  /** A request that it takes and that is one to switch protocols. @param head  bytes that came behind the request */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, peer: Peer): void
}

/** The context of the edges of HTTP, beside that of their exchanges. */
export interface EdgeContext extends ExchangeContext {
  readonly limits: EdgeLimits
  readonly tunnels: TunnelPaths
}
