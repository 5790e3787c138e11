import { isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { loadTransports, type WebSocketTransport } from './socket-io-client.ts'
import { connectThrough } from '../net/http-proxy.ts'
import { zeroMask } from './unmasked-transport.ts'

/** Options of a link through a proxy. */
export interface ProxiedOptions {
  readonly proxy: URL
  /** ws:, wss:, http: or https:. */
  readonly url: URL
  readonly ca: string | undefined
  /** PEM of a client certificate, with its key. */
  readonly certificate: string | undefined
  readonly key: string | undefined
  /** Gives up while the proxy has not answered. */
  readonly signal: AbortSignal
}

type Connected = (error: Error | null, socket?: Socket) => void

/**
 * engine.io's websocket transport over a way that a proxy has opened with CONNECT, for ws: as well: what is no TLS would otherwise be read by
 * the proxy, which need not know WebSockets.
 */
export function proxiedTransport({ proxy, url, ca, certificate, key, signal }: ProxiedOptions): WebSocketTransport {
  const isTls = url.protocol === 'wss:' || url.protocol === 'https:'
  const authority = `${url.hostname}:${url.port || (isTls ? 443 : 80)}`
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const tls = {
    host,
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && key !== undefined && { cert: certificate, key }),
    ALPNProtocols: ['http/1.1'],
  }
  const createConnection = (_options: unknown, connected: Connected): undefined => {
    const done: Connected = (error, socket) => {
      if (socket === undefined) connected(error)
      else connected(null, isTls ? connectTls({ socket, ...tls }) : socket)
    }
    connectThrough(proxy, authority, done, signal)
    return undefined
  }
  return class extends loadTransports().NodeWebSocket {
    override createSocket(uri: string, protocols: string | string[] | undefined, options: Record<string, unknown>): unknown {
      // An agent, engine.io's own too, would not look at createConnection.
      const own = { agent: undefined, createConnection, ...(isTls && { generateMask: zeroMask }) }
      return super.createSocket(uri, protocols, { ...options, ...own })
    }
  }
}
