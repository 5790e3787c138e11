/** Sessions over real links: memory stays bounded on a line that stops, windows grow on a long one. */
import { describe, expect, test } from '@jest/globals'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { openStream, pump, startEnd, type End } from '../mux/ends.ts'
import { until } from '../support/wait.ts'
import { linkPair, pattern, type LinkPair } from './pair.ts'

interface Sessions extends LinkPair {
  readonly outer: End
  readonly inner: End
}

/** The outer layer accepts links and the inner one dials, as in life. */
const startSessions = async (
  line: Parameters<typeof linkPair>[0] = {},
  options: Parameters<typeof startEnd>[2] = {},
): Promise<Sessions> => {
  const pair = await linkPair(line)
  return { ...pair, outer: startEnd(pair.accepted, 'outer', options), inner: startEnd(pair.dialled, 'inner', options) }
}

const DIRECTIONS: readonly (readonly [
  string,
  (sessions: Sessions) => { readonly from: End; readonly to: End; readonly link: LinkPair['dialled'] },
])[] = [
  ['the accepted end', ({ outer, inner, accepted }) => ({ from: outer, to: inner, link: accepted })],
  ['the dialled end', ({ outer, inner, dialled }) => ({ from: inner, to: outer, link: dialled })],
]

describe.each(DIRECTIONS)('a session over socket.io, sending from %s,', (_name, directions) => {
  test('stops near the limit of the pacer on a line that stops, and delivers everything when it goes on', async () => {
    const sessions = await startSessions({ maxInFlightBytes: 262_144 })
    const { from, to, link } = directions(sessions)
    const streams = Array.from({ length: 100 }, () => openStream(from))
    await until(() => to.accepted.length === 100)
    sessions.relay.pause()
    const bodies = streams.map((_, i) => pattern(1_000_000, i))
    const pumps = streams.map(({ recorder }, i) => pump(recorder, bodies[i]!))
    let [highest, quiet, last] = [0, 0, -1]
    // Until nothing moves any more: neither out of the producers nor out of the link.
    await until(() => {
      highest = Math.max(highest, link.bufferedBytes)
      const now = pumps.reduce((sum, { sent }) => sum + sent(), link.bufferedBytes)
      quiet = now === last ? quiet + 1 : 0
      last = now
      return quiet > 20
    })
    // The limit, at most 512 KiB, and the message that went beyond it.
    expect(highest).toBeLessThanOrEqual(524_288 + 262_144)
    // What the streams hold: their credit, their queue and one chunk each.
    for (const { sent } of pumps) expect(sent()).toBeLessThanOrEqual(131_072 + 131_072 + 65_536)
    sessions.relay.resume()
    await until(() => to.accepted.every(({ ends }) => ends === 1))
    to.accepted.forEach((recorder, i) => expect(recorder.bytes.equals(bodies[i]!)).toBe(true))
    expect(link.bufferedBytes).toBe(0)
  })

  test('goes on after each of many stops', async () => {
    const sessions = await startSessions({ maxInFlightBytes: 65_536 })
    const { from, to } = directions(sessions)
    const body = pattern(10_000_000, 3)
    const { recorder } = openStream(from)
    pump(recorder, body)
    const reader = await until(() => to.accepted[0])
    for (let seen = 0; reader.ends === 0; seen = reader.receivedBytes) {
      sessions.relay.pause()
      await new Promise(setImmediate)
      sessions.relay.resume()
      await until(() => reader.receivedBytes > seen || reader.ends === 1)
    }
    expect(reader.bytes.equals(body)).toBe(true)
  })

  test('a window grows on a line with a delay, carries several times what it did at first, and is returned', async () => {
    const budget = new GrowthBudget(8 * 1_048_576)
    const sessions = await startSessions({ delayMs: 25 }, { budget })
    const { from, to } = directions(sessions)
    await until(() => from.session.roundTripMs > 0 && to.session.roundTripMs > 0)
    const { recorder } = openStream(from)
    const body = pattern(20_000_000, 1)
    pump(recorder, body)
    const reader = await until(() => to.accepted[0])
    let leastLeft = budget.leftBytes
    await until(() => {
      leastLeft = Math.min(leastLeft, budget.leftBytes)
      return reader.ends === 1
    })
    expect(reader.bytes.equals(body)).toBe(true)
    expect(leastLeft).toBeLessThan(budget.totalBytes - 1_000_000)
    recorder.stream!.end()
    reader.stream!.end()
    await until(() => from.session.streamCount === 0 && to.session.streamCount === 0)
    expect(budget.leftBytes).toBe(budget.totalBytes)
  })

  test('a small answer overtakes bulk on a slow line', async () => {
    const sessions = await startSessions({ bytesPerSecond: 4_000_000, maxInFlightBytes: 65_536 })
    const { from, to } = directions(sessions)
    const bulk = Array.from({ length: 30 }, () => openStream(from))
    for (const { recorder } of bulk) pump(recorder, pattern(4_000_000, 1))
    // The kernels on the way fill with some megabytes; what counts is what comes behind them.
    await until(() => to.accepted.length === 30 && to.accepted.every(({ receivedBytes }) => receivedBytes > 100_000), {})
    const small = openStream(from)
    pump(small.recorder, pattern(20_000, 2))
    await until(() => to.accepted[30]?.ends === 1)
    expect(to.accepted.slice(0, 30).every(({ ends }) => ends === 0)).toBe(true)
    for (const { stream } of bulk) stream.reset('CANCELLED')
  })

  test('a drain delivers the last bytes and the reason', async () => {
    const sessions = await startSessions()
    const { from, to } = directions(sessions)
    const { recorder } = openStream(from, { end: false })
    const answering = await until(() => to.accepted[0])
    const drained = to.session.drain('GOING_AWAY', 'maintenance')
    const body = pattern(3_000_000, 9)
    pump(answering, body)
    recorder.stream!.end()
    await drained
    await until(() => from.closed.length === 1 && to.closed.length === 1)
    expect(recorder.bytes.equals(body)).toBe(true)
    expect(recorder.ends).toBe(1)
    expect(from.closed[0]).toEqual({ code: 'GOING_AWAY', reason: 'maintenance' })
  })

  test('destroy tells the other end why', async () => {
    const sessions = await startSessions()
    const { from, to } = directions(sessions)
    from.session.destroy('KEY_REMOVED', 'the key is gone')
    await until(() => to.closed.length === 1)
    expect(to.closed[0]).toEqual({ code: 'KEY_REMOVED', reason: 'the key is gone' })
  })

  test('a black hole is found out', async () => {
    const sessions = await startSessions({}, { timing: { pingAfterMs: 100, deadAfterMs: 400 } })
    const { from, to } = directions(sessions)
    const { recorder } = openStream(from)
    await until(() => to.accepted.length === 1)
    sessions.relay.pause()
    await until(() => from.closed.length === 1 && to.closed.length === 1)
    expect([from.closed[0]!.code, to.closed[0]!.code]).toEqual(['LINK_DEAD', 'LINK_DEAD'])
    expect(recorder.resets.map(({ code }) => code)).toEqual(['LINK_DEAD'])
  })
})
