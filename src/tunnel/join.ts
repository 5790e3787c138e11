import { type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { messageOf } from '../errors.ts'
import { guarded, type Fail } from '../net/guard.ts'
import { endAbruptly } from '../net/linger.ts'
import { whenTrulyEnded } from '../net/true-end.ts'
import type { WebSocketStream } from './web-socket-stream.ts'
import { CloseCode } from './wire.ts'

/** A peer that vanished without a word is noticed by the kernel: first probe after this silence, milliseconds. */
const KEEP_ALIVE_MS = 60_000
/** Time for the other half after an end that ends both, milliseconds: closing at once would reset what is under way. */
const LINGER_MS = 5_000

/** The end of a tunnel, and its reason. */
export interface TunnelEnd {
  /** Undefined after a clean end. */
  readonly error: Error | undefined
  /** Bytes that came out of the tunnel. */
  readonly bytesFromTunnel: number
  /** Bytes that went into the tunnel. */
  readonly bytesToTunnel: number
}

/**
 * Carries bytes between a tunnel and a TCP connection until both are closed: each half ends on its own where the tunnel can do that, an
 * abort of either is an abort of the other, and each waits for the other.
 */
export function join(tunnel: WebSocketStream, socket: Socket): Promise<TunnelEnd> {
  let error: Error | undefined
  let bytesFromTunnel = 0
  let bytesToTunnel = 0
  socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS).setTimeout(0)
  const tunnelLost = (thrown: Error): void => {
    error ??= thrown
    // A cut must not look like an end.
    endAbruptly(socket)
  }
  const socketLost = (thrown: Error): void => {
    error ??= thrown
    tunnel.abort(CloseCode.INTERNAL, `connection lost: ${messageOf(thrown)}`)
  }
  /** One of the events threw: both ends are cut. */
  const fail = (thrown: unknown): void => {
    error ??= thrown instanceof Error ? thrown : new Error(messageOf(thrown))
    socket.destroy()
    tunnel.abort(CloseCode.INTERNAL, 'internal fault')
  }
  pump(tunnel, socket, bytes => (bytesFromTunnel += bytes), fail)
  pump(socket, tunnel, bytes => (bytesToTunnel += bytes), fail)
  tunnel.on('error', guarded(fail, tunnelLost))
  socket.on('error', guarded(fail, socketLost))
  let timer: NodeJS.Timeout | undefined
  if (!tunnel.halfClose) {
    // sokken ends both directions at once; what the far end still sends has nowhere to go.
    const linger = (): void => {
      timer = setTimeout(() => socket.destroy(), LINGER_MS)
    }
    tunnel.once('end', guarded(fail, linger))
  }
  return new Promise(resolve => {
    const closed = (): void => {
      clearTimeout(timer)
      if (!tunnel.halfClose && tunnel.readableEnded) tunnel.end()
      else if (!tunnel.writableEnded) tunnel.abort(CloseCode.INTERNAL, 'connection closed')
      void tunnel.gone.then(() => resolve({ error, bytesFromTunnel, bytesToTunnel }))
    }
    socket.once('close', guarded(fail, closed))
  })
}

/** `pipe` without its listeners for faults, and with a count. */
function pump(from: Duplex, to: Duplex, count: (bytes: number) => void, fail: Fail): void {
  const read = (chunk: Buffer): void => {
    count(chunk.length)
    if (!to.writable) return
    if (!to.write(chunk)) from.pause()
  }
  const end = (): void => whenTrulyEnded(from, fail, () => void to.end())
  from.on('data', guarded(fail, read))
  from.on('end', guarded(fail, end))
  to.on('drain', () => from.resume())
  from.resume() // it may have been paused since it was accepted
}
