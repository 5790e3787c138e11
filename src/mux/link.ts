/** Longest message that a link carries, bytes: a longer one ends the link at the side that receives it. */
export const MAX_MESSAGE_BYTES = 1_048_576

/** Bytes before a message that a link may write to: the longest head of a frame of a websocket. */
export const HEAD_ROOM_BYTES = 14

/**
 * The carrier that the mux needs: one authenticated, ordered, message-preserving connection. Implemented over socket.io and in memory (room
 * `link`).
 */
export interface Link {
  /**
   * Sends one message of at most MAX_MESSAGE_BYTES; never throws, a failure shows as `onClose`. `message` must not change
   * until `bufferedBytes` is zero.
   * @param hasRoom  the link may write to the HEAD_ROOM_BYTES before it, so that a head of its own and the message leave as one piece
   */
  send(message: Buffer, hasRoom?: boolean): void
  /** Bytes handed to `send` that the operating system has not taken yet. */
  readonly bufferedBytes: number
  /** Bytes of the peer that have arrived since the start, those of a message that is not complete yet included. */
  readonly receivedBytes: number
  /** Closes after what was sent has left. Idempotent. */
  close(): void
  /** Closes at once; what was not sent is lost. Idempotent. */
  destroy(): void
  /** One whole message of the peer. */
  onMessage: (message: Buffer) => void
  /** `bufferedBytes` was above zero after a `send` and has become zero since. Never missing: senders wait for it. */
  onDrain: () => void
  /** The link has ended, for whatever reason; called once, also after `close` and `destroy`. */
  onClose: (reason: string) => void
}
