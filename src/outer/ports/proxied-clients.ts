import type { Socket } from 'node:net'
import { GatewayError } from '../../errors.ts'
import { unmapped } from '../../address/mapped.ts'
import type { Log } from '../../telemetry/log.ts'
import { mutedText, Repeats } from '../../telemetry/repeats.ts'
import { guarded } from '../../net/guard.ts'
import { parseProxyHeader, type ProxyHeader } from '../../net/read-proxy-header.ts'

/** A proxy sends its header at once. */
const HEADER_MS = 10_000

/** The shortest time between two log lines of the same refusal of the same address, milliseconds. */
const REFUSAL_PERIOD_MS = 60_000

/**
 * Clients behind a proxy that speaks the PROXY protocol: the header comes before everything else, TLS included, on every connection,
 * and only from proxies that are trusted.
 */
export class ProxiedClients {
  readonly #refusals: Repeats

  /**
   * @param isTrusted  is this the address of a proxy that is believed
   * @param clock      milliseconds, rising
   */
  constructor(
    private readonly isTrusted: (address: string) => boolean,
    private readonly log: Log,
    clock: () => number,
  ) {
    this.#refusals = new Repeats(REFUSAL_PERIOD_MS, clock)
  }

  /** Reads the header of a new connection, whose bytes then begin behind it, and calls `next` with the address of the client. */
  accept(socket: Socket, next: (address: string) => void): void {
    const address = unmapped(socket.remoteAddress ?? '')
    const refuse = (reason: string): void => {
      stop()
      socket.destroy()
      const muted = this.#refusals.take(`${address} ${reason}`)
      if (muted === undefined) return
      this.log.warn({ address, reason, ...(muted > 0 && { muted }) }, `closed a connection from ${address}: ${reason}${mutedText(muted)}`)
    }
    let bytes: Buffer = Buffer.alloc(0)
    const fail = (thrown: unknown): void => {
      socket.destroy()
      this.log.error({ err: thrown }, 'internal fault while reading the header of a proxy')
    }
    const onData = guarded(fail, (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      let header: ProxyHeader | 'more'
      try {
        header = parseProxyHeader(bytes)
      } catch (thrown) {
        return refuse(thrown instanceof GatewayError ? thrown.message : 'an invalid header')
      }
      if (header === 'more') return
      stop()
      socket.pause()
      if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length))
      // A proxy that speaks for itself is its own client.
      next(header.source?.address ?? address)
      socket.resume()
    })
    const stop = (): void => {
      clearTimeout(timer)
      socket.off('data', onData)
      socket.off('error', left)
      socket.off('end', left)
    }
    const left = guarded(fail, () => {
      stop()
      socket.destroy()
    })
    const timer = setTimeout(() => refuse(`no header within ${HEADER_MS / 1000} s`), HEADER_MS)
    timer.unref()
    if (!this.isTrusted(address)) return refuse('not a proxy that is trusted (--proxy-protocol, --trust-proxy)')
    socket.on('data', onData)
    socket.on('error', left)
    socket.on('end', left)
  }
}
