import { describe, expect, test } from '@jest/globals'
import { Flight } from '../../src/mux/flight.ts'
import { encodeFrame, FrameType } from '../../src/wire/frame.ts'
import { pattern } from '../link/pair.ts'
import { until } from '../support/wait.ts'
import { dataBytes, manualClock, startAgainst } from './against.ts'
import { openStream, pump, turns } from './ends.ts'

const KIB = 1_024
const MIB = 1_048_576

/** A flight over a link of a given rate and round trip, whose sender always has more; a millisecond each step. */
const fly = (link: { bytesPerMs: number; readonly roundTripMs: number }) => {
  const clock = manualClock()
  const flight = new Flight(clock.read)
  const way: { bytes: number; readonly mark: Buffer | undefined }[] = []
  let answers: { readonly atMs: number; readonly mark: Buffer }[] = []
  const leave = (bytes: number): void => void way.push({ bytes, mark: flight.send(bytes) })
  const carry = (): void => {
    let left = link.bytesPerMs
    while (left > 0 && way.length > 0) {
      const head = way[0]!
      const carried = Math.min(left, head.bytes)
      head.bytes -= carried
      left -= carried
      if (head.bytes > 0) return
      way.shift()
      if (head.mark !== undefined) answers.push({ atMs: clock.nowMs + link.roundTripMs, mark: head.mark })
    }
  }
  const fill = (): void => {
    for (let room = flight.roomBytes; room > 0; room = flight.roomBytes) leave(Math.min(room, flight.messageBytes))
    const mark = flight.block()
    if (mark !== undefined) way.push({ bytes: 0, mark })
  }
  const step = (): void => {
    fill()
    carry()
    clock.nowMs++
    const due = answers.filter(({ atMs }) => atMs <= clock.nowMs)
    answers = answers.filter(({ atMs }) => atMs > clock.nowMs)
    for (const { mark } of due) {
      flight.acknowledge(mark)
      fill()
    }
  }
  const run = (ms: number): void => {
    for (let i = 0; i < ms; i++) step()
  }
  /** The sender is away: the way goes on, and all answers are read together. */
  const hold = (ms: number): void => {
    for (let i = 0; i < ms; i++) {
      carry()
      clock.nowMs++
    }
  }
  return { flight, run, hold, queuedBytes: () => way.reduce((sum, { bytes }) => sum + bytes, 0) }
}

describe('what is in flight', () => {
  test('is small at first, grows threefold with each round trip while no queue builds up, up to 32 MiB', () => {
    const { flight, run } = fly({ bytesPerMs: 10 * MIB, roundTripMs: 100 })
    expect(flight.limitBytes).toBe(2 * KIB)
    for (const limitBytes of [6, 18, 54, 162, 486, 1_458].map(kibibytes => kibibytes * KIB)) {
      // A turn of the link more than the round trip, as the marks of one round come one by one.
      run(104)
      expect(flight.limitBytes).toBeGreaterThan(limitBytes * 0.5)
      expect(flight.limitBytes).toBeLessThanOrEqual(limitBytes)
    }
    run(1_000)
    expect(flight.limitBytes).toBe(32 * MIB)
  })

  test.each([
    { bytesPerMs: 8, roundTripMs: 20, targetMs: 10 },
    { bytesPerMs: 125, roundTripMs: 20, targetMs: 10 },
    { bytesPerMs: 1_250, roundTripMs: 20, targetMs: 10 },
    { bytesPerMs: 12_500, roundTripMs: 10, targetMs: 10 },
    { bytesPerMs: 12_500, roundTripMs: 200, targetMs: 50 },
  ])(
    'fills a link of $bytesPerMs bytes/ms and $roundTripMs ms, and queues little more than the target',
    ({ bytesPerMs, roundTripMs, targetMs }) => {
      const { flight, run, queuedBytes } = fly({ bytesPerMs, roundTripMs })
      run(5_000)
      // Longer than a round trip is remembered, many times: the queue of its own must not pass for the length of the way.
      const before = flight.deliveredBytes
      run(60_000)
      expect(flight.deliveredBytes - before).toBeGreaterThan(0.9 * 60_000 * bytesPerMs)
      expect(flight.limitBytes).toBeLessThan(Math.max(1_536, bytesPerMs * (roundTripMs + targetMs)) * 1.5)
      expect(queuedBytes()).toBeLessThan(Math.max(1_536, 2 * bytesPerMs * targetMs))
    },
  )

  test('shrinks with the link, and never below 1.5 KiB', () => {
    const link = { bytesPerMs: 10_000, roundTripMs: 20 }
    const { flight, run } = fly(link)
    run(2_000)
    expect(flight.limitBytes).toBeGreaterThan(180_000)
    link.bytesPerMs = 8
    run(60_000)
    expect(flight.limitBytes).toBe(1_536)
  })

  test('is more where answers stand still and then come together, as ends are busy; a link that only became slow gets no more', () => {
    const { flight, run, hold } = fly({ bytesPerMs: 10_000, roundTripMs: 100 })
    run(3_000)
    const before = flight.limitBytes
    for (let i = 0; i < 5; i++) {
      hold(60)
      run(300)
    }
    expect(flight.limitBytes).toBeGreaterThan(before + 40 * 10_000)
    expect(flight.limitBytes).toBeLessThan(before * 2)
    run(5_000)
    expect(flight.limitBytes).toBeLessThan(before * 1.1)
    const slow = { bytesPerMs: 10_000, roundTripMs: 100 }
    const other = fly(slow)
    other.run(3_000)
    slow.bytesPerMs = 100
    const atMost = other.flight.limitBytes * 1.1
    for (let i = 0; i < 30; i++) {
      other.run(100)
      expect(other.flight.limitBytes).toBeLessThan(atMost)
    }
  })

  test('follows a way that becomes a hundred times as long, or shorter', () => {
    const link = { bytesPerMs: 12_500, roundTripMs: 1 }
    const { flight, run } = fly(link)
    run(3_000)
    for (const roundTripMs of [100, 1, 20, 150]) {
      link.roundTripMs = roundTripMs
      run(3_000)
      const before = flight.deliveredBytes
      run(5_000)
      expect(flight.deliveredBytes - before).toBeGreaterThan(0.9 * 5_000 * link.bytesPerMs)
    }
  })

  test('marks no more than a peer answers, however short the way', () => {
    const clock = manualClock()
    const flight = new Flight(clock.read)
    let marks = 0
    for (let i = 0; i < 100_000; i++) {
      clock.nowMs += 0.1
      const mark = flight.send(1_000)
      if (mark === undefined) continue
      marks++
      flight.acknowledge(mark)
    }
    // Ten seconds; a peer takes 5,000 PINGs each.
    expect(marks).toBeLessThan(15_000)
  })

  test('is full at its limit, and has room again after an answer to one of its marks, once', () => {
    const clock = manualClock()
    const flight = new Flight(clock.read, 512 * KIB)
    const mark = flight.send(512 * KIB)!
    expect(flight.roomBytes).toBe(0)
    expect(flight.block()).toBeUndefined() // one is under way
    clock.nowMs += 10
    expect(flight.acknowledge(Buffer.from('pingping'))).toBe(false)
    expect([flight.roomBytes, flight.inFlightBytes]).toEqual([0, 512 * KIB])
    expect(flight.acknowledge(mark)).toBe(true)
    expect([flight.roomBytes > 0, flight.inFlightBytes, flight.deliveredBytes]).toEqual([true, 0, 512 * KIB])
    expect(flight.acknowledge(mark)).toBe(false)
  })

  test('an answer stands for all marks before it, so a lost one costs nothing', () => {
    const flight = new Flight(manualClock().read, 512 * KIB)
    const marks = [1, 2, 3].map(() => flight.send(100 * KIB)!)
    expect(flight.acknowledge(marks[2]!)).toBe(true)
    expect(flight.inFlightBytes).toBe(0)
    expect(flight.acknowledge(marks[0]!)).toBe(false)
  })

  test('blocked without a mark under way sends one, of another number each time', () => {
    const flight = new Flight(manualClock().read, 512 * KIB)
    expect(flight.acknowledge(flight.send(512 * KIB)!)).toBe(true)
    const first = flight.block()!
    flight.acknowledge(first)
    expect(flight.block()!.equals(first)).toBe(false)
  })
})

describe('a session whose flight is full', () => {
  test('holds data back, lets control frames pass, and goes on with the answer', async () => {
    const { end, peer, send, frames, marks } = startAgainst(
      { answersMarks: false, clock: manualClock().read, peerLimits: { streams: 1_024, windowBytes: 131_072 } },
      'outer',
    )
    const streams = Array.from({ length: 8 }, () => openStream(end))
    for (const { recorder } of streams) pump(recorder, pattern(131_072, 1))
    await until(() => marks.length > 0 && dataBytes(frames) > 400_000)
    await turns(20)
    const sentBytes = dataBytes(frames)
    expect(sentBytes).toBeLessThanOrEqual(524_288)
    send(FrameType.PING, 0, 0, Buffer.alloc(8))
    openStream(end, { payload: 'one more' })
    await until(() => frames.some(({ type }) => type === FrameType.PONG) && frames.some(({ payload }) => payload.toString() === 'one more'))
    await turns(20)
    expect(dataBytes(frames)).toBe(sentBytes)
    let answered = 0
    await until(() => {
      for (; answered < marks.length; answered++) peer.send(encodeFrame(FrameType.PONG, 0, 0, marks[answered]))
      return dataBytes(frames) === 8 * 131_072
    })
  })
})
