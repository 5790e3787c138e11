import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'
import type { Dialer } from '../origin/dial.ts'
import type { ChannelRequest } from './ssh2-channels.ts'
import { TunnelChannel } from './tunnel-channel.ts'

/** The address of a visitor. */
export interface Visitor {
  readonly address: string
  readonly port: number
}

/** Opens channels at the SSH client that serves a forward. */
export interface ChannelOpener {
  /** @returns gives up */
  open(request: Pick<ChannelRequest, 'originAddress' | 'originPort'>, done: (result: TunnelChannel | GatewayError) => void): () => void
}

/** A visitor whose address is not known is nobody in particular (RFC 5737), and no port is 0: Go's client refuses that. */
const UNKNOWN: Visitor = Object.freeze({ address: '192.0.2.1', port: 65_535 })

/** Reaches the origin of a tunnel: each dial is a channel at the SSH client, for the visitor who came last. */
export class ChannelDialer implements Dialer {
  /** The visitor for whom the next channel is opened; requests that follow on it may be others'. */
  visitor: Visitor = UNKNOWN

  /**
   * @param opener    at the client
   * @param onOpen    each channel, before it is used
   */
  constructor(
    private readonly opener: ChannelOpener,
    private readonly onOpen: (channel: TunnelChannel) => void = () => undefined,
  ) {}

  dial(_hostname: string, _port: number, signal: AbortSignal): Promise<Duplex> {
    const { address, port } = this.visitor
    const origin = {
      originAddress: isIP(address) === 0 ? UNKNOWN.address : address,
      originPort: port > 0 && port < 65_536 ? port : UNKNOWN.port,
    }
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new GatewayError('CANCELLED', 'nobody wants the connection any more'))
      const giveUp = this.opener.open(origin, result => {
        signal.removeEventListener('abort', giveUp)
        if (!(result instanceof TunnelChannel)) return reject(result)
        this.onOpen(result)
        resolve(result)
      })
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }
}
