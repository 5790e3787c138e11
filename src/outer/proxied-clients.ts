import type { Socket } from 'node:net'
import { GatewayError } from '../errors.ts'
import { unmapped } from '../http/client-facts.ts'
import { parseProxyHeader, type ProxyHeader } from './proxy-header.ts'

/** A proxy sends its header at once. */
const HEADER_MS = 10_000

/** What acceptance needs of its surroundings. */
export interface ProxiedClientsOptions {
  /** Is this the address of a proxy that is believed? */
  readonly isTrusted: (address: string) => boolean
  /** A connection was closed because of its header, or for want of one. */
  readonly onRefused: (address: string, reason: string) => void
}

/**
 * Clients behind a proxy that speaks the PROXY protocol (P3): the header comes before everything else, TLS included, on every connection,
 * and only from proxies that are trusted. Who the client is stands here as long as the connection lives, by the address and port of the proxy's
 * end: whatever is built upon the socket has those in common with it.
 */
export class ProxiedClients {
  readonly #headers = new Map<string, ProxyHeader>()

  constructor(private readonly options: ProxiedClientsOptions) {}

  /** What the proxy said of the client of `socket`, or of what carries it. */
  of(socket: { readonly remoteAddress?: string | undefined; readonly remotePort?: number | undefined }): ProxyHeader | undefined {
    return this.#headers.get(keyOf(socket))
  }

  /** Reads the header of a new connection, then calls `next` with the socket, whose bytes begin behind it. */
  accept(socket: Socket, next: (socket: Socket) => void): void {
    const address = unmapped(socket.remoteAddress ?? '')
    const refuse = (reason: string): void => {
      stop()
      this.options.onRefused(address, reason)
      socket.destroy()
    }
    if (!this.options.isTrusted(address)) return refuse('not a trusted proxy (--trust-proxy)')
    let bytes: Buffer = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      let header: ProxyHeader | 'more'
      try {
        header = parseProxyHeader(bytes)
      } catch (thrown) {
        return refuse(thrown instanceof GatewayError ? thrown.message : 'an invalid header')
      }
      if (header !== 'more') this.#accepted(socket, header, () => (stop(), next(socket)), bytes)
    }
    const stop = (): void => {
      clearTimeout(timer)
      socket.off('data', onData)
      socket.off('error', leave)
      socket.off('end', leave)
    }
    const leave = (): void => {
      stop()
      socket.destroy()
    }
    const timer = setTimeout(() => refuse(`no header within ${HEADER_MS / 1000} s`), HEADER_MS)
    timer.unref()
    socket.on('data', onData)
    socket.on('error', leave)
    socket.on('end', leave)
  }

  #accepted(socket: Socket, header: ProxyHeader, next: () => void, bytes: Buffer): void {
    socket.pause()
    const key = keyOf(socket)
    this.#headers.set(key, header)
    socket.once('close', () => this.#headers.delete(key))
    if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length))
    next()
    socket.resume()
  }
}

const keyOf = ({ remoteAddress = '', remotePort = 0 }: { remoteAddress?: string | undefined; remotePort?: number | undefined }): string =>
  `${remoteAddress} ${remotePort}`
