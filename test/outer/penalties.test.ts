import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import { expect, test } from '@jest/globals'
import { ConnectionLimits } from '../../src/outer/access/connection-limits.ts'
import { FRAME_COST, FrameBudget } from '../../src/outer/http-edge/frame-budget.ts'
import { Penalties } from '../../src/outer/access/penalties.ts'
import { HandshakeLimits } from '../../src/outer/inner-layers/handshake-limits.ts'
import { onCleanUp } from '../support/cleanup.ts'

test('a penalty ends by itself, and begins anew', () => {
  let now = 0
  const penalties = new Penalties(100, () => now)
  expect(penalties.has('a')).toBe(false)
  penalties.add('a')
  now = 60
  penalties.add('a')
  now = 150
  expect([penalties.has('a'), penalties.has('b')]).toEqual([true, false])
  now = 160
  expect(penalties.has('a')).toBe(false)
})

test('ten thousand addresses are remembered, the oldest is the first to go free', () => {
  const penalties = new Penalties(100, () => 0)
  for (let i = 0; i <= 10_000; i++) penalties.add(String(i))
  expect([penalties.has('0'), penalties.has('1'), penalties.has('10000')]).toEqual([false, true, true])
})

test('an IPv6 address stands for its /64, in a penalty and in the count of connections', () => {
  const penalties = new Penalties(100, () => 0)
  penalties.add('2001:db8:1:2::1')
  expect([penalties.has('2001:db8:1:2:ffff::9'), penalties.has('2001:db8:1:3::1')]).toEqual([true, false])
  const limits = new ConnectionLimits({ connections: 0, connectionsPerAddress: 2 }, () => false)
  const [first, second] = [new EventEmitter(), new EventEmitter()]
  expect(limits.admit(first, '2001:db8:1:2::1')).toBeUndefined()
  expect(limits.admit(second, '2001:db8:1:2::2')).toBeUndefined()
  expect(limits.admit(new EventEmitter(), '2001:db8:1:2::3')).toMatch(/of this address/)
  expect(limits.admit(new EventEmitter(), '2001:db8:1:3::1')).toBeUndefined()
  second.emit('close')
  expect(limits.admit(new EventEmitter(), '2001:db8:1:2::4')).toBeUndefined()
})

test('handshakes of one /64 are counted together', () => {
  const limits = new HandshakeLimits(() => 0)
  onCleanUp(() => sockets.forEach(socket => socket.destroy()))
  const sockets = Array.from({ length: 6 }, () => new Socket())
  const verdicts = sockets.map((socket, i) => limits.admit(socket, `2001:db8:0:7::${i}`))
  expect(verdicts).toEqual([...Array.from({ length: 5 }, () => undefined), 'too many handshakes'])
})

test('a budget is spent, and comes back with time and with work', () => {
  let now = 0
  const budget = new FrameBudget(() => now)
  for (let i = 0; i < 500; i++) expect(budget.spend(FRAME_COST.brokenStream)).toBe(true)
  expect(budget.spend(FRAME_COST.brokenStream)).toBe(false)
  now = 1_000
  for (let i = 0; i < 24; i++) expect(budget.spend(FRAME_COST.brokenStream)).toBe(true)
  expect(budget.spend(FRAME_COST.brokenStream)).toBe(false)
  // A client that breaks off every second stream never runs out.
  for (let i = 0; i < 10; i++) budget.earn(FRAME_COST.wholeStream)
  for (let i = 0; i < 10_000; i++) {
    budget.earn(FRAME_COST.wholeStream)
    expect(budget.spend(FRAME_COST.brokenStream)).toBe(true)
  }
})
