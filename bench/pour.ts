import type { Socket } from 'node:net'

/** What is sent when the content does not matter: 64 KiB. */
export const CHUNK = Buffer.alloc(65_536, 'socket-gateway ')

/** Writes `bytes` bytes as fast as the socket takes them, then ends this half. */
export const pour = (socket: Socket, bytes: number): void => {
  let left = bytes
  const more = (): void => {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
      left -= chunk.length
      if (!socket.write(chunk) && left > 0) return void socket.once('drain', more)
    }
    socket.end()
  }
  more()
}
