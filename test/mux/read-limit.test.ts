import { expect, test } from '@jest/globals'
import { creditToReadOn, ReadLimit } from '../../src/mux/read-limit.ts'
import { turns } from './ends.ts'

const READ_BYTES = 65_536

/** Streams that read 64 KiB each time they go on. */
const startStreams = (
  count: number,
  { brings = READ_BYTES } = {},
): { readonly limit: ReadLimit; readonly streams: { goOn(): void }[]; readonly wentOn: () => number } => {
  const limit = new ReadLimit()
  let wentOn = 0
  const goOn = (): void => {
    wentOn++
    limit.changed(brings)
  }
  return { limit, streams: Array.from({ length: count }, () => ({ goOn })), wentOn: () => wentOn }
}

test('of hundreds of streams that find room at once a few read on, and the others as soon as bytes leave', async () => {
  const { limit, streams, wentOn } = startStreams(300)
  for (const stream of streams) if (limit.admits(stream)) stream.goOn()
  await turns(10)
  const first = wentOn()
  expect(first).toBeGreaterThan(1)
  expect(first).toBeLessThan(20)
  for (let left = 0; left < 300; left++) {
    limit.changed(-READ_BYTES)
    await turns(1)
  }
  expect(wentOn()).toBe(300)
})

test('streams that have nothing to read do not hold up those behind them', async () => {
  const { limit, streams, wentOn } = startStreams(300, { brings: 0 })
  for (const stream of streams) if (limit.admits(stream)) stream.goOn()
  for (let turn = 0; turn < 300 && wentOn() < 300; turn++) await turns(1)
  expect(wentOn()).toBe(300)
})

test('a stream that reads for the first time waits as well while too much is queued, in the order of asking', async () => {
  const { limit, streams, wentOn } = startStreams(300)
  const told = streams.map(stream => {
    const mayRead = limit.mayRead(stream)
    limit.changed(mayRead ? READ_BYTES : 0)
    return mayRead
  })
  const first = told.filter(Boolean).length
  expect(first).toBeGreaterThan(1)
  expect(first).toBeLessThan(20)
  expect(told.lastIndexOf(true)).toBe(first - 1)
  for (let left = 0; left < 300 - first; left++) {
    limit.changed(-READ_BYTES)
    await turns(1)
  }
  expect(wentOn()).toBe(300 - first)
})

test('a stream that is over is not told to read on', async () => {
  const { limit, streams, wentOn } = startStreams(50)
  for (const stream of streams) if (limit.admits(stream)) stream.goOn()
  const first = wentOn()
  for (const stream of streams) limit.forget(stream)
  limit.changed(-first * READ_BYTES)
  await turns(5)
  expect(wentOn()).toBe(first)
})

test.each([1, 2, 3, 5, 7, 100, 65_536, 1_000_000])('with a window of %i bytes there will be so much credit', window => {
  // What a reader that has taken everything owes is less than a quarter.
  const owed = Math.ceil(window / 4) - 1
  expect(creditToReadOn(window)).toBeLessThanOrEqual(window - owed)
  expect(creditToReadOn(window)).toBeGreaterThan(0)
})
