import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../src/errors.ts'
import type { StreamHandler } from '../../src/mux/stream.ts'
import { FrameType } from '../../src/wire/frame.ts'
import { pattern } from '../link/pair.ts'
import { until } from '../support/wait.ts'
import { startAgainst } from './against.ts'
import { openStream, pump, Recorder, startPair, turns } from './ends.ts'

describe('a session', () => {
  test('carries heads, data and trailers both ways, in order', async () => {
    const { outer, inner } = startPair()
    const { stream, recorder } = openStream(outer, { payload: 'GET /' })
    stream.write(Buffer.from('question'))
    stream.end(Buffer.from('asked'))
    const answering = await until(() => inner.accepted[0])
    answering.stream!.sendHead(Buffer.from('wait'), { info: true })
    answering.stream!.sendHead(Buffer.from('200'))
    answering.stream!.write(Buffer.from('answer'))
    answering.stream!.end(Buffer.from('done'))
    await until(() => recorder.ends === 1 && answering.ends === 1)
    expect(inner.opens).toEqual(['GET /'])
    expect([answering.bytes.toString(), answering.trailers]).toEqual(['question', ['asked']])
    expect(recorder.heads).toEqual([
      { payload: 'wait', info: true },
      { payload: '200', info: false },
    ])
    expect([recorder.bytes.toString(), recorder.trailers]).toEqual(['answer', ['done']])
    for (const { session } of [outer, inner]) expect([session.streamCount, session.outstandingBytes]).toEqual([0, 0])
  })

  test('opens odd ids at the outer layer and even ones at the inner, both at once', async () => {
    const { outer, inner } = startPair()
    const ids = [1, 2, 3].flatMap(() => [openStream(outer).stream.id, openStream(inner).stream.id])
    expect(ids).toEqual([1, 2, 3, 4, 5, 6])
    await until(() => inner.accepted.length === 3 && outer.accepted.length === 3)
  })

  test('tells the acceptor of a stream that was opened with END that the peer has ended', async () => {
    const { outer, inner } = startPair()
    openStream(outer, { end: true })
    expect((await until(() => inner.accepted[0])).ends).toBe(1)
  })

  test('sends what is queued in one turn of the event loop as one message', async () => {
    const { end, messages, framesOf } = startAgainst({}, 'outer')
    await until(() => messages.length === 1) // the first PING
    for (let i = 0; i < 10; i++) {
      const { stream } = openStream(end)
      stream.write(Buffer.from('x'))
      stream.end()
    }
    await until(() => framesOf(FrameType.DATA).length === 10)
    expect(messages.length).toBe(2)
  })

  test('lets one side end while the other goes on', async () => {
    const { outer, inner } = startPair()
    const { recorder } = openStream(outer, { end: true })
    const answering = await until(() => inner.accepted[0])
    for (let i = 0; i < 5; i++) {
      answering.stream!.write(pattern(1_000, i))
      await turns()
    }
    expect(recorder.receivedBytes).toBe(5_000)
    expect(outer.session.streamCount).toBe(1)
    answering.stream!.end()
    await until(() => outer.session.streamCount === 0 && inner.session.streamCount === 0)
  })

  test('ignores what is written, ended or sent on a half that has ended', async () => {
    const { outer, inner } = startPair()
    const { stream } = openStream(outer, { end: true })
    expect(stream.write(Buffer.from('late'))).toBe(false)
    stream.end()
    const answering = await until(() => inner.accepted[0])
    answering.stream!.sendHead(Buffer.from('204'), { end: true })
    expect(answering.stream!.write(Buffer.from('late'))).toBe(false)
    answering.stream!.end(Buffer.from('late'))
    await until(() => outer.session.streamCount === 0)
    await turns()
    expect([outer.session.outstandingBytes, inner.session.outstandingBytes]).toEqual([0, 0])
    expect(answering.receivedBytes).toBe(0)
  })

  test('resets both halves, drops what was queued and tells the other end alone', async () => {
    const { outer, inner } = startPair()
    const { stream, recorder } = openStream(outer)
    pump(recorder, pattern(1_000_000, 1))
    const answering = await until(() => inner.accepted[0])
    stream.reset('CANCELLED', 'the client went')
    stream.reset('INTERNAL', 'twice')
    await until(() => answering.resets.length > 0)
    expect(answering.resets).toEqual([{ code: 'CANCELLED', reason: 'the client went' }])
    expect(recorder.resets).toEqual([])
    for (const { session } of [outer, inner]) expect([session.streamCount, session.outstandingBytes]).toEqual([0, 0])
  })

  test('refuses a head or trailers that fit into no frame, before the peer sees any of it', async () => {
    const { outer, inner } = startPair()
    const tooLong = Buffer.alloc(65_537)
    expect(() => openStream(outer, { payload: tooLong.toString() })).toThrow(expect.objectContaining({ code: 'HEADERS_TOO_LARGE' }))
    const { recorder } = openStream(outer, { end: true })
    const { stream } = await until(() => inner.accepted[0])
    for (const send of [() => stream!.sendHead(tooLong), () => stream!.end(tooLong)]) {
      expect(send).toThrow(expect.objectContaining({ code: 'HEADERS_TOO_LARGE' }))
    }
    stream!.sendHead(Buffer.alloc(65_536))
    stream!.end(Buffer.alloc(65_536))
    await until(() => recorder.ends === 1)
    expect([outer.closed, inner.closed]).toEqual([[], []])
  })
})

describe('a handler that throws', () => {
  const throwing = (where: keyof StreamHandler, thrown: unknown): Recorder => {
    const recorder = new Recorder()
    const told = recorder[where]
    recorder[where] = (...args: never[]) => {
      Reflect.apply(told, recorder, args)
      throw thrown
    }
    return recorder
  }

  test.each(['onHead', 'onData', 'onTrailers', 'onEnd', 'onWritable', 'onCredit'] as const)(
    'in %s has its own stream reset, is told so, and leaves the session to the others',
    async where => {
      const { outer, inner } = startPair()
      const bad = throwing(where, new Error('a fault of ours'))
      bad.stream = outer.session.open(Buffer.from('bad'), bad)
      const good = openStream(outer)
      pump(bad, pattern(400_000, 1), { ends: false })
      bad.onWritable = where === 'onWritable' ? throwing(where, new Error('a fault of ours')).onWritable.bind(bad) : bad.onWritable
      await until(() => inner.accepted.length === 2)
      const [peer, other] = inner.accepted
      peer!.stream!.sendHead(Buffer.from('200'))
      peer!.stream!.write(Buffer.from('body'))
      peer!.stream!.end(Buffer.from('trailers'))
      await until(() => peer!.resets.length === 1)
      expect(peer!.resets[0]!.code).toBe('INTERNAL')
      expect(bad.resets.map(({ code }) => code)).toEqual(['INTERNAL'])
      expect(outer.faults.length).toBe(1)
      other!.stream!.end()
      good.stream.end()
      await until(() => good.recorder.ends === 1 && outer.session.streamCount === 0 && inner.session.streamCount === 0)
      expect([outer.closed, inner.closed]).toEqual([[], []])
    },
  )

  test('with a GatewayError resets with its code, which is no fault of ours', async () => {
    const { outer, inner } = startPair()
    const handler = throwing('onHead', new GatewayError('ORIGIN_BAD_RESPONSE', 'a second head'))
    handler.stream = outer.session.open(Buffer.from('x'), handler)
    const peer = await until(() => inner.accepted[0])
    peer.stream!.sendHead(Buffer.from('200'))
    await until(() => peer.resets.length === 1)
    expect(peer.resets[0]).toEqual({ code: 'ORIGIN_BAD_RESPONSE', reason: 'a second head' })
    expect(handler.resets).toEqual(peer.resets)
    expect(outer.faults).toEqual([])
  })

  test('on the last frame of a stream is told as well, although nothing is left to reset', async () => {
    const { outer, inner } = startPair()
    const handler = throwing('onData', new GatewayError('ORIGIN_BAD_RESPONSE', 'more bytes than announced'))
    handler.stream = outer.session.open(Buffer.from('x'), handler, { end: true })
    const peer = await until(() => inner.accepted[0])
    peer.stream!.write(Buffer.from('too much'))
    peer.stream!.end()
    await until(() => handler.resets.length === 1)
    expect([handler.ends, outer.session.streamCount, outer.session.outstandingBytes]).toEqual([0, 0, 0])
  })

  test('in onReset is a fault that is reported and nothing else', async () => {
    const { outer, inner } = startPair()
    const handler = throwing('onReset', new Error('a fault of ours'))
    handler.stream = outer.session.open(Buffer.from('x'), handler)
    const peer = await until(() => inner.accepted[0])
    peer.stream!.reset('INTERNAL')
    await until(() => outer.faults.length === 1)
    expect([outer.closed, outer.session.streamCount]).toEqual([[], 0])
  })

  test('while it accepts refuses the stream with the code that it threw', async () => {
    const accept = (): never => {
      throw new GatewayError('ORIGIN_FORBIDDEN', 'not allowed')
    }
    const { outer, inner } = startPair({ inner: { accept } })
    const { recorder } = openStream(outer)
    await until(() => recorder.resets.length === 1)
    expect(recorder.resets[0]!.code).toBe('ORIGIN_FORBIDDEN')
    expect([inner.session.streamCount, inner.faults]).toEqual([0, []])
  })
})
