import { describe, expect, test } from '@jest/globals'
import { ClientTurns } from '../../src/net/client-turns.ts'
import { until } from '../support/wait.ts'

const ignore = (): void => undefined

describe('turns with a time', () => {
  test('begin as many in each turn of the event loop as fit in it, and whatever else is there comes between', async () => {
    let nowMs = 0
    const turns = new ClientTurns({ turnMs: 2, clock: () => nowMs })
    const seen: string[] = []
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      turns.take(
        name,
        () => {
          seen.push(name)
          nowMs++
        },
        ignore,
      )
    expect([seen, turns.count]).toEqual([['a', 'b'], 3])
    setImmediate(() => void seen.push('else'))
    await until(() => turns.count === 0)
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'else', 'e'])
  })

  test('are one after the other for one client, and in turns for several', async () => {
    let nowMs = 0
    const turns = new ClientTurns({ turnMs: 1, clock: () => nowMs })
    const seen: string[] = []
    for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2'])
      turns.take(
        name.charAt(0),
        () => {
          seen.push(name)
          nowMs++
        },
        ignore,
      )
    await until(() => turns.count === 0)
    expect(seen).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
  })

  test('what costs nothing, such as one that has left, takes no turn from those behind it', async () => {
    let nowMs = 0
    const turns = new ClientTurns({ turnMs: 1, clock: () => nowMs })
    let begun = 0
    turns.take('a', () => nowMs++, ignore)
    for (let i = 0; i < 100; i++) turns.take('a', () => begun++, ignore)
    let turnsTaken = 0
    const look = (): void => {
      turnsTaken++
      if (turns.count > 0) setImmediate(look)
    }
    setImmediate(look)
    await until(() => turns.count === 0)
    expect([begun, turnsTaken]).toEqual([100, 1])
  })

  test('one that is begun at once may throw, and the next ones have their turn', async () => {
    const turns = new ClientTurns({ turnMs: 0 })
    const fail = (): void => {
      throw new Error('as the test wants it')
    }
    expect(() => turns.take('a', fail, ignore)).toThrow('as the test wants it')
    const seen: string[] = []
    turns.take('a', fail, () => void seen.push('refused'))
    turns.take('a', () => void seen.push('begun'), ignore)
    await until(() => turns.count === 0)
    expect(seen).toEqual(['refused', 'begun'])
  })
})
