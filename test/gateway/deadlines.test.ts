import { afterEach, describe, expect, it } from '@jest/globals'
import { DeadlineQueue, type Expiring } from '../../src/net/deadline-queue.ts'
import { until } from '../support/wait.ts'

let now = 0
let deadlines: DeadlineQueue | undefined
const told: string[] = []
const waiter = (name: string): Expiring => ({
  deadlineMs: 0,
  earlier: undefined,
  later: undefined,
  onDeadline: () => void told.push(name),
  onFault: () => void told.push('fault'),
})
const start = (): DeadlineQueue => {
  now = 0
  told.length = 0
  deadlines = new DeadlineQueue(40, () => now)
  return deadlines
}

afterEach(() => deadlines?.close())

describe('deadlines', () => {
  it('tells those whose time is over, in order, and once', async () => {
    const queue = start()
    const [a, b, c] = [waiter('a'), waiter('b'), waiter('c')]
    for (const one of [a, b, c]) queue.refresh(one)
    now = 20
    queue.refresh(a)
    now = 45
    await until(() => told.length === ['b', 'c'].length)
    expect(told).toEqual(['b', 'c'])
    now = 70
    await until(() => told.length === ['b', 'c', 'a'].length)
    expect(told).toEqual(['b', 'c', 'a'])
  })

  it('says nothing to one that has left, and one that left points at nobody', async () => {
    const queue = start()
    const [a, b, c] = [waiter('a'), waiter('b'), waiter('c')]
    for (const one of [a, b, c]) queue.refresh(one)
    queue.cancel(b)
    queue.cancel(b)
    expect([b.earlier, b.later]).toEqual([undefined, undefined])
    now = 100
    await until(() => told.length === ['a', 'c'].length)
    expect(told).toEqual(['a', 'c'])
  })

  it('goes on when the one it tells leaves together with the next', async () => {
    const queue = start()
    const b = waiter('b')
    const a: Expiring = { ...waiter('a'), onDeadline: () => (told.push('a'), queue.cancel(b)) }
    const c = waiter('c')
    for (const one of [a, b, c]) queue.refresh(one)
    now = 100
    await until(() => told.length === ['a', 'c'].length)
    expect(told).toEqual(['a', 'c'])
  })
})
