import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import { Pacer } from '../../src/mux/pacer.ts'
import { MIN_CREDIT_BYTES } from '../../src/mux/read-limit.ts'
import { TokenBucket } from '../../src/rates/token-bucket.ts'
import { GrowthBudget, MAX_WINDOW_BYTES, ReceiveWindow } from '../../src/mux/receive-window.ts'
import { step, StreamState, type Direction, type StreamStateValue } from '../../src/mux/stream-state.ts'
import { FrameType } from '../../src/wire/frame.ts'

/** A window with a clock and a round trip to turn. */
const startWindow = (initialBytes = 131_072, budget = new GrowthBudget(64 * 1_048_576)) => {
  const surroundings = { nowMs: 0, roundTripMs: 100 }
  const granted: number[] = []
  const window = new ReceiveWindow(initialBytes, {
    budget,
    clock: () => surroundings.nowMs,
    roundTripMs: () => surroundings.roundTripMs,
    grant: bytes => granted.push(bytes),
  })
  /** One round trip: the whole window comes and is consumed. */
  const cycle = (elapsedMs: number): void => {
    const { size } = window
    window.received(size)
    surroundings.nowMs += elapsedMs
    window.consumed(size)
  }
  return { window, budget, granted, surroundings, cycle }
}

interface Way {
  readonly bytesPerMs: number
  readonly roundTripMs: number
  /** What the peer has to send. */
  readonly sendBytesPerMs?: number
  /** What the reader takes. */
  readonly readBytesPerMs?: number
}

/** A window at the end of a link, a millisecond each step; `run` gives the bytes that came in that time. */
const receive = ({ bytesPerMs, roundTripMs, sendBytesPerMs = Infinity, readBytesPerMs = Infinity }: Way) => {
  const { window, budget, granted, surroundings } = startWindow()
  surroundings.roundTripMs = roundTripMs
  let credit = 131_072
  let heldBytes = 0
  const data: { readonly atMs: number; readonly bytes: number }[] = []
  const credits: { readonly atMs: number; readonly bytes: number }[] = []
  const arrived = (way: typeof data): number => {
    let bytes = 0
    while (way.length > 0 && way[0]!.atMs <= surroundings.nowMs) bytes += way.shift()!.bytes
    return bytes
  }
  const step = (): number => {
    const atMs = surroundings.nowMs + roundTripMs / 2
    credit += arrived(credits)
    const sent = Math.min(credit, bytesPerMs, sendBytesPerMs)
    credit -= sent
    if (sent > 0) data.push({ atMs, bytes: sent })
    const received = arrived(data)
    if (received > 0) window.received(received)
    heldBytes += received
    const taken = Math.min(heldBytes, readBytesPerMs)
    heldBytes -= taken
    if (taken > 0) window.consumed(taken)
    for (const bytes of granted.splice(0)) credits.push({ atMs, bytes })
    surroundings.nowMs++
    return received
  }
  const run = (ms: number): number => {
    let bytes = 0
    for (let i = 0; i < ms; i++) bytes += step()
    return bytes
  }
  return { window, budget, run }
}

describe('a receive window', () => {
  test('grows for a stream that it holds back over 100 ms within three round trips, and gives back what it borrowed', () => {
    const { window, budget, run } = receive({ bytesPerMs: 10_000, roundTripMs: 100 })
    expect(run(300)).toBeLessThan(3_000_000)
    // What the link carries in one round trip is a megabyte.
    expect(window.size).toBeGreaterThan(1_000_000)
    run(1_000)
    expect(run(1_000)).toBeGreaterThan(0.95 * 10_000_000)
    expect(window.size).toBeLessThanOrEqual(4_000_000)
    expect(budget.leftBytes).toBe(budget.totalBytes - (window.size - 131_072))
    window.close()
    window.close()
    expect(budget.leftBytes).toBe(budget.totalBytes)
  })

  test('grows at most eightfold at a time, and up to 16 MiB', () => {
    const { window, run } = receive({ bytesPerMs: 1_000_000, roundTripMs: 100 })
    let size = window.size
    for (let ms = 0; ms < 3_000; ms++) {
      run(1)
      expect(window.size).toBeLessThanOrEqual(8 * size)
      size = window.size
    }
    expect(size).toBe(MAX_WINDOW_BYTES)
  })

  test.each([100, 500])('does not grow for a reader that takes %d bytes each millisecond, less than the link brings', readBytesPerMs => {
    const { window, run } = receive({ bytesPerMs: 10_000, roundTripMs: 100, readBytesPerMs })
    const bytes = run(5_000)
    expect(window.size).toBe(131_072)
    expect(bytes).toBeGreaterThan(0.8 * 5_000 * readBytesPerMs)
  })

  test('does not grow for a peer that has credit left and sends slowly', () => {
    const { window, run } = receive({ bytesPerMs: 10_000, roundTripMs: 100, sendBytesPerMs: 600 })
    expect(run(5_000)).toBeGreaterThan(0.95 * 5_000 * 600)
    expect(window.size).toBe(131_072)
  })

  test('grows for a peer that waits with too little credit for one of its reads', () => {
    const { window, granted, surroundings } = startWindow(125_334)
    let credit = 125_334
    const take = (bytes: number): void => {
      credit -= bytes
      window.received(bytes)
      window.consumed(bytes)
    }
    take(15_630)
    surroundings.nowMs += surroundings.roundTripMs
    for (let round = 0; round < 20 && window.size === 125_334; round++) {
      // One read of 64 KiB, in two frames, after which 44,168 bytes are left, and 15,630 are owed: too few for either.
      take(49_906)
      take(15_630)
      expect(credit).toBeLessThan(MIN_CREDIT_BYTES)
      surroundings.nowMs += surroundings.roundTripMs + 1
      credit += granted.splice(0).reduce((sum, bytes) => sum + bytes, 0)
    }
    expect(window.size).toBeGreaterThan(125_334 * 1.25)
  })

  test('stays at some round trips of what really comes where all of it comes in bursts: the peer is busy, and no window would help', () => {
    const { window, granted, surroundings } = startWindow(65_536)
    surroundings.roundTripMs = 25
    let credit = 65_536
    // 20 MB/s, a megabyte every 50 ms as far as there is credit.
    for (let ms = 0; ms < 10_000; ms += 50) {
      const bytes = Math.min(1_000_000, credit)
      credit -= bytes
      for (let left = bytes; left > 0; left -= 65_536) {
        window.received(Math.min(left, 65_536))
        window.consumed(Math.min(left, 65_536))
      }
      surroundings.nowMs += 50
      credit += granted.splice(0).reduce((sum, more) => sum + more, 0)
    }
    expect(window.size).toBeGreaterThan(1_000_000)
    expect(window.size).toBeLessThanOrEqual(3_000_000)
  })

  test('does not grow beyond what all windows of the process may borrow', () => {
    const budget = new GrowthBudget(200_000)
    const [first, second] = [startWindow(131_072, budget), startWindow(131_072, budget)]
    first.cycle(1)
    second.cycle(1)
    expect([first.window.size, second.window.size, budget.leftBytes]).toEqual([331_072, 131_072, 0])
    first.window.close()
    second.cycle(1)
    expect(second.window.size).toBe(331_072)
  })

  test('never lets more in than its size, never grants a byte that was not consumed or borrowed, and never starves its sender', () => {
    const step = fc.record({ send: fc.nat(300_000), consume: fc.nat(300_000), elapsedMs: fc.nat(300) })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200_000 }), fc.array(step, { maxLength: 60 }), (initialBytes, steps) => {
        const { window, granted, surroundings, budget } = startWindow(initialBytes)
        let credit = initialBytes
        let [received, consumed] = [0, 0]
        for (const { send, consume, elapsedMs } of steps) {
          credit += granted.splice(0).reduce((sum, bytes) => sum + bytes, 0)
          const sent = Math.min(send, credit)
          credit -= sent
          received += sent
          window.received(sent)
          surroundings.nowMs += elapsedMs
          const taken = Math.min(consume, received - consumed)
          consumed += taken
          window.consumed(taken)
          expect(received - consumed).toBeLessThanOrEqual(window.size)
          expect(window.size - initialBytes).toBe(budget.totalBytes - budget.leftBytes)
        }
        credit += granted.reduce((sum, bytes) => sum + bytes, 0)
        // What is neither under way nor held is lent, but for less than a quarter.
        expect(credit + (received - consumed)).toBeLessThanOrEqual(window.size)
        expect((window.size - credit - (received - consumed)) * 4).toBeLessThan(Math.max(window.size, 4))
        expect(() => window.received(credit + 1)).toThrow(expect.objectContaining({ code: 'FLOW_EXCEEDED' }))
      }),
    )
  })
})

describe('the pacer', () => {
  test('lets wait in the socket what the link carries in 100 ms, between 32 and 512 KiB', () => {
    const settle = (bytesPerMs: number): number => {
      const pacer = new Pacer()
      let nowMs = 0
      for (let i = 0; i < 30; i++) {
        const bytes = pacer.highBytes
        pacer.blocked(nowMs, bytes)
        pacer.blocked(nowMs + 1, bytes + 1) // a second look while it is blocked changes nothing
        nowMs += bytes / bytesPerMs
        pacer.drained(nowMs)
        pacer.drained(nowMs + 1_000)
      }
      return pacer.highBytes
    }
    expect(settle(1)).toBe(32_768)
    expect(settle(1_000)).toBe(100_000)
    expect(settle(1_000_000)).toBe(524_288)
  })
})

describe('a rate limit', () => {
  test('never lets through more than the burst and the rate since any moment', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.nat(400), { maxLength: 200 }),
        (perSecond, burst, waits) => {
          let nowMs = 0
          const limit = new TokenBucket(perSecond, burst, () => nowMs)
          const passed: number[] = []
          for (const waitMs of waits) {
            nowMs += waitMs
            if (limit.take()) passed.push(nowMs)
          }
          passed.forEach((from, i) => {
            for (let j = i; j < passed.length; j++)
              expect(j - i + 1).toBeLessThanOrEqual(burst + ((passed[j]! - from) / 1000) * perSecond + 1e-6)
          })
        },
      ),
    )
  })

  test('lets through what stays below the rate', () => {
    let nowMs = 0
    const limit = new TokenBucket(10, 1, () => nowMs)
    for (let i = 0; i < 1_000; i++) {
      expect(limit.take()).toBe(true)
      nowMs += 100
    }
  })
})

describe('the states of a stream', () => {
  const states = Object.values(StreamState)
  const directions: Direction[] = ['sent', 'received']
  const carrying = [FrameType.DATA, FrameType.RESPONSE, FrameType.TRAILERS]

  test('are those of the drawing, for every state, frame and direction', () => {
    const rows: [StreamStateValue, Direction, StreamStateValue | undefined][] = [
      [StreamState.OPEN, 'sent', StreamState.LOCAL_CLOSED],
      [StreamState.OPEN, 'received', StreamState.REMOTE_CLOSED],
      [StreamState.LOCAL_CLOSED, 'sent', undefined],
      [StreamState.LOCAL_CLOSED, 'received', StreamState.CLOSED],
      [StreamState.REMOTE_CLOSED, 'sent', StreamState.CLOSED],
      [StreamState.REMOTE_CLOSED, 'received', undefined],
      [StreamState.CLOSED, 'sent', undefined],
      [StreamState.CLOSED, 'received', undefined],
    ]
    for (const type of carrying) {
      for (const [state, direction, ended] of rows) {
        expect(step(state, type, true, direction)).toBe(ended)
        expect(step(state, type, false, direction)).toBe(ended === undefined ? undefined : state)
      }
    }
  })

  test('a RESET closes from any, a CREDIT changes none', () => {
    for (const state of states) {
      for (const direction of directions) {
        expect(step(state, FrameType.RESET, false, direction)).toBe(StreamState.CLOSED)
        expect(step(state, FrameType.CREDIT, false, direction)).toBe(state)
      }
    }
  })

  test('the errors of this room are GatewayErrors', () => {
    expect(() => startWindow(1).window.received(2)).toThrow(GatewayError)
  })
})
