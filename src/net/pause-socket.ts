import { Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'

/** The parts of a socket that node:http uses in the same way, as long as nobody else reads from it. */
interface Reading {
  readonly _handle?: { reading?: boolean; readStop?: () => number } | null
  _read?: (size: number) => void
}

/**
 * Pauses a socket whose reader stands still, and stops reading now. A stream that is only paused reads on until it holds as much as its
 * mark, and one read of bulk, 64 KiB, is a multiple of that: hundreds of them weigh megabytes. `resumeSocket` is its inverse.
 */
export function pauseSocket(socket: Duplex): void {
  socket.pause()
  if (!(socket instanceof Socket)) return
  readNothingAhead(socket)
  const handle = (socket as Reading)._handle
  if (handle?.reading !== true) return
  handle.reading = false
  handle.readStop?.()
}

/** Reads on. */
export function resumeSocket(socket: Duplex): void {
  socket.resume()
  restartSocket(socket)
}

/** Makes the handle of a socket that reads on do so as well: its stream may believe that it does. */
export function restartSocket(socket: Duplex): void {
  if (socket instanceof Socket && socket.readable && !socket.connecting) (socket as Reading)._read?.(0)
}

/** Lets a stream hold nothing while it is paused. */
export function readNothingAhead(stream: Readable): void {
  const state = (stream as { _readableState?: { highWaterMark: number } })._readableState
  if (state !== undefined) state.highWaterMark = 0
}
