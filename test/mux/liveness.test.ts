import { beforeEach, describe, expect, jest, test } from '@jest/globals'
import { MemoryLink } from '../../src/link/memory-link.ts'
import { Liveness, type LivenessContext } from '../../src/mux/liveness.ts'
import { decodeBatch, encodeFrame, FrameType } from '../../src/wire/frame.ts'
import { pattern } from '../link/pair.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { simulateIntervals } from '../support/simulated-timers.ts'
import { until } from '../support/wait.ts'
import { dataBytes, manualClock, startAgainst } from './against.ts'
import { openStream, pump, startEnd, startPair, turns } from './ends.ts'

/** As the default, a hundred times faster; a PING needs ten milliseconds at least, or the peer calls it a flood. */
const SHORT = { pingAfterMs: 100, deadAfterMs: 300 }

describe('the liveness of a session', () => {
  // Simulated time: how busy the machine is makes no peer silent.
  let time: ReturnType<typeof manualClock>
  simulateIntervals()
  beforeEach(() => {
    time = manualClock()
  })

  const short = () => ({ timing: SHORT, clock: time.read })

  /** Lets time pass until `isOver`: a millisecond in each turn of the event loop, which takes a message over a link in memory; timers every ten. */
  const pass = async (isOver: () => boolean): Promise<void> => {
    const endMs = time.nowMs + 60_000
    while (!isOver()) {
      if (time.nowMs > endMs) throw new Error('a minute of simulated time has passed')
      for (let ms = 0; ms < 10; ms++) {
        time.nowMs++
        await turns(1)
      }
      jest.advanceTimersByTime(10)
    }
  }

  test('after silence a PING is sent, and its PONG keeps both ends alive', async () => {
    const { outer, inner, outerLink } = startPair({ outer: short(), inner: short() })
    let pings = 0
    const receive = outerLink.onMessage
    outerLink.onMessage = message => {
      decodeBatch(message, type => {
        if (type === FrameType.PING) pings++
      })
      receive(message)
    }
    await pass(() => pings >= 5)
    expect([outer.closed, inner.closed]).toEqual([[], []])
    expect(outer.session.roundTripMs).toBeGreaterThan(0)
  })

  test('the first round trip is the smallest of four that are measured at once: one alone would be that of an end that has just started', () => {
    const context = { nowMs: 0, pings: [] as Buffer[] }
    const nothing = (): number => 0
    const liveness = new Liveness(SHORT, {
      clock: () => context.nowMs,
      ping: payload => void context.pings.push(payload),
      receivedBytes: nothing,
      bufferedBytes: nothing,
      takenBytes: nothing,
      awaitedBytes: nothing,
      deliveredBytes: nothing,
      activity: nothing,
      dead: () => undefined,
    })
    liveness.start()
    onCleanUp(() => liveness.stop())
    for (const roundTripMs of [80, 5, 20, 9]) {
      context.nowMs += roundTripMs
      liveness.pong(context.pings.at(-1)!)
    }
    expect(liveness.roundTripMs).toBe(5)
    expect(context.pings).toHaveLength(4)
  })

  test('a black hole is found out by both ends: LINK_DEAD, and the streams are told', async () => {
    const { outer, inner, outerLink, innerLink } = startPair({ outer: short(), inner: short() })
    const { recorder } = openStream(outer)
    await pass(() => inner.accepted.length === 1)
    outerLink.isHeld = true
    innerLink.isHeld = true
    await pass(() => outer.closed.length === 1 && inner.closed.length === 1)
    expect([...outer.closed, ...inner.closed].map(({ code }) => code)).toContain('LINK_DEAD')
    expect(recorder.resets.length).toBe(1)
    expect(['LINK_DEAD', 'INNER_LAYER_LOST']).toContain(recorder.resets[0]!.code)
  })

  test('bytes that make no progress end the session although the peer is heard', async () => {
    const [link, peer] = MemoryLink.pair()
    const end = startEnd(link, 'outer', short())
    await turns()
    link.isHeld = true
    const speaking = setInterval(() => peer.send(encodeFrame(FrameType.PONG, 0, 0, Buffer.alloc(8))), 20)
    onCleanUp(() => clearInterval(speaking))
    pump(openStream(end).recorder, pattern(100_000, 1))
    await pass(() => end.closed.length === 1)
    expect(end.closed[0]!.code).toBe('LINK_DEAD')
    expect(end.closed[0]!.reason).toMatch(/bytes made no progress/)
  })

  test('data that a peer takes and never acknowledges ends the session, although the peer is heard and control frames pass', async () => {
    const { end, link, send, frames, marks } = startAgainst(
      { answersMarks: false, ...short(), peerLimits: { streams: 1_024, windowBytes: 131_072 } },
      'outer',
    )
    const speaking = setInterval(() => send(FrameType.PING, 0, 0, Buffer.alloc(8)), 20)
    onCleanUp(() => clearInterval(speaking))
    const streams = Array.from({ length: 8 }, () => openStream(end))
    for (const { recorder } of streams) pump(recorder, pattern(200_000, 1))
    await until(() => marks.length > 0 && link.bufferedBytes === 0)
    const sentBytes = dataBytes(frames)
    expect(sentBytes).toBeLessThanOrEqual(524_288)
    const pongs = (): number => frames.filter(({ type }) => type === FrameType.PONG).length
    const before = pongs()
    await pass(() => end.closed.length === 1)
    expect(pongs()).toBeGreaterThan(before)
    expect(dataBytes(frames)).toBe(sentBytes)
    expect(end.closed[0]!.code).toBe('LINK_DEAD')
    expect(end.closed[0]!.reason).toMatch(/bytes was acknowledged/)
    expect(streams.map(({ recorder }) => recorder.resets.length)).toEqual(streams.map(() => 1))
  })

  test('a peer that acknowledges nothing is no reason to end a session on which no data waits', async () => {
    const { end, send, marks } = startAgainst({ answersMarks: false, ...short() }, 'outer')
    const speaking = setInterval(() => send(FrameType.PING, 0, 0, Buffer.alloc(8)), 20)
    onCleanUp(() => clearInterval(speaking))
    const startedMs = time.nowMs
    pump(openStream(end).recorder, pattern(100_000, 1))
    await pass(() => marks.length > 0 && time.nowMs - startedMs > 3 * SHORT.deadAfterMs)
    expect(end.closed).toEqual([])
  })

  test('any frame is proof of life, also from a peer that answers no PING', async () => {
    const [link, peer] = MemoryLink.pair()
    const end = startEnd(link, 'outer', short())
    const startedMs = time.nowMs
    const speaking = setInterval(() => peer.send(encodeFrame(99, 0x80, 0)), 50)
    onCleanUp(() => clearInterval(speaking))
    await pass(() => time.nowMs - startedMs > 3 * SHORT.deadAfterMs)
    expect(end.closed).toEqual([])
    clearInterval(speaking)
    await pass(() => end.closed.length === 1)
    expect(end.closed[0]!.code).toBe('LINK_DEAD')
  })

  test('the round trip of a busy link is measured again and again', async () => {
    const { outer, inner, outerLink } = startPair({ outer: { timing: { pingAfterMs: 200, deadAfterMs: 60_000 }, clock: time.read } })
    let pongs = 0
    const receive = outerLink.onMessage
    outerLink.onMessage = message => {
      decodeBatch(message, type => {
        if (type === FrameType.PONG) pongs++
      })
      receive(message)
    }
    const { stream } = openStream(outer)
    await pass(() => inner.accepted.length === 1)
    const speaking = setInterval(() => inner.accepted[0]!.stream!.write(Buffer.from('x')), 10)
    onCleanUp(() => clearInterval(speaking))
    await pass(() => pongs >= 2)
    stream.reset('CANCELLED')
  })
})

describe('a link whose queue always looks the same', () => {
  /** A clock, a link and what liveness makes of them, one step at a time. */
  const watch = (
    hears = true,
  ): {
    context: Record<'nowMs' | 'receivedBytes' | 'bufferedBytes' | 'takenBytes' | 'awaitedBytes' | 'deliveredBytes', number>
    dead: string[]
  } => {
    const context = { nowMs: 0, receivedBytes: 0, bufferedBytes: 0, takenBytes: 0, awaitedBytes: 0, deliveredBytes: 0 }
    const dead: string[] = []
    const surroundings: LivenessContext = {
      clock: () => context.nowMs,
      ping: () => undefined,
      receivedBytes: () => context.receivedBytes,
      bufferedBytes: () => context.bufferedBytes,
      takenBytes: () => context.takenBytes,
      awaitedBytes: () => context.awaitedBytes,
      deliveredBytes: () => context.deliveredBytes,
      activity: () => 0,
      dead: reason => {
        dead.push(reason)
        liveness.stop()
      },
    }
    const liveness = new Liveness({ pingAfterMs: 10, deadAfterMs: 1_000 }, surroundings)
    liveness.start()
    onCleanUp(() => liveness.stop())
    const hearing = setInterval(() => {
      if (hears) liveness.received()
    }, 1)
    onCleanUp(() => clearInterval(hearing))
    return { context, dead }
  }

  test('is alive as long as bytes pass through it', async () => {
    const { context, dead } = watch()
    // A writer that refills what left: each look finds 262,144 bytes.
    context.bufferedBytes = 262_144
    await until(() => {
      context.nowMs += 100
      context.takenBytes += 1_000
      return context.nowMs > 10_000
    })
    expect(dead).toEqual([])
  })

  test('is alive as long as bytes of a message come that takes longer than any silence', async () => {
    const { context, dead } = watch(false)
    await until(() => {
      context.nowMs += 100
      context.receivedBytes++
      return context.nowMs > 10_000
    })
    expect(dead).toEqual([])
    await until(() => {
      context.nowMs += 100
      return dead.length > 0
    })
    expect(dead[0]).toMatch(/nothing received/)
  })

  test('is alive while bytes are acknowledged though one long message does not leave, and the other way round', async () => {
    const { context, dead } = watch()
    context.bufferedBytes = 262_144
    await until(() => {
      context.nowMs += 100
      context.deliveredBytes += 100
      return context.nowMs > 10_000
    })
    context.awaitedBytes = 10_000
    await until(() => {
      context.nowMs += 100
      context.takenBytes += 100
      return context.nowMs > 20_000
    })
    expect(dead).toEqual([])
    context.bufferedBytes = 0
    await until(() => {
      context.nowMs += 100
      return dead.length > 0
    })
    expect(dead[0]).toMatch(/none of 10000 bytes was acknowledged/)
  })

  test('is dead when none do', async () => {
    const { context, dead } = watch()
    context.bufferedBytes = 262_144
    await until(() => {
      context.nowMs += 100
      return dead.length > 0
    })
    expect(dead[0]).toMatch(/262144 bytes made no progress/)
  })
})
