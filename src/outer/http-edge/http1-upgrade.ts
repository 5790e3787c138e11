import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Peer } from '../../http/client.ts'
import type { WritableHead } from '../../http/response-fields.ts'
import type { TargetTable } from '../../route/table.ts'
import type { SwitchedClient } from '../exchange/edge-request.ts'
import type { EarlyBytes } from '../../net/early-bytes.ts'
import { Http1EdgeRequest } from './http1-edge-request.ts'
import { guarded } from '../../net/guard.ts'
import { endLingering } from '../../net/linger.ts'
import { allowsUpgrade } from '../exchange/request-plan.ts'

/** Protocols of an Upgrade field, in order, as they were sent. */
export const offeredProtocols = (req: IncomingMessage): string[] =>
  (req.headers.upgrade ?? '')
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')

/** True when some target may switch to one of the protocols that `req` offers: it depends on host and path which. */
export function mayUpgrade(req: IncomingMessage, table: TargetTable): boolean {
  // RFC 9110 §7.8: ignored in HTTP/1.0; RFC 6455 §4.1: WebSocket begins with GET.
  if (req.httpVersion !== '1.1') return false
  const offered = offeredProtocols(req)
  if (offered.some(isWebSocket)) return req.method === 'GET'
  return offered.some(protocol => table.all.some(target => allowsUpgrade(target, protocol)))
}

const isWebSocket = (protocol: string): boolean => protocol.toLowerCase() === 'websocket'

/** The head of `req` as it came, without Upgrade and what goes with it. */
export function headWithoutUpgrade(req: IncomingMessage): Buffer {
  const { rawHeaders } = req
  let text = `${req.method!} ${req.url!} HTTP/${req.httpVersion}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (name !== 'upgrade' && name !== 'http2-settings') text += `${rawHeaders[i]!}: ${rawHeaders[i + 1]!}\r\n`
  }
  return Buffer.from(`${text}\r\n`, 'latin1')
}

/**
 * A request of HTTP/1.1 that asks to switch protocols. node:http has let go of its socket, so the response object is put on it by hand.
 * Any other answer than 101 is the last on the connection: what the client sent behind its request was meant for the other protocol, or
 * was another request, and the client learns from `Connection: close` that it was not looked at (RFC 9112 §9.6).
 */
export class Http1UpgradeCall extends Http1EdgeRequest {
  readonly #early: EarlyBytes
  #hasSwitched = false
  readonly #onDrain = guarded(this.fail, () => void this.res.emit('drain'))

  /** @param early  reads the socket until the answer is known */
  constructor(peer: Peer, req: IncomingMessage, early: EarlyBytes) {
    const res = new ServerResponse(req)
    super(peer, req, res, offeredProtocols(req))
    this.#early = early
    const { socket } = req
    res.shouldKeepAlive = false
    res.assignSocket(socket)
    socket.on('drain', this.#onDrain)
    res.once(
      'finish',
      guarded(this.fail, () => {
        res.detachSocket(socket)
        early.take()
        // What still comes is thrown away: unread, it would make the kernel reset the connection, and the answer could go with it.
        socket.resume()
        endLingering(socket)
        res.emit('close')
      }),
    )
  }

  override get isReceived(): boolean {
    return true // admission lets no body through
  }

  override get hasHead(): boolean {
    return this.#hasSwitched || super.hasHead
  }

  override get status(): number {
    return this.#hasSwitched ? 101 : super.status
  }

  override discardUpload(): void {
    // There is none.
  }

  switchProtocols(upgrade: string, { reason, fields }: Pick<WritableHead, 'reason' | 'fields'>): SwitchedClient {
    const { socket } = this.req
    this.#hasSwitched = true
    this.events = undefined
    this.res.detachSocket(socket)
    socket.off('drain', this.#onDrain)
    let text = `HTTP/1.1 101 ${reason}\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
    for (let i = 0; i < fields.length; i += 2) text += `${fields[i]!}: ${fields[i + 1]!}\r\n`
    const head = this.#early.take()
    socket.write(`${text}\r\n`, 'latin1')
    return { socket, head }
  }
}
