/** A session whose peer is the test itself, frame by frame. */
import { MemoryLink } from '../../src/link/memory-link.ts'
import { decodeBatch, encodeFrame, FrameType } from '../../src/wire/frame.ts'
import { startEnd } from './ends.ts'

/** A session whose peer is this test, frame by frame. */
export const startAgainst = (options: Parameters<typeof startEnd>[2] = {}, role: 'outer' | 'inner' = 'inner') => {
  const [link, peer] = MemoryLink.pair()
  const frames: { type: number; flags: number; stream: number; payload: Buffer }[] = []
  const messages: Buffer[] = []
  peer.onMessage = message => {
    messages.push(message)
    decodeBatch(message, (type, flags, stream, payload) => frames.push({ type, flags, stream, payload }))
  }
  const end = startEnd(link, role, options)
  return {
    end,
    link,
    peer,
    frames,
    messages,
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
