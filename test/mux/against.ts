/** A session whose peer is the test itself, frame by frame. */
import { MemoryLink } from '../../src/link/memory-link.ts'
import { decodeBatch, encodeFrame, FrameType } from '../../src/wire/frame.ts'
import { startEnd } from './ends.ts'

/** True for a PING that marks a place in the data: unlike those of liveness it carries a negative number. */
const isMark = (type: number, payload: Buffer): boolean => type === FrameType.PING && payload.readDoubleBE(0) < 0

/** A session whose peer is this test, frame by frame. Marks are answered at once, unless told otherwise, and are not among `frames`. */
export const startAgainst = (
  { answersMarks = true, ...options }: NonNullable<Parameters<typeof startEnd>[2]> & { readonly answersMarks?: boolean } = {},
  role: 'outer' | 'inner' = 'inner',
) => {
  const [link, peer] = MemoryLink.pair()
  const frames: { type: number; flags: number; stream: number; payload: Buffer }[] = []
  const messages: Buffer[] = []
  const marks: Buffer[] = []
  peer.onMessage = message => {
    messages.push(message)
    decodeBatch(message, (type, flags, stream, payload) => {
      if (!isMark(type, payload)) return void frames.push({ type, flags, stream, payload: Buffer.from(payload) })
      marks.push(Buffer.from(payload))
      if (answersMarks) peer.send(encodeFrame(FrameType.PONG, 0, 0, Buffer.from(payload)))
    })
  }
  const end = startEnd(link, role, options)
  return {
    end,
    link,
    peer,
    frames,
    messages,
    marks,
    framesOf: (type: number) => frames.filter(frame => frame.type === type),
    send: (type: number, flags: number, stream: number, payload?: Uint8Array) => peer.send(encodeFrame(type, flags, stream, payload)),
  }
}

/** Bytes that the DATA frames among `frames` carry. */
export const dataBytes = (frames: readonly { readonly type: number; readonly payload: Buffer }[]): number =>
  frames.reduce((sum, { type, payload }) => (type === FrameType.DATA ? sum + payload.length : sum), 0)

/** A clock that stands still until it is moved. */
export const manualClock = () => {
  const clock = { nowMs: 1_000, read: () => clock.nowMs }
  return clock
}
