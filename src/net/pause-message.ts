import type { IncomingMessage } from 'node:http'

/**
 * Pauses a message of node:http. Its parser goes on to the end of what was read from the socket, and keeps an object for each chunk of
 * the body: ten thousand of one byte weigh a megabyte. So the rest of that read is delivered once more, as one piece.
 */
export function pauseMessage(message: IncomingMessage): void {
  message.pause()
  setImmediate(() => {
    if (!message.isPaused() || message.readableLength === 0) return
    // As node:http does once its buffer is full, which it is not any more.
    message.socket.pause()
    message.once('resume', () => message._read(0))
    // Reading would make the socket read on.
    message._read = () => undefined
    try {
      message.read()
    } finally {
      delete (message as { _read?: unknown })._read
    }
  })
}
