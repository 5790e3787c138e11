/** Memory follows the bytes, never the pieces in which they come. */
import { describe, expect, test } from '@jest/globals'
import { ReplayBuffer } from '../../src/outer/exchange/replay-buffer.ts'
import { BatchWriter, Flag, FrameType, MAX_BATCH_FRAMES } from '../../src/wire/frame.ts'
import { pattern } from '../link/pair.ts'
import { until } from '../support/wait.ts'
import { startAgainst } from './against.ts'
import { openStream, pump, turns } from './ends.ts'

const WINDOW = 65_536

/** DATA frames of `size` bytes each for `stream`, as many as make `bytes`, in as few messages as can be. */
const crumbs = (stream: number, bytes: Buffer, size = 1, end = false): Buffer[] => {
  const messages: Buffer[] = []
  const writer = new BatchWriter()
  for (let at = 0; at < bytes.length; at += size) {
    const isLast = end && at + size >= bytes.length
    writer.add(FrameType.DATA, isLast ? Flag.END : 0, stream, bytes.subarray(at, at + size))
    if (writer.frames === MAX_BATCH_FRAMES) messages.push(writer.take())
  }
  if (writer.frames > 0) messages.push(writer.take())
  return messages
}

describe('a peer that sends its credit byte by byte', () => {
  test('to a reader that stands still: few pieces, and all bytes in order once it reads', async () => {
    const { end, peer, send } = startAgainst({ consumes: false }, 'inner')
    send(FrameType.OPEN, 0, 1, Buffer.from('crumbs'))
    const sent = pattern(WINDOW, 1)
    for (const message of crumbs(1, sent, 1, true).slice(0, -1)) peer.send(message)
    await until(() => end.accepted.length === 1)
    await turns(20)
    const [recorder] = end.accepted
    expect(recorder!.chunks.length).toBeLessThanOrEqual(64)
    expect(recorder!.ends).toBe(0)
    peer.send(crumbs(1, sent, 1, true).at(-1)!)
    await until(() => recorder!.ends === 1)
    expect(recorder!.chunks.length).toBeLessThan(100)
    expect(recorder!.bytes.equals(sent)).toBe(true)
  })

  test('to a reader that takes a byte at a time: nothing is lost, and it never holds many pieces', async () => {
    const { end, peer, send } = startAgainst({ consumes: false }, 'inner')
    send(FrameType.OPEN, 0, 1, Buffer.from('crumbs'))
    const sent = pattern(20_000, 2)
    for (const message of crumbs(1, sent)) peer.send(message)
    await until(() => end.accepted.length === 1)
    await turns(20)
    const [recorder] = end.accepted
    while (recorder!.heldBytes > 0) recorder!.consume(1)
    expect(recorder!.bytes.equals(sent)).toBe(true)
    expect(recorder!.chunks.length).toBeLessThan(200)
    // As if nothing had been: the next byte comes at once.
    send(FrameType.DATA, Flag.END, 1, Buffer.from('z'))
    await until(() => recorder!.ends === 1)
    expect(end.session.outstandingBytes).toBe(1)
  })

  test('and trailers or a large frame behind them: the order stays', async () => {
    const { end, peer, send } = startAgainst({ consumes: false }, 'inner')
    send(FrameType.OPEN, 0, 1, Buffer.from('crumbs'))
    const sent = pattern(30_000, 3)
    for (const message of crumbs(1, sent.subarray(0, 5_000))) peer.send(message)
    send(FrameType.DATA, 0, 1, sent.subarray(5_000))
    send(FrameType.TRAILERS, Flag.END, 1, Buffer.from('t'))
    await until(() => end.accepted[0]?.ends === 1)
    expect(end.accepted[0]!.bytes.equals(sent)).toBe(true)
    expect(end.accepted[0]!.trailers).toEqual(['t'])
  })

  test('and then resets: nothing more is told, nothing stays', async () => {
    const { end, peer, send } = startAgainst({ consumes: false }, 'inner')
    send(FrameType.OPEN, 0, 1, Buffer.from('crumbs'))
    for (const message of crumbs(1, pattern(5_000, 4))) peer.send(message)
    send(FrameType.RESET, 0, 1, Buffer.from([0, 0, 0, 4]))
    await until(() => end.accepted[0]?.resets.length === 1)
    expect(end.accepted[0]!.chunks.length).toBe(64)
    end.accepted[0]!.consume()
    expect([end.session.streamCount, end.session.outstandingBytes]).toEqual([0, 0])
  })

  test('a handler that throws at what was gathered ends its own stream alone', async () => {
    const { end, peer, send, framesOf } = startAgainst({ consumes: false }, 'inner')
    send(FrameType.OPEN, 0, 1, Buffer.from('crumbs'))
    for (const message of crumbs(1, pattern(5_000, 4))) peer.send(message)
    await until(() => end.accepted.length === 1)
    await turns(10)
    const [recorder] = end.accepted
    recorder!.onData = () => {
      throw new Error('a fault of the handler')
    }
    recorder!.consume(10)
    await until(() => framesOf(FrameType.RESET).length === 1)
    expect(recorder!.resets.map(({ code }) => code)).toEqual(['INTERNAL'])
    expect([end.closed, end.session.streamCount]).toEqual([[], 0])
  })
})

test('a writer without credit that writes byte by byte fills one frame, once there is credit', async () => {
  const { end, frames, send } = startAgainst({ peerLimits: { streams: 10, windowBytes: 1 } }, 'outer')
  const { stream } = openStream(end)
  const sent = pattern(10_000, 5)
  for (let i = 0; i < sent.length; i++) stream.write(sent.subarray(i, i + 1))
  stream.end()
  send(FrameType.CREDIT, 0, 1, Buffer.from([0, 1, 0, 0]))
  const data = (): Buffer[] => frames.filter(({ type }) => type === FrameType.DATA).map(({ payload }) => payload)
  await until(() => Buffer.concat(data()).length === sent.length)
  expect(Buffer.concat(data()).equals(sent)).toBe(true)
})

test('a part of a message that a reader holds does not hold the message', async () => {
  const { end, peer, send } = startAgainst({ consumes: false }, 'inner')
  const writer = new BatchWriter()
  for (let id = 1; id < 20; id += 2) send(FrameType.OPEN, 0, id, Buffer.from('part'))
  for (let id = 1; id < 20; id += 2) writer.add(FrameType.DATA, 0, id, pattern(id === 1 ? 40_000 : 20_000, id))
  peer.send(writer.take())
  await until(() => end.accepted.length === 10 && end.accepted.every(({ receivedBytes }) => receivedBytes > 0))
  for (const { chunks } of end.accepted) expect(chunks[0]!.buffer.byteLength).toBeLessThan(chunks[0]!.length * 2.5)
})

describe('an upload kept for another attempt', () => {
  /** Memory behind what is kept, each piece of it once. */
  const memoryOf = (replay: ReplayBuffer): number =>
    [...new Set(replay.pieces.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)

  test('byte by byte: its memory follows the bytes, and what was asked for does not change', () => {
    const replay = new ReplayBuffer()
    const sent = pattern(WINDOW, 6)
    for (let i = 0; i < 100; i++) replay.add(Buffer.from(sent.subarray(i, i + 1)))
    const early = replay.pieces
    for (let i = 100; i < WINDOW; i++) replay.add(sent.subarray(i, i + 1))
    expect(Buffer.concat(early).equals(sent.subarray(0, 100))).toBe(true)
    expect(Buffer.concat(replay.pieces).equals(sent)).toBe(true)
    expect(replay.pieces.length).toBeLessThan(20)
    expect(memoryOf(replay)).toBeLessThan(WINDOW * 1.5)
    replay.sent(1 << 20)
    expect([replay.isIncomplete, replay.pieces]).toEqual([true, []])
  })

  test('read after read: it is what was read, not a copy', () => {
    const replay = new ReplayBuffer()
    const reads = [1, 2, 3].map(seed => Buffer.from(pattern(WINDOW, seed).buffer))
    for (const read of reads) replay.add(read.subarray(200))
    expect(replay.pieces.every(({ buffer }, i) => buffer === reads[i]!.buffer)).toBe(true)
  })

  test('of which the origin takes some: no more than could be sent again after the next turn', () => {
    const replay = new ReplayBuffer()
    const [first, second] = [pattern(WINDOW - 100, 1), pattern(WINDOW, 2)]
    replay.add(first)
    replay.isTaken = true
    expect(Buffer.concat(replay.pieces).equals(first)).toBe(true)
    replay.add(second)
    expect([replay.isIncomplete, replay.pieces]).toEqual([true, []])
  })

  test('a part of a read that many share: it does not hold all of them', () => {
    const replay = new ReplayBuffer()
    for (let i = 0; i < 4; i++) replay.add(Buffer.alloc(262_144).subarray(5, 16_389))
    expect(memoryOf(replay)).toBeLessThan(4 * 16_384 * 1.1)
  })
})

test('what pump writes arrives though its pieces are small', async () => {
  const { end, frames } = startAgainst({}, 'outer')
  const { recorder } = openStream(end)
  pump(recorder, pattern(30_000, 7), { chunkBytes: 7 })
  await until(() => frames.some(({ type, flags }) => type === FrameType.DATA && (flags & Flag.END) !== 0))
})
