import type { Socket } from 'node:net'

/** Memory that one read of a socket fills at most, bytes: as much as Node.js would take. */
export const READ_BYTES = 65_536

/** The parts of a socket that Node.js sets itself for the option `onread` of `net.connect`: the same from Node.js 18 to 26. */
interface Handle {
  useUserBuffer?(buffer: Uint8Array): void
}

/**
 * Lets a plain socket that was accepted read into `buffer`, which many may share, as `onread` does for one that is connected: Node.js
 * allocates 64 KiB for each read otherwise. What comes while it is paused, or is not wanted, goes the usual way, as a copy.
 * @param onBytes  gets a part of `buffer` that changes after the call; false: not wanted any more
 * @returns false when it is one of TLS or this Node.js does it in another way: everything comes by the event `data`
 */
export function readInto(socket: Socket, buffer: Buffer, onBytes: (bytes: Buffer) => boolean): boolean {
  const [own, callback] = fieldsOf(socket)
  const { _handle: handle, encrypted } = socket as { _handle?: Handle | null; encrypted?: boolean }
  if (encrypted === true || own === undefined || callback === undefined || typeof handle?.useUserBuffer !== 'function') return false
  const fields = socket as unknown as Record<symbol, unknown>
  fields[own] = buffer
  fields[callback] = (length: number): boolean => {
    const bytes = buffer.subarray(0, length)
    return (!socket.isPaused() && onBytes(bytes)) || socket.push(Buffer.from(bytes))
  }
  handle.useUserBuffer(buffer)
  return true
}

const fieldsOf = (socket: Socket): (symbol | undefined)[] => {
  const symbols = Object.getOwnPropertySymbols(socket)
  return ['kBuffer', 'kBufferCb'].map(name => symbols.find(({ description }) => description === name))
}
