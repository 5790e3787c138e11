import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../src/errors.ts'
import { encodeGoAway } from '../../src/wire/control.ts'
import { FrameType } from '../../src/wire/frame.ts'
import { pattern } from '../link/pair.ts'
import { until } from '../support/wait.ts'
import { startAgainst } from './against.ts'
import { openStream, pump, startPair, turns, type End } from './ends.ts'

describe('going away', () => {
  const isRefused = (end: End): void => {
    expect(end.session.isOpen).toBe(false)
    expect(() => openStream(end)).toThrow(expect.objectContaining({ code: 'REFUSED_STREAM' }))
  }

  test('drain lets open streams finish, refuses new ones on both ends, and then closes', async () => {
    const { outer, inner } = startPair()
    const { stream, recorder } = openStream(outer)
    const answering = await until(() => inner.accepted[0])
    const drained = inner.session.drain('GOING_AWAY', 'maintenance')
    expect(inner.session.drain()).toBe(drained)
    isRefused(inner)
    await until(() => outer.goAways.length === 1)
    expect(outer.goAways[0]).toEqual({ code: 'GOING_AWAY', reason: 'maintenance' })
    isRefused(outer)
    const body = pattern(1_000_000, 1)
    pump(answering, body)
    await until(() => recorder.ends === 1)
    expect([outer.closed, inner.closed]).toEqual([[], []])
    stream.end()
    await drained
    await until(() => outer.closed.length === 1 && inner.closed.length === 1)
    expect(recorder.bytes.equals(body)).toBe(true)
    expect(outer.closed[0]).toEqual({ code: 'GOING_AWAY', reason: 'maintenance' })
    expect(recorder.resets).toEqual([])
  })

  test('a stream that crosses the GOAWAY is refused with REFUSED_STREAM: it may always be repeated', async () => {
    const { outer, inner } = startPair()
    const first = openStream(outer)
    await until(() => inner.accepted.length === 1)
    const drained = inner.session.drain()
    const crossing = openStream(outer) // before the GOAWAY has arrived
    await until(() => crossing.recorder.resets.length === 1)
    expect(crossing.recorder.resets[0]!.code).toBe('REFUSED_STREAM')
    expect(new GatewayError(crossing.recorder.resets[0]!.code).facts.retry).toBe('always')
    expect(inner.accepted.length).toBe(1)
    inner.accepted[0]!.stream!.end()
    first.stream.end()
    await drained
    expect(first.recorder.resets).toEqual([])
  })

  test('drain of an idle session, and of a closed one, is over at once', async () => {
    const { outer, inner } = startPair()
    await outer.session.drain()
    await until(() => inner.closed.length === 1)
    await outer.session.drain()
    expect([outer.closed.length, inner.closed.length]).toEqual([1, 1])
  })

  test('both ends may drain at the same time', async () => {
    const { outer, inner } = startPair()
    const { stream } = openStream(outer)
    const answering = await until(() => inner.accepted[0])
    const both = Promise.all([outer.session.drain(), inner.session.drain()])
    stream.end()
    answering.stream!.end()
    await both
  })

  test('destroy tells the peer why, and the streams of both ends', async () => {
    const { outer, inner } = startPair()
    const { recorder } = openStream(outer)
    await until(() => inner.accepted.length === 1)
    outer.session.destroy('KEY_REMOVED', 'the key is no longer accepted')
    outer.session.destroy('INTERNAL', 'twice')
    await until(() => inner.closed.length === 1)
    expect(outer.closed).toEqual([{ code: 'KEY_REMOVED', reason: 'the key is no longer accepted' }])
    expect(inner.closed).toEqual([{ code: 'KEY_REMOVED', reason: 'the key is no longer accepted' }])
    expect(recorder.resets.map(({ code }) => code)).toEqual(['INNER_LAYER_LOST'])
    expect(inner.accepted[0]!.resets.map(({ code }) => code)).toEqual(['OUTER_LAYER_LOST'])
  })

  test('a stream that was under way when the session ended is never told a code that may always be repeated', async () => {
    for (const code of ['DRAINING', 'REFUSED_STREAM', 'GOING_AWAY'] as const) {
      const { outer, inner, outerLink } = startPair()
      const { recorder } = openStream(outer)
      await until(() => inner.accepted.length === 1)
      void inner.session.drain(code, 'leaving')
      await until(() => outer.goAways.length === 1)
      outerLink.destroy()
      await until(() => outer.closed.length === 1 && inner.closed.length === 1)
      expect(recorder.resets.map(({ code }) => code)).toEqual(['INNER_LAYER_LOST'])
      const other = startPair()
      const second = openStream(other.outer)
      other.outer.session.destroy(code, 'now')
      expect(second.recorder.resets.map(({ code }) => code)).toEqual(['INNER_LAYER_LOST'])
    }
  })

  test('a session whose ids are used up drains by itself', async () => {
    const { outer, inner } = startPair({ outer: { lastId: 5 } })
    const streams = [openStream(outer), openStream(outer)]
    expect(outer.session.isOpen).toBe(true)
    streams.push(openStream(outer))
    isRefused(outer)
    await until(() => inner.accepted.length === 3)
    for (const { stream } of streams) stream.end()
    for (const { stream } of inner.accepted) stream!.end()
    await until(() => outer.closed.length === 1 && inner.closed.length === 1)
    expect(streams.flatMap(({ recorder }) => recorder.resets)).toEqual([])
  })

  test('a flood of GOAWAY frames is no more than one', async () => {
    const { end, send, peer } = startAgainst({}, 'outer')
    const { recorder } = openStream(end)
    await turns()
    for (let i = 0; i < 1_000; i++) send(FrameType.GOAWAY, 0, 0, encodeGoAway(1, 27, `number ${i}`))
    await until(() => peer.bufferedBytes === 0)
    expect([end.goAways.length, end.closed, recorder.resets]).toEqual([1, [], []])
  })

  test('the loss of the link resets every stream with INNER_LAYER_LOST, once, and gives the budget back', async () => {
    const { outer, inner, outerLink } = startPair({ inner: { consumes: false } })
    const streams = Array.from({ length: 20 }, () => openStream(outer))
    for (const { recorder } of streams) pump(recorder, pattern(500_000, 1))
    await until(() => inner.accepted.length === 20 && inner.accepted.every(({ receivedBytes }) => receivedBytes > 0))
    outerLink.destroy()
    await until(() => outer.closed.length === 1 && inner.closed.length === 1)
    for (const { recorder } of streams) expect(recorder.resets.map(({ code }) => code)).toEqual(['INNER_LAYER_LOST'])
    for (const { session, budget } of [outer, inner]) {
      expect([session.streamCount, session.outstandingBytes, budget.leftBytes]).toEqual([0, 0, budget.totalBytes])
    }
  })
})
