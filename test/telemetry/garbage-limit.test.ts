/** When buffers are collected that V8 would leave where they are. */
import { describe, expect, test } from '@jest/globals'
import { GarbageLimit, limitGarbage } from '../../src/telemetry/garbage-limit.ts'

const MIB = 1_048_576

/** A heap whose collections take `ms` each and leave `kept` bytes. */
const startLimit = ({ ms = 0 } = {}) => {
  const state = { heldBytes: 0, nowMs: 0, collected: [] as string[] }
  const heap = {
    bufferBytes: () => state.heldBytes,
    collect: (what: string) => {
      state.collected.push(what)
      state.nowMs += ms
    },
  }
  const limit = new GarbageLimit(heap, { wallMs: () => state.nowMs, cpuMs: () => state.nowMs })
  return { state, limit, look: (): void => limit.moved(4 * MIB) }
}

describe('a limit of garbage', () => {
  test('collects nothing while buffers are few, however much is moved', () => {
    const { state, limit, look } = startLimit()
    state.heldBytes = limit.limitBytes - 1
    for (let i = 0; i < 1_000; i++) look()
    expect(state.collected).toEqual([])
  })

  test('collects what is young first, and all when that was not enough', () => {
    const { state, look } = startLimit()
    state.heldBytes = 40 * MIB
    look()
    look()
    expect(state.collected).toEqual(['young', 'all'])
  })

  test('looks once in some megabytes, not for each message', () => {
    const { state, limit } = startLimit()
    state.heldBytes = 40 * MIB
    for (let i = 0; i < 4 * 64; i++) limit.moved(MIB / 64)
    expect(state.collected).toEqual(['young'])
  })

  test('does not search for garbage again and again where everything is in use', () => {
    const { state, limit, look } = startLimit()
    state.heldBytes = 40 * MIB
    for (let i = 0; i < 1_000; i++) look()
    expect(state.collected).toEqual(['young', 'all'])
    expect(limit.limitBytes).toBeGreaterThan(40 * MIB)
  })

  test('comes down again when what was in use has left, or was not given back yet when it was looked at', () => {
    const { state, limit, look } = startLimit()
    state.heldBytes = 80 * MIB
    for (let i = 0; i < 3; i++) look()
    const high = limit.limitBytes
    state.heldBytes = 15 * MIB
    look()
    expect(limit.limitBytes).toBeLessThan(high - 50 * MIB)
    expect(limit.limitBytes).toBeGreaterThan(15 * MIB)
  })

  test('sees soon what a collection has brought, so that one of all is made when it has to be', () => {
    const { state, limit, look } = startLimit()
    state.heldBytes = 40 * MIB
    look()
    state.heldBytes = 8 * MIB
    limit.moved(MIB)
    state.heldBytes = 40 * MIB
    look()
    expect(state.collected).toEqual(['young', 'young'])
  })

  test('takes a tenth of the time at most', () => {
    const { state, look } = startLimit({ ms: 5 })
    for (let i = 0; i < 1_000; i++) {
      state.heldBytes = 1_000 * MIB * (i + 1)
      look()
      state.nowMs += 1
    }
    expect((state.collected.length * 5) / state.nowMs).toBeLessThan(0.11)
    expect(state.collected.length).toBeGreaterThan(10)
  })

  test('of a few transfers: what is young, where V8 would collect all', () => {
    const { state, limit } = startLimit()
    state.heldBytes = 9 * MIB
    limit.moved(4 * MIB, false)
    expect(state.collected).toEqual([])
    state.heldBytes = 13 * MIB
    for (let i = 0; i < 4; i++) {
      limit.moved(4 * MIB, false)
      state.heldBytes = i % 2 === 0 ? 8 * MIB : 16 * MIB
    }
    expect(state.collected).toEqual(['young', 'young'])
  })

  test('of a few transfers, does not search where everything is in use', () => {
    const { state, limit } = startLimit()
    state.heldBytes = 40 * MIB
    for (let i = 0; i < 1_000; i++) limit.moved(4 * MIB, false)
    expect(state.collected).toEqual(['young'])
  })

  test('is one of this process', () => {
    // The heap of a test is none that anybody could count on: what is claimed is that it can be asked and collected.
    const moved = limitGarbage(() => performance.now())
    const held: Buffer[] = []
    for (let i = 0; i < 12; i++) {
      held.push(Buffer.allocUnsafeSlow(4 * MIB))
      moved(4 * MIB, i % 2 === 0)
    }
    expect(held.reduce((sum, { length }) => sum + length, 0)).toBe(48 * MIB)
  })
})
