import { describe, expect, test } from '@jest/globals'
import { PassThrough } from 'node:stream'
import { GatewayError } from '../../src/errors.ts'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { Splice } from '../../src/splice/splice.ts'
import { pattern } from '../link/pair.ts'
import { openStream, startPair, turns } from '../mux/ends.ts'
import { once, until, within } from '../support/wait.ts'
import { readAll, startSpliced } from './spliced.ts'

describe('a splice', () => {
  test('carries bytes both ways, unchanged and in order, and counts them', async () => {
    const { client, origin, pair } = await startSpliced()
    const [up, down] = [pattern(3_000_000, 1), pattern(5_000_000, 2)]
    const [atOrigin, atClient] = [readAll(origin.far), readAll(client.far)]
    client.far.end(up)
    origin.far.end(down)
    expect(await within(atOrigin.done, 'the upload')).toBe('end')
    expect(await within(atClient.done, 'the download')).toBe('end')
    expect(atOrigin.bytes().equals(up)).toBe(true)
    expect(atClient.bytes().equals(down)).toBe(true)
    await until(() => client.ends.length === 1 && origin.ends.length === 1)
    expect(client.ends).toEqual([{ code: undefined, reason: '', bytesIn: up.length, bytesOut: down.length }])
    expect(origin.ends).toEqual([{ code: undefined, reason: '', bytesIn: down.length, bytesOut: up.length }])
    await until(() => pair.outer.session.streamCount === 0 && pair.inner.session.streamCount === 0)
    expect([pair.outer.session.outstandingBytes, pair.inner.session.outstandingBytes]).toEqual([0, 0])
  })

  test('sends what was read already first', async () => {
    const { client, origin } = await startSpliced({ client: { head: Buffer.from('one ') }, origin: { head: Buffer.from('eins ') } })
    const [atOrigin, atClient] = [readAll(origin.far), readAll(client.far)]
    client.far.end('two')
    origin.far.end('zwei')
    await Promise.all([atOrigin.done, atClient.done])
    expect([atOrigin.bytes().toString(), atClient.bytes().toString()]).toEqual(['one two', 'eins zwei'])
    await until(() => client.ends.length === 1)
    expect(client.ends[0]).toMatchObject({ bytesIn: 7, bytesOut: 9 })
  })

  test.each(['client', 'origin'] as const)('ends each half on its own when the %s ends first', async first => {
    const sides = await startSpliced()
    const [here, there] = first === 'client' ? [sides.client, sides.origin] : [sides.origin, sides.client]
    const [atHere, atThere] = [readAll(here.far), readAll(there.far)]
    here.far.end('the last word of one side')
    expect(await atThere.done).toBe('end')
    expect(atThere.bytes().toString()).toBe('the last word of one side')
    // The other half goes on for as long as it likes.
    for (const word of ['a', 'b', 'c']) {
      there.far.write(word)
      await until(() => atHere.bytes().toString().endsWith(word))
    }
    expect(here.ends.length + there.ends.length).toBe(0)
    there.far.end()
    expect(await atHere.done).toBe('end')
    await until(() => here.ends.length === 1 && there.ends.length === 1)
    expect([here.ends[0]!.code, there.ends[0]!.code]).toEqual([undefined, undefined])
  })

  test.each([
    ['client', 'CANCELLED'],
    ['origin', 'ORIGIN_CLOSED'],
  ] as const)('resets the other side when the %s resets', async (first, code) => {
    const sides = await startSpliced()
    const [here, there] = first === 'client' ? [sides.client, sides.origin] : [sides.origin, sides.client]
    const atThere = readAll(there.far)
    const atHere = readAll(here.far)
    here.far.write('x')
    await until(() => atThere.bytes().length === 1)
    let error: NodeJS.ErrnoException | undefined
    there.far.on('error', thrown => (error = thrown))
    here.far.resetAndDestroy()
    await until(() => there.far.closed)
    expect(error?.code).toBe('ECONNRESET')
    expect(await atHere.done).toBe('failed')
    await until(() => here.ends.length === 1 && there.ends.length === 1)
    expect([here.ends[0], there.ends[0]]).toMatchObject([{ code }, { code }])
  })

  test('resets both sides when the link is lost', async () => {
    const { client, origin, pair } = await startSpliced()
    const [atClient, atOrigin] = [readAll(client.far), readAll(origin.far)]
    pair.outerLink.destroy()
    expect(await Promise.all([atClient.done, atOrigin.done])).toEqual(['failed', 'failed'])
    expect([client.ends[0]?.code, origin.ends[0]?.code]).toEqual(['INNER_LAYER_LOST', 'OUTER_LAYER_LOST'])
    await turns(10)
    expect([client.ends.length, origin.ends.length]).toEqual([1, 1])
  })

  test('a reader that stands still stops the writer, and nothing is lost', async () => {
    const { client, origin, pair } = await startSpliced({ budget: new GrowthBudget(0) })
    const body = pattern(60_000_000, 3)
    let sent = 0
    origin.far.write(body, () => (sent = body.length))
    const { outer, inner } = pair
    const held = (): number => outer.session.outstandingBytes + inner.session.outstandingBytes
    // Kernels take a few MiB; what the two layers hold stays within a window on each side, and a queue.
    await until(async () => {
      const before = client.splice.bytesOut
      await turns(200)
      return before > 0 && client.splice.bytesOut === before && origin.near.isPaused()
    })
    expect(sent).toBe(0)
    expect(held()).toBeLessThan(1_048_576)
    expect(client.near.writableLength).toBeLessThan(1_048_576)
    const atClient = readAll(client.far)
    await until(() => atClient.length() === body.length)
    expect(atClient.bytes().equals(body)).toBe(true)
    expect(sent).toBe(body.length)
  })

  test('is cut on both sides once nothing has moved for its idle time, and not before', async () => {
    const { client, origin } = await startSpliced({ client: { idleMs: 1_000 } })
    const [atClient, atOrigin] = [readAll(client.far), readAll(origin.far)]
    // Activity in either direction counts: 1,500 ms of a word now and then from one side alone.
    const words = setInterval(() => origin.far.write('.'), 100)
    await until(() => atClient.bytes().length === 15)
    clearInterval(words)
    expect(client.ends).toEqual([])
    expect(await Promise.all([atClient.done, atOrigin.done])).toEqual(['failed', 'failed'])
    expect(client.ends).toMatchObject([{ code: 'IDLE_TIMEOUT', reason: 'nothing for 1000 ms' }])
    expect(origin.ends).toMatchObject([{ code: 'IDLE_TIMEOUT' }])
  })

  test('aborts both sides when told so, once', async () => {
    const { client, origin } = await startSpliced()
    const [atClient, atOrigin] = [readAll(client.far), readAll(origin.far)]
    client.splice.abort('DRAINING', 'the process leaves')
    client.splice.abort('INTERNAL', 'again')
    expect(await Promise.all([atClient.done, atOrigin.done])).toEqual(['failed', 'failed'])
    expect(client.ends).toEqual([{ code: 'DRAINING', reason: 'the process leaves', bytesIn: 0, bytesOut: 0 }])
    expect(origin.ends).toMatchObject([{ code: 'DRAINING', reason: 'the process leaves' }])
    expect(client.splice.isOver).toBe(true)
  })

  test('a head or trailers in the middle of it are faults of the peer, and end it alone', async () => {
    const { client, origin, pair } = await startSpliced()
    const atClient = readAll(client.far)
    readAll(origin.far)
    origin.stream.sendHead(Buffer.from('head'))
    expect(await atClient.done).toBe('failed')
    expect(client.ends).toMatchObject([{ code: 'PROTOCOL' }])
    expect(pair.outer.session.isOpen).toBe(true)
  })

  test('joins any duplex, and destroys it where there is no reset', async () => {
    const { outer, inner } = startPair()
    const duplex = new PassThrough()
    const ends: unknown[] = []
    const joined = new Splice(duplex, {
      failure: () => new GatewayError('CANCELLED', 'gone'),
      onHead: () => undefined,
      onEnd: end => ends.push(end),
    })
    const { stream } = openStream(outer)
    joined.attach(stream)
    const peer = await until(() => inner.accepted[0])
    peer.stream!.sendHead(Buffer.from('head'))
    duplex.write('echo')
    await until(() => peer.receivedBytes === 4)
    peer.stream!.reset('ORIGIN_CLOSED', 'gone')
    await until(() => duplex.destroyed)
    expect(ends).toEqual([{ code: 'ORIGIN_CLOSED', reason: 'gone', bytesIn: 4, bytesOut: 0 }])
  })

  test('refuses the stream when the socket has closed before it began', async () => {
    const { outer, inner } = startPair()
    const duplex = new PassThrough()
    duplex.destroy()
    await once(duplex, 'close')
    const ends: unknown[] = []
    const joined = new Splice(duplex, { failure: () => new GatewayError('CANCELLED', 'gone'), onEnd: end => ends.push(end) })
    joined.attach(openStream(outer).stream)
    const peer = await until(() => inner.accepted[0])
    await until(() => peer.resets.length === 1)
    expect(peer.resets).toEqual([{ code: 'CANCELLED', reason: 'gone' }])
    expect(ends).toEqual([{ code: 'CANCELLED', reason: 'gone', bytesIn: 0, bytesOut: 0 }])
  })
})
