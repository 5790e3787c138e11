import type { IncomingMessage } from 'node:http'

/**
 * Pauses a message of node:http. Its parser goes on to the end of what was read from the socket, and keeps an object for each chunk of
 * the body: ten thousand of one byte weigh a megabyte. So the rest of that read is delivered once more, as one piece.
 */
export function pauseMessage(message: IncomingMessage): void {
  message.pause()
  setImmediate(() => {
    if (!message.isPaused() || message.readableLength === 0) return
    // Reading would make the socket read on. It has to when the message does, and that believes to be reading already.
    message._read = () => {
      message.once('resume', () => message._read(0))
    }
    try {
      message.read()
    } finally {
      delete (message as { _read?: unknown })._read
    }
  })
}
