import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { guarded } from './guard.ts'

/** After an early answer the rest of the upload is thrown away up to this many bytes; what comes then is left in the kernel … */
const MAX_DISCARDED_BYTES = 1_048_576
/** … and for this long, milliseconds. Closing at once would reset the connection and could take the answer with it (RFC 9112 §9.6). */
const LINGER_MS = 1_000

/** Ends our half; the client may go on for a second, so that it gets to read the answer. */
export function endLingering(socket: Duplex): void {
  socket.end()
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}

/**
 * Ends a connection so that the peer sees something is missing: by a reset, or by TLS without its closing alert (RFC 8446 §6.1).
 *
 * Nothing is missing, and there is no reset, between the call of the system that ends our half and its outcome: the kernel has every byte and the end
 * behind them. Libuv refuses a reset then (EINVAL), after which Node.js has forgotten the socket and never closes it.
 */
export function endAbruptly(socket: Duplex): void {
  if (!(socket instanceof Socket) || socket instanceof TLSSocket || isEnding(socket)) return void socket.destroy()
  // A reset of a socket that is still connecting would wait for the connection.
  if (socket.connecting || socket.destroyed) return void socket.destroy()
  try {
    // eslint-disable-next-line no-restricted-properties -- here it cannot
    socket.resetAndDestroy()
  } catch {
    // Only TCP has one.
    socket.destroy()
  }
}

const isEnding = (socket: Socket): boolean => socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished

/** Throws away the rest of an upload whose answer is complete; the connection is closed once the answer has left. */
export function discardUpload(req: IncomingMessage): void {
  const { socket } = req
  req.removeAllListeners('data')
  let discarded = 0
  const discard = (chunk: Buffer): void => {
    discarded += chunk.length
    if (discarded > MAX_DISCARDED_BYTES) req.pause()
  }
  req.on(
    'data',
    guarded(() => socket.destroy(), discard),
  )
  req.resume()
  if (!req.complete) socket.destroySoon = () => endLingering(socket)
}
