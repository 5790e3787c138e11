import { describe, expect, test } from '@jest/globals'
import { encodeCredit } from '../../src/wire/control.ts'
import { Flag, FrameType } from '../../src/wire/frame.ts'
import { pattern } from '../link/pair.ts'
import { until } from '../support/wait.ts'
import { dataBytes, manualClock, startAgainst } from './against.ts'
import { openStream, pump, turns } from './ends.ts'

describe('the order of what waits', () => {
  test('control overtakes data: PONG, RESET and the head of another stream leave before a megabyte that was queued first', async () => {
    const { end, send, frames, link } = startAgainst()
    for (const id of [1, 3, 5]) send(FrameType.OPEN, 0, id)
    await until(() => end.accepted.length === 3)
    send(FrameType.CREDIT, 0, 1, encodeCredit(10_000_000))
    await until(() => end.accepted[0]!.credits === 1)
    // The link takes nothing, so everything from here on waits in the session's own queues.
    link.isHeld = true
    end.accepted[0]!.stream!.write(pattern(2_000_000, 1))
    await turns(20)
    const heldBytes = link.bufferedBytes
    expect(heldBytes).toBeLessThan(600_000)
    frames.length = 0
    send(FrameType.PING, 0, 0, Buffer.from('pingping'))
    end.accepted[1]!.stream!.reset('CANCELLED')
    end.accepted[2]!.stream!.sendHead(Buffer.from('200'))
    await turns(20)
    expect(link.bufferedBytes).toBe(heldBytes)
    link.release()
    await until(() => dataBytes(frames) >= 1_900_000)
    const place = (type: number): number => frames.findIndex(frame => frame.type === type)
    const control = [FrameType.PONG, FrameType.RESET, FrameType.RESPONSE].map(place)
    expect(Math.min(...control)).toBeGreaterThanOrEqual(0)
    // All that is behind them was queued before them.
    expect(dataBytes(frames.slice(Math.max(...control)))).toBeGreaterThan(1_000_000)
    expect(dataBytes(frames.slice(0, Math.max(...control)))).toBeLessThanOrEqual(heldBytes)
  })

  test('a small stream finishes while a bulk stream is in progress', async () => {
    const { end, frames } = startAgainst({ peerLimits: { streams: 1_024, windowBytes: 16_777_216 } }, 'outer')
    const bulk = openStream(end)
    pump(bulk.recorder, pattern(16_000_000, 1))
    await until(() => dataBytes(frames) > 1_000_000)
    const small = openStream(end)
    pump(small.recorder, pattern(50_000, 2))
    const endOf = (id: number): number => frames.findIndex(({ stream, flags }) => stream === id && (flags & Flag.END) !== 0)
    await until(() => endOf(bulk.stream.id) > 0)
    expect(endOf(small.stream.id)).toBeGreaterThan(0)
    expect(dataBytes(frames.slice(endOf(small.stream.id)))).toBeGreaterThan(1_000_000)
  })

  test('the first 64 KiB of a stream pass a hundred bulk streams, which still get their share', async () => {
    const { end, frames, link } = startAgainst({ peerLimits: { streams: 1_024, windowBytes: 16_777_216 } }, 'outer')
    const bulks = Array.from({ length: 100 }, () => openStream(end))
    for (const { recorder } of bulks) pump(recorder, pattern(131_072, 1), { ends: false })
    await until(() => dataBytes(frames) === 13_107_200)
    link.isHeld = true
    for (const { stream } of bulks) stream.write(pattern(131_072, 2))
    await until(() => link.bufferedBytes > 100_000)
    await turns()
    const before = link.bufferedBytes
    const small = openStream(end)
    pump(small.recorder, pattern(60_000, 3))
    await turns()
    expect(link.bufferedBytes).toBe(before)
    frames.length = 0
    link.release()
    const isLast = ({ stream, flags }: { stream: number; flags: number }): boolean => stream === small.stream.id && (flags & Flag.END) !== 0
    await until(() => frames.some(isLast))
    const ahead = frames.slice(0, frames.findIndex(isLast)).filter(({ stream }) => stream !== small.stream.id)
    // What the link held already, and the share of the bulk streams in the one message of the small one: not a turn of each (1.6 MB).
    expect(dataBytes(ahead)).toBeLessThan(before + 131_072)
    await until(() => dataBytes(frames) > 10_000_000)
  })

  test('streams of equal rank get equal shares', async () => {
    // Messages are as long as the measured rate allows, and what is under way at a moment depends on when that is: here nothing is measured.
    const limits = { streams: 1_024, windowBytes: 16_777_216 }
    const { end, frames } = startAgainst({ peerLimits: limits, clock: manualClock().read }, 'outer')
    const streams = Array.from({ length: 8 }, () => openStream(end))
    for (const { recorder } of streams) pump(recorder, pattern(2_000_000, 1))
    const total = (id: number, among = frames): number => dataBytes(among.filter(({ stream }) => stream === id))
    await until(() => total(1) > 1_000_000)
    const halfWay = frames.findIndex((_frame, i) => total(1, frames.slice(0, i + 1)) > 1_000_000)
    const shares = streams.map(({ stream }) => total(stream.id, frames.slice(0, halfWay + 1)))
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(262_144)
  })

  test('two reads of a socket are one message: no few bytes are left that the heads of frames have pushed out of it', async () => {
    const limits = { streams: 1_024, windowBytes: 16_777_216 }
    const { end, framesOf, messages } = startAgainst({ peerLimits: limits, firstFlightBytes: 33_554_432 }, 'outer')
    const { stream } = openStream(end)
    await turns()
    const before = messages.length
    stream.write(pattern(65_536, 1))
    stream.write(pattern(65_536, 2))
    await until(() => dataBytes(framesOf(FrameType.DATA)) === 131_072)
    expect(framesOf(FrameType.DATA).map(({ payload }) => payload.length)).toEqual([65_536, 65_536])
    expect(messages.slice(before).filter(({ length }) => length > 131_072)).toHaveLength(1)
  })
})
