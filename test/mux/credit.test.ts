import { describe, expect, test } from '@jest/globals'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { encodeCredit } from '../../src/wire/control.ts'
import { Flag, FrameType } from '../../src/wire/frame.ts'
import { pattern } from '../link/pair.ts'
import { until } from '../support/wait.ts'
import { manualClock, startAgainst } from './against.ts'
import { openStream, pump, startPair, turns } from './ends.ts'

const WINDOW = 65_536

describe('credit', () => {
  test('a frozen reader holds at most its window, and its writer is asked to pause', async () => {
    const { outer, inner } = startPair({ inner: { consumes: false } })
    const { stream, recorder } = openStream(outer)
    const body = pattern(2_000_000, 2)
    const pumping = pump(recorder, body)
    const reader = await until(() => inner.accepted[0])
    await until(() => inner.session.outstandingBytes === WINDOW)
    await turns(20)
    expect(inner.session.outstandingBytes).toBe(WINDOW)
    // Sent, and at most the stream's own queue and one chunk beyond.
    expect(pumping.sent()).toBeLessThanOrEqual(WINDOW + 131_072 + 65_536)
    expect(stream.needsPause).toBe(true)
    expect(outer.session.outstandingBytes).toBe(pumping.sent())
    reader.thaw()
    await until(() => reader.ends === 1)
    expect(reader.bytes.equals(body)).toBe(true)
  })

  test('a stalled stream does not stop the others, however many there are', async () => {
    const { outer, inner } = startPair({ inner: { consumes: false } })
    for (let i = 0; i < 500; i++) pump(openStream(outer).recorder, pattern(200_000, i))
    await until(() => inner.accepted.length === 500 && inner.accepted.every(({ receivedBytes }) => receivedBytes === WINDOW))
    const { recorder } = openStream(outer)
    const body = pattern(3_000_000, 3)
    pump(recorder, body)
    const reader = await until(() => inner.accepted[500])
    reader.thaw()
    await until(() => reader.ends === 1)
    expect(reader.bytes.equals(body)).toBe(true)
  })

  test('is awaited as well when the first read has left next to none of it', async () => {
    const { outer, inner } = startPair({ inner: { consumes: false } })
    const { stream } = openStream(outer)
    expect(stream.write(pattern(WINDOW - 5_000, 5))).toBe(true)
    expect(stream.write(pattern(4_000, 6))).toBe(false)
    await until(() => inner.accepted[0]?.receivedBytes === WINDOW - 1_000)
  })

  test('is awaited until most of a read has some, so that little of it waits in memory', async () => {
    const { outer, inner } = startPair({ inner: { consumes: false, budget: new GrowthBudget(0) } })
    const { recorder } = openStream(outer)
    const pumping = pump(recorder, pattern(2_000_000, 4))
    const reader = await until(() => inner.accepted[0])
    await until(() => reader.receivedBytes === WINDOW)
    for (const quarter of [1, 2]) {
      reader.consume(WINDOW / 4)
      await until(() => recorder.credits === quarter)
      await turns()
      expect([pumping.sent(), reader.receivedBytes]).toEqual([WINDOW, WINDOW])
    }
    reader.consume(WINDOW / 4)
    await until(() => reader.receivedBytes === WINDOW + (WINDOW * 3) / 4)
    await turns()
    expect(pumping.sent()).toBe(2 * WINDOW)
    reader.thaw()
    await until(() => reader.ends === 1)
    expect(reader.bytes.length).toBe(2_000_000)
  })

  test('goes back a quarter window at a time, not with each frame', async () => {
    const { outer, inner } = startPair({ inner: { consumes: false, budget: new GrowthBudget(0) } })
    const { recorder } = openStream(outer)
    pump(recorder, pattern(WINDOW, 4), { ends: false })
    const reader = await until(() => inner.accepted[0])
    await until(() => reader.receivedBytes === WINDOW)
    reader.consume(WINDOW / 4 - 1)
    await turns()
    expect(recorder.credits).toBe(0)
    reader.consume(1)
    await until(() => recorder.credits === 1)
  })

  test('is not returned for a half that has ended, nor does that half borrow from the budget', async () => {
    // The first half of the window, which the reader has taken at once, may let it grow; the second comes with END.
    const { end, send, framesOf } = startAgainst()
    const lent = (): number => framesOf(FrameType.CREDIT).reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0)
    send(FrameType.OPEN, 0, 1)
    send(FrameType.DATA, 0, 1, Buffer.alloc(32_768))
    await until(() => lent() >= 32_768)
    const before = lent()
    send(FrameType.DATA, Flag.END, 1, Buffer.alloc(32_768))
    await until(() => end.accepted[0]?.ends === 1)
    await turns()
    expect(lent()).toBe(before)
    expect(end.session.streamCount).toBe(1)
    expect(end.budget.leftBytes).toBe(end.budget.totalBytes)
  })

  test('very many tiny chunks cost no more than their bytes', async () => {
    const { outer, inner } = startPair()
    const { stream, recorder } = openStream(outer)
    const byte = Buffer.from('x')
    for (let i = 0; i < WINDOW; i++) stream.write(byte)
    stream.end()
    const reader = await until(() => inner.accepted[0])
    await until(() => reader.ends === 1)
    expect(reader.receivedBytes).toBe(WINDOW)
    // Coalesced into frames of a turn each, and taken from the queue without moving all of it each time.
    expect(reader.chunks.length).toBeLessThan(64)
    expect(recorder.resets).toEqual([])
  })

  test('a peer that overruns its credit has that stream reset, and the handler is told; others go on', async () => {
    const { end, send, framesOf } = startAgainst({ consumes: false })
    send(FrameType.OPEN, 0, 1)
    send(FrameType.OPEN, 0, 3)
    send(FrameType.DATA, 0, 1, Buffer.alloc(32_768))
    send(FrameType.DATA, 0, 1, Buffer.alloc(32_768))
    send(FrameType.DATA, 0, 1, Buffer.alloc(1))
    send(FrameType.DATA, 0, 3, Buffer.from('fine'))
    await until(() => framesOf(FrameType.RESET).length === 1 && end.accepted[1]?.receivedBytes === 4)
    expect(end.accepted[0]!.resets.map(({ code }) => code)).toEqual(['FLOW_EXCEEDED'])
    expect(end.accepted[0]!.receivedBytes).toBe(WINDOW)
    expect([end.session.streamCount, end.closed]).toEqual([1, []])
  })

  test('a peer that overruns again and again loses its session with CALM', async () => {
    const clock = manualClock()
    const { end, send } = startAgainst({ consumes: false, clock: clock.read })
    for (let i = 0; i < 11; i++) {
      send(FrameType.OPEN, 0, 2 * i + 1)
      for (let j = 0; j < 3; j++) send(FrameType.DATA, 0, 2 * i + 1, Buffer.alloc(32_768))
    }
    await until(() => end.closed.length === 1)
    expect(end.closed[0]!.code).toBe('CALM')
    expect(end.session.outstandingBytes).toBe(0)
  })

  test('more than 2^31 - 1 bytes of credit end the session with PROTOCOL', async () => {
    const { end, send } = startAgainst()
    send(FrameType.OPEN, 0, 1)
    send(FrameType.CREDIT, 0, 1, encodeCredit(0x7fff_ffff))
    await until(() => end.closed.length === 1)
    expect(end.closed[0]!.code).toBe('PROTOCOL')
  })

  test('a session with its smallest window still carries everything', async () => {
    const limits = { streams: 4, windowBytes: 1 }
    const { outer, inner } = startPair({
      outer: { limits, peerLimits: limits, budget: new GrowthBudget(0) },
      inner: { limits, peerLimits: limits, budget: new GrowthBudget(0) },
    })
    const { recorder } = openStream(outer)
    const body = pattern(300, 5)
    pump(recorder, body, { chunkBytes: 7 })
    await until(() => inner.accepted[0]?.ends === 1)
    expect(inner.accepted[0]!.bytes.equals(body)).toBe(true)
  })
})
