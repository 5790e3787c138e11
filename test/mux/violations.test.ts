import { describe, expect, test } from '@jest/globals'
import { encodeCredit, encodeReset } from '../../src/wire/control.ts'
import { BatchWriter, encodeFrame, Flag, FrameType } from '../../src/wire/frame.ts'
import { until } from '../support/wait.ts'
import { manualClock, startAgainst } from './against.ts'
import { openStream, startPair } from './ends.ts'

const WINDOW = 65_536
const CODE_OF_REFUSED = 2

describe('frames that come late or never should', () => {
  test('late frames for a closed stream mean nothing', async () => {
    const { end, send, peer, frames } = startAgainst()
    send(FrameType.OPEN, Flag.END, 1)
    await until(() => end.accepted.length === 1)
    end.accepted[0]!.stream!.reset('CANCELLED')
    send(FrameType.DATA, 0, 1, Buffer.from('late'))
    send(FrameType.RESPONSE, 0, 1, Buffer.from('late'))
    send(FrameType.CREDIT, 0, 1, encodeCredit(5))
    send(FrameType.TRAILERS, Flag.END, 1)
    send(FrameType.RESET, 0, 1, encodeReset(4, ''))
    peer.send(encodeFrame(FrameType.PING, 0, 0, Buffer.alloc(8)))
    await until(() => frames.some(({ type }) => type === FrameType.PONG))
    expect([end.closed, end.accepted[0]!.receivedBytes]).toEqual([[], 0])
  })

  const fatal: readonly (readonly [string, () => Buffer])[] = [
    ['DATA for an id that was never opened', () => encodeFrame(FrameType.DATA, 0, 7, Buffer.from('x'))],
    ['DATA for an id of ours that was never opened', () => encodeFrame(FrameType.DATA, 0, 8, Buffer.from('x'))],
    ['DATA for stream 0', () => encodeFrame(FrameType.DATA, 0, 0, Buffer.from('x'))],
    ['CREDIT for an id that was never opened', () => encodeFrame(FrameType.CREDIT, 0, 7, encodeCredit(1))],
    ['RESET for an id that was never opened', () => encodeFrame(FrameType.RESET, 0, 7, encodeReset(4, ''))],
    ['RESPONSE for an id that was never opened', () => encodeFrame(FrameType.RESPONSE, 0, 7)],
    ['OPEN with an id of ours', () => encodeFrame(FrameType.OPEN, 0, 2)],
    ['OPEN with id 0', () => encodeFrame(FrameType.OPEN, 0, 0)],
    ['OPEN with an id used before', () => Buffer.concat([encodeFrame(FrameType.OPEN, 0, 3), encodeFrame(FrameType.OPEN, 0, 3)])],
    ['OPEN with a lower id than before', () => Buffer.concat([encodeFrame(FrameType.OPEN, 0, 3), encodeFrame(FrameType.OPEN, 0, 1)])],
    [
      'DATA after END',
      () => Buffer.concat([encodeFrame(FrameType.OPEN, Flag.END, 1), encodeFrame(FrameType.DATA, 0, 1, Buffer.from('x'))]),
    ],
    ['a RESET without a code', () => encodeFrame(FrameType.RESET, 0, 7, Buffer.alloc(3))],
    ['a CREDIT of 0', () => encodeFrame(FrameType.CREDIT, 0, 7, Buffer.alloc(4))],
    ['a PING of 7 bytes', () => encodeFrame(FrameType.PING, 0, 0, Buffer.alloc(7))],
    ['a PING on a stream', () => encodeFrame(FrameType.PING, 0, 1, Buffer.alloc(8))],
    ['a PONG of 9 bytes', () => encodeFrame(FrameType.PONG, 0, 0, Buffer.alloc(9))],
    ['a GOAWAY that is too short', () => encodeFrame(FrameType.GOAWAY, 0, 0, Buffer.alloc(7))],
    ['a frame of the handshake', () => encodeFrame(FrameType.HELLO, 0, 0, Buffer.from('{}'))],
    ['a frame of unknown type', () => encodeFrame(99, 0, 0)],
    ['an empty message', () => Buffer.alloc(0)],
    ['a message cut short', () => encodeFrame(FrameType.PING, 0, 0, Buffer.alloc(8)).subarray(0, 12)],
  ]
  test.each(fatal)('%s ends the session with PROTOCOL, and the peer is told', async (_name, message) => {
    const { end, peer, frames } = startAgainst()
    peer.send(message())
    await until(() => end.closed.length === 1 && frames.some(({ type }) => type === FrameType.GOAWAY))
    expect(end.closed[0]!.code).toBe('PROTOCOL')
    expect(frames.find(({ type }) => type === FrameType.GOAWAY)!.payload.readUInt32BE(4)).toBe(20)
    expect(end.faults).toEqual([])
  })

  test('a frame of unknown type that is marked as ignorable is ignored', async () => {
    const { end, send, frames } = startAgainst()
    send(99, Flag.IGNORABLE, 12_345, Buffer.from('from the future'))
    send(FrameType.PING, 0, 0, Buffer.alloc(8))
    await until(() => frames.some(({ type }) => type === FrameType.PONG))
    expect(end.closed).toEqual([])
  })
})

describe('limits of a session', () => {
  const floods: readonly (readonly [string, number, (peer: ReturnType<typeof startAgainst>, i: number) => void])[] = [
    ['empty DATA frames', 200, ({ send }) => send(FrameType.DATA, 0, 1)],
    ['PING frames', 10_000, ({ send }) => send(FrameType.PING, 0, 0, Buffer.alloc(8))],
    ['OPEN frames that had to be refused', 2_000, ({ send }, i) => send(FrameType.OPEN, 0, 2 * i + 101)],
  ]
  test.each(floods)('too many %s end the session with CALM, and not one less', async (words, burst, flood) => {
    const clock = manualClock()
    const against = startAgainst({ clock: clock.read, limits: { streams: 1, windowBytes: WINDOW } })
    against.send(FrameType.OPEN, 0, 1)
    for (let i = 0; i < burst; i++) flood(against, i)
    await until(() => against.peer.bufferedBytes === 0)
    expect(against.end.closed).toEqual([])
    flood(against, burst)
    await until(() => against.framesOf(FrameType.GOAWAY).length === 1)
    expect(against.end.closed[0]).toEqual({ code: 'CALM', reason: `too many ${words}` })
    expect(against.framesOf(FrameType.GOAWAY)[0]?.payload.readUInt32BE(4)).toBe(25)
  })

  test.each([
    ['OPEN frames', 100_000, FrameType.OPEN],
    ['RESET frames', 100_000, FrameType.RESET],
  ] as const)('too many %s end the session with CALM, far beyond what good faith reaches', async (words, burst, type) => {
    const clock = manualClock()
    const { end, peer } = startAgainst({ clock: clock.read })
    const reset = encodeReset(4, '')
    let id = 1
    let count = 0
    const send = (frames: number): void => {
      const writer = new BatchWriter()
      for (let i = 0; i < frames; i += 2) {
        writer.add(FrameType.OPEN, 0, id)
        if (i + 1 < frames) writer.add(FrameType.RESET, 0, id, reset)
        id += 2
      }
      peer.send(writer.take())
    }
    // An OPEN and its RESET each time: "rapid reset". Both limits are the same, so OPEN is the first to be exceeded; a RESET of a
    // closed stream counts as well.
    for (; count < burst; count += 32) send(64)
    await until(() => peer.bufferedBytes === 0)
    expect(end.closed).toEqual([])
    peer.send(type === FrameType.OPEN ? encodeFrame(FrameType.OPEN, 0, id) : encodeFrame(FrameType.RESET, 0, 1, reset))
    await until(() => end.closed.length === 1)
    expect(end.closed[0]).toEqual({ code: 'CALM', reason: `too many ${words}` })
  })

  test('a rate that stays below its limit goes on for ever', async () => {
    const clock = manualClock()
    const { end, peer } = startAgainst({ clock: clock.read })
    // 500 each 100 ms, five times as many as may come at once.
    for (let i = 0; i < 100; i++) {
      const writer = new BatchWriter()
      for (let ping = 0; ping < 500; ping++) writer.add(FrameType.PING, 0, 0, Buffer.alloc(8))
      peer.send(writer.take())
      await until(() => peer.bufferedBytes === 0)
      clock.nowMs += 100
    }
    expect(end.closed).toEqual([])
  })

  test('a peer that makes this side answer and does not read the answers is ended, not stored', async () => {
    const clock = manualClock()
    const { end, link, peer } = startAgainst({
      clock: clock.read,
      limits: { streams: 1, windowBytes: WINDOW },
      timing: { pingAfterMs: 10_000, deadAfterMs: 1_000_000 },
    })
    peer.send(encodeFrame(FrameType.OPEN, 0, 1))
    await until(() => end.accepted.length === 1)
    link.isHeld = true
    let id = 3
    // Below the rate of refusals, for more than a minute.
    for (let second = 0; second < 100 && end.closed.length === 0; second++) {
      clock.nowMs += 1_000
      for (let batch = 0; batch < 10; batch++) {
        const writer = new BatchWriter()
        for (let i = 0; i < 50; i++, id += 2) writer.add(FrameType.OPEN, 0, id)
        peer.send(writer.take())
      }
      await until(() => peer.bufferedBytes === 0)
    }
    expect(end.closed[0]?.code).toBe('CALM')
  })

  test('a stream beyond the peer limit is refused here, and by the peer for one that opens it nevertheless', async () => {
    const limits = { streams: 2, windowBytes: WINDOW }
    const { outer } = startPair({ outer: { peerLimits: limits }, inner: { limits } })
    openStream(outer)
    openStream(outer)
    expect(outer.session.hasRoom).toBe(false)
    expect(() => openStream(outer)).toThrow(expect.objectContaining({ code: 'REFUSED_STREAM' }))
    const { end, send, framesOf } = startAgainst({ limits })
    for (const id of [1, 3, 5]) send(FrameType.OPEN, 0, id)
    await until(() => framesOf(FrameType.RESET).length === 1)
    expect([framesOf(FrameType.RESET)[0]!.stream, framesOf(FrameType.RESET)[0]!.payload.readUInt32BE(0)]).toEqual([5, CODE_OF_REFUSED])
    expect([end.accepted.length, end.session.streamCount]).toEqual([2, 2])
  })
})
