/**
 * The life of a stream: open → half-closed (local | remote) → closed. Two bits, one function; a RESET from either side closes.
 *
 *                     sent END                         received END
 *   OPEN ──────────▶ LOCAL_CLOSED ─── received END ──▶ CLOSED
 *     └── received END ─▶ REMOTE_CLOSED ── sent END ──▶ CLOSED
 */
import { FrameType } from '../wire/frame.ts'

/** States; the bits say which half has ended. */
export const StreamState = { OPEN: 0, LOCAL_CLOSED: 1, REMOTE_CLOSED: 2, CLOSED: 3 } as const
/** One of the states. */
export type StreamStateValue = (typeof StreamState)[keyof typeof StreamState]
/** The sender of a frame: this side or the peer. */
export type Direction = 'sent' | 'received'

/**
 * The state after a frame, or undefined when the frame is not allowed in `state`.
 * @param type  a FrameType that names a stream
 * @param end   true when the frame ends its sender's half
 */
export function step(state: StreamStateValue, type: number, end: boolean, direction: Direction): StreamStateValue | undefined {
  if (type === FrameType.RESET) return StreamState.CLOSED
  if (type === FrameType.CREDIT) return state
  const half = direction === 'sent' ? StreamState.LOCAL_CLOSED : StreamState.REMOTE_CLOSED
  if ((state & half) !== 0) return undefined
  return (end ? state | half : state) as StreamStateValue
}
