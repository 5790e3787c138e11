import type { IncomingMessage } from 'node:http'
import { guarded } from './guard.ts'
import { pauseSocket, readNothingAhead, restartSocket } from './pause-socket.ts'

/** A body that has more than this, and is not complete, is bulk, bytes. */
const BULK_BYTES = 16_384

/**
 * Pauses a message of node:http. Its parser goes on to the end of what was read from the socket, and keeps an object for each chunk of
 * the body: ten thousand of one byte weigh a megabyte. So the rest of that read is delivered once more, as one piece. Behind bulk nothing
 * more is read at all; what is less is read ahead, since that is how a client is seen to leave.
 * @param bytes  of its body that have come
 */
export function pauseMessage(message: IncomingMessage, bytes = 0): void {
  const { socket } = message
  const isBulk = bytes > BULK_BYTES && !message.complete
  message.pause()
  if (isBulk) {
    readNothingAhead(message)
    pauseSocket(socket)
  } else socket.pause()
  const cut = (): void => void socket.destroy()
  const resumed = (): void => {
    message._read(0)
    if (isBulk) restartSocket(socket)
  }
  message.once('resume', guarded(cut, resumed))
  const again = (): void => {
    if (!message.isPaused() || message.readableLength === 0) return
    // Reading would make the socket read on.
    message._read = () => undefined
    try {
      message.read()
    } finally {
      delete (message as { _read?: unknown })._read
    }
  }
  setImmediate(guarded(cut, again))
}
