/** Nothing is told twice, and what turns to and fro is told as one: with times that are said, not waited for. */
import { describe, expect, test } from '@jest/globals'
import { Occasions } from '../../src/events/occasions.ts'
import { TurningStates } from '../../src/events/turning-states.ts'

const note = { subject: 'lan-a', fields: { identifier: 'lan-a' } }

/** Events that are told, with times and counts, and a clock in seconds. */
function statesAt(): { readonly told: string[]; at(second: number, isUp?: boolean): void; forget(): void; readonly isWaiting: boolean } {
  const told: string[] = []
  const states = new TurningStates((name, _note, { atMs, count }) => told.push(`${name} @${atMs / 1_000} ×${count}`))
  return {
    told,
    at: (second, isUp) => {
      if (isUp !== undefined) states.turn('inner-layer', isUp, note, 'lan-a', second * 1_000)
      states.look(second * 1_000)
    },
    forget: () => states.forget('inner-layer', 'lan-a'),
    get isWaiting() {
      return states.isWaiting
    },
  }
}

describe('a state that turns', () => {
  test('is told once, however often it is said', () => {
    const { told, at } = statesAt()
    at(0, true)
    at(1, true)
    at(2, true)
    expect(told).toEqual(['inner-layer.connected @0 ×1'])
  })

  test('is told as lost after ten seconds, with the time at which it was', () => {
    const { told, at } = statesAt()
    at(0, true)
    at(100, false)
    at(109)
    expect(told).toHaveLength(1)
    at(110)
    at(500)
    expect(told).toEqual(['inner-layer.connected @0 ×1', 'inner-layer.lost @100 ×1'])
  })

  test('is told as one that counts when it comes back before', () => {
    const { told, at } = statesAt()
    at(0, true)
    for (const second of [100, 103, 106]) {
      at(second, false)
      at(second + 1, true)
    }
    at(116)
    expect(told).toHaveLength(1)
    at(117)
    at(500)
    expect(told.slice(1)).toEqual(['inner-layer.reconnected @107 ×3'])
  })

  test('is told at once when it is well after a loss that was told', () => {
    const { told, at } = statesAt()
    at(0, true)
    at(100, false)
    at(110)
    at(500, true)
    expect(told.at(-1)).toBe('inner-layer.connected @500 ×1')
  })

  test('is told ever more rarely when it goes on turning', () => {
    const { told, at } = statesAt()
    at(0, true)
    for (let second = 1; second <= 3_600; second++) at(second, second % 24 < 12)
    expect(told.length).toBeLessThan(70)
    expect(told.length).toBeGreaterThan(5)
  })

  test('that never rests for ten seconds is told once a minute, not never', () => {
    const { told, at } = statesAt()
    at(0, true)
    for (let second = 1; second <= 300; second++) at(second, second % 6 !== 0)
    const flaps = told.filter(line => line.startsWith('inner-layer.reconnected'))
    expect(flaps.length).toBeGreaterThanOrEqual(3)
    expect(flaps.length).toBeLessThanOrEqual(5)
  })

  test('is nothing any more once it is forgotten', () => {
    const states = statesAt()
    states.at(0, true)
    states.at(10, false)
    states.forget()
    states.at(1_000)
    expect(states.told).toHaveLength(1)
    expect(states.isWaiting).toBe(false)
  })

  test('of which nothing bad was ever said is no news where it is well', () => {
    const told: string[] = []
    const states = new TurningStates(name => told.push(name))
    states.turn('target', true, note, 'a', 0)
    states.turn('target', false, note, 'a', 1_000)
    states.look(11_000)
    states.turn('target', true, note, 'a', 60_000)
    expect(told).toEqual(['target.unserved', 'target.served'])
  })

  test('that is not well from the start is told when it stays so, and is no interruption when it does not', () => {
    const told: string[] = []
    const states = new TurningStates((name, _note, { count }) => told.push(`${name} ×${count}`))
    const fromStart = { ...note, isFromStart: true }
    for (const key of ['soon', 'late']) states.turn('target', false, fromStart, key, 0)
    states.turn('target', true, note, 'soon', 3_000)
    states.look(20_000)
    expect(told).toEqual(['target.unserved ×1'])
    states.turn('target', false, note, 'soon', 60_000)
    states.turn('target', true, note, 'soon', 61_000)
    states.look(80_000)
    states.turn('target', true, note, 'late', 90_000)
    expect(told.slice(1)).toEqual(['target.interrupted ×1', 'target.served ×1'])
  })

  test('costs a bounded memory, whoever makes up the names', () => {
    const states = new TurningStates(() => undefined)
    for (let index = 0; index < 30_000; index++) states.turn('inner-layer', true, note, `name-${index}`, index)
    const told: string[] = []
    const after = new TurningStates(name => told.push(name))
    after.turn('inner-layer', false, note, 'unknown', 0)
    after.look(10_000)
    expect(told).toEqual(['inner-layer.lost'])
  })
})

describe('what happens again and again', () => {
  const refused = (subject: string) => ({ subject, fields: { address: subject } })

  test('is told at once, then counted, ever longer', () => {
    const told: string[] = []
    const occasions = new Occasions((_name, _note, { atMs, count }) => told.push(`@${atMs / 1_000} ×${count}`))
    for (let second = 0; second <= 420; second += 10) {
      occasions.happened('inner-layer.refused', refused('203.0.113.7'), second * 1_000)
      occasions.look(second * 1_000)
    }
    expect(told).toEqual(['@0 ×1', '@60 ×6', '@180 ×12', '@420 ×24'])
  })

  test('is new again after a time without it', () => {
    const told: number[] = []
    const occasions = new Occasions((_name, _note, { count }) => told.push(count))
    occasions.happened('inner-layer.refused', refused('a'), 0)
    occasions.look(60_000)
    expect(occasions.isWaiting).toBe(false)
    occasions.happened('inner-layer.refused', refused('a'), 61_000)
    expect(told).toEqual([1, 1])
  })

  test('is told one by one for a thousand subjects, and together beyond', () => {
    const told: number[] = []
    const occasions = new Occasions((_name, _note, { count }) => told.push(count))
    for (let index = 0; index < 5_000; index++) occasions.happened('inner-layer.refused', refused(`10.0.0.${index}`), 0)
    expect(told).toHaveLength(1_000)
    occasions.look(60_000)
    expect(told.at(-1)).toBe(4_000)
    expect(told).toHaveLength(1_001)
  })
})
