import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { guarded, type Fail } from './guard.ts'

/** The parts of a socket that read, and that close it when both halves are over. */
interface Reading {
  readonly _handle?: { reading?: boolean; readStart?: () => number } | null
  readonly _readableState?: { autoDestroy: boolean }
}

/**
 * Calls `ended` once it is certain that the other end has ended its half. Where it has reset the connection instead, the socket fails, and nobody is called.
 *
 * Libuv before 1.52 (Node.js 20 and 22) takes a connection for ended when a read brings less than was asked for and the kernel says in the same moment that
 * nothing more comes. That is so behind a reset as well, whose error it then never asks for (libuv#4997): what was cut would look whole. So it is read from
 * once more; newer releases find the same end again.
 *
 * To be asked in an event 'end'.
 */
export function whenTrulyEnded(socket: Duplex, fail: Fail, ended: () => void): void {
  const { _handle: handle, _readableState: state } = socket as Reading
  if (!(socket instanceof Socket) || state?.autoDestroy !== true || typeof handle?.readStart !== 'function') return ended()
  let isTold = false
  const tell = (): void => {
    if (isTold) return
    isTold = true
    ended()
  }
  // Node.js would end the other half now, or close the socket, before anybody has looked.
  const isHalfOpen = socket.allowHalfOpen
  socket.allowHalfOpen = true
  state.autoDestroy = false
  // A socket that stood still and goes on meanwhile would start it once more, and take the refusal for a fault of the connection.
  handle.reading = true
  handle.readStart()
  const closed = (hadError: boolean): void => {
    if (!hadError) tell()
  }
  socket.prependOnceListener('close', guarded(fail, closed))
  const look = guarded(fail, () => {
    if (socket.destroyed) return
    tell()
    state.autoDestroy = true
    if (socket.writableFinished) socket.destroy()
    else if (!isHalfOpen) socket.end()
  })
  // What the next turn of the event loop reads is known behind it.
  setImmediate(() => setImmediate(look))
}
