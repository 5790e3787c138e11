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
    for (let room = flight.roomBytes; room > 0; room = flight.roomBytes) leave(Math.min(room, 64 * KIB))
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
  return { flight, run, queuedBytes: () => way.reduce((sum, { bytes }) => sum + bytes, 0) }
}

describe('what is in flight', () => {
  test('doubles with each round trip while no queue builds up, up to 32 MiB', () => {
    const { flight, run } = fly({ bytesPerMs: 10 * MIB, roundTripMs: 100 })
    expect(flight.limitBytes).toBe(512 * KIB)
    for (const limitBytes of [1, 2, 4, 8, 16].map(mebibytes => mebibytes * MIB)) {
      // A turn of the link more than the round trip, as the marks of one round come one by one.
      run(104)
      expect(flight.limitBytes).toBeGreaterThan(limitBytes * 0.7)
      expect(flight.limitBytes).toBeLessThanOrEqual(limitBytes)
    }
    run(1_000)
    expect(flight.limitBytes).toBe(32 * MIB)
  })

  test.each([
    { bytesPerMs: 1_250, roundTripMs: 20, targetMs: 10 },
    { bytesPerMs: 12_500, roundTripMs: 10, targetMs: 10 },
    { bytesPerMs: 12_500, roundTripMs: 200, targetMs: 50 },
  ])(
    'stays within a small multiple of what $bytesPerMs bytes/ms carry in $roundTripMs ms and the target',
    ({ bytesPerMs, roundTripMs, targetMs }) => {
      const { flight, run, queuedBytes } = fly({ bytesPerMs, roundTripMs })
      flight.observe(roundTripMs)
      // Longer than a round trip is remembered, many times: the queue of its own must not pass for the length of the way.
      run(300_000)
      const fitting = bytesPerMs * (roundTripMs + targetMs)
      expect(flight.limitBytes).toBeGreaterThan(Math.max(32 * KIB, bytesPerMs * roundTripMs) * 0.9)
      expect(flight.limitBytes).toBeLessThan(Math.max(32 * KIB, fitting) * 2.5)
      expect(queuedBytes()).toBeLessThan(2.5 * Math.max(32 * KIB, fitting))
    },
  )

  test('shrinks with the link, and never below 32 KiB', () => {
    const link = { bytesPerMs: 10_000, roundTripMs: 20 }
    const { flight, run } = fly(link)
    run(2_000)
    expect(flight.limitBytes).toBeGreaterThan(180_000)
    link.bytesPerMs = 1_000
    run(40_000)
    expect(flight.limitBytes).toBe(32 * KIB)
  })

  test('is full at its limit, and has room again after an answer to one of its marks, once', () => {
    const clock = manualClock()
    const flight = new Flight(clock.read)
    const mark = flight.send(512 * KIB)!
    expect(flight.roomBytes).toBe(0)
    expect(flight.block()).toBeUndefined() // one is under way
    clock.nowMs += 10
    expect(flight.acknowledge(Buffer.from('pingping'))).toBe(false)
    expect([flight.roomBytes, flight.inFlightBytes]).toEqual([0, 512 * KIB])
    expect(flight.acknowledge(mark)).toBe(true)
    expect([flight.roomBytes, flight.inFlightBytes, flight.deliveredBytes]).toEqual([MIB, 0, 512 * KIB])
    expect(flight.acknowledge(mark)).toBe(false)
  })

  test('an answer stands for all marks before it, so a lost one costs nothing', () => {
    const flight = new Flight(manualClock().read)
    const marks = [1, 2, 3].map(() => flight.send(100 * KIB)!)
    expect(flight.acknowledge(marks[2]!)).toBe(true)
    expect(flight.inFlightBytes).toBe(0)
    expect(flight.acknowledge(marks[0]!)).toBe(false)
  })

  test('blocked without a mark under way sends one, of another number each time', () => {
    const flight = new Flight(manualClock().read)
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

  test('on a slow link, a download keeps a quarter beside small answers without end', async () => {
    const clock = manualClock()
    const limits = { streams: 10_000, windowBytes: 64 * MIB }
    const { end, peer, frames, marks } = startAgainst({ answersMarks: false, clock: clock.read, peerLimits: limits }, 'outer')
    await until(() => frames.some(({ type }) => type === FrameType.PING))
    clock.nowMs += 2
    peer.send(encodeFrame(FrameType.PONG, 0, 0, frames.find(({ type }) => type === FrameType.PING)!.payload))
    await turns()
    const bulk = openStream(end)
    pump(bulk.recorder, pattern(64 * MIB, 1))
    let seen = 0
    const round = async (): Promise<void> => {
      clock.nowMs += 40
      for (; seen < marks.length; seen++) peer.send(encodeFrame(FrameType.PONG, 0, 0, marks[seen]))
      await turns()
    }
    for (let i = 0; i < 50; i++) await round()
    frames.length = 0
    for (let i = 0; i < 150; i++) {
      for (let j = 0; j < 32; j++) pump(openStream(end).recorder, pattern(16_384, j))
      await round()
    }
    const share = dataBytes(frames.filter(({ stream }) => stream === bulk.stream.id)) / dataBytes(frames)
    expect(dataBytes(frames)).toBeGreaterThan(2 * MIB)
    // Small answers were always there, and came first.
    expect(share).toBeLessThan(0.5)
    expect(share).toBeGreaterThanOrEqual(0.25)
  })
})
