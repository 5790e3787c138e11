import { describe, expect, test } from '@jest/globals'
import { HandshakeTurns } from '../../src/tls/handshake-turns.ts'
import { until } from '../support/wait.ts'

const ignore = (): void => undefined

describe('handshakes', () => {
  test('begin one in each turn of the event loop, the first at once', async () => {
    const turns = new HandshakeTurns()
    const seen: string[] = []
    for (const name of ['a', 'b', 'c']) turns.take(name, () => void seen.push(name), ignore)
    expect(seen).toEqual(['a'])
    const look = (): void => {
      seen.push('whatever else is there')
      if (seen.length < 6) setImmediate(look)
    }
    setImmediate(look)
    await until(() => seen.length >= 6)
    expect(seen).toEqual(['a', 'b', 'whatever else is there', 'c', 'whatever else is there', 'whatever else is there'])
    turns.take('d', () => void seen.push('d'), ignore)
    expect(seen.at(-1)).toBe('d')
  })

  test('of clients take turns, so that one with many keeps nobody waiting', async () => {
    const turns = new HandshakeTurns()
    const seen: string[] = []
    for (const [client, name] of [
      ['a', 'a1'],
      ['a', 'a2'],
      ['a', 'a3'],
      ['a', 'a4'],
      ['b', 'b1'],
      ['c', 'c1'],
      ['b', 'b2'],
    ] as const)
      turns.take(client, () => void seen.push(name), ignore)
    await until(() => turns.count === 0)
    expect(seen).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
  })

  test('that throw are refused, and the next one has its turn', async () => {
    const turns = new HandshakeTurns()
    const seen: string[] = []
    turns.take('a', ignore, ignore)
    const fail = (): void => {
      throw new Error('as the test wants it')
    }
    turns.take('a', fail, () => void seen.push('refused'))
    turns.take('a', () => void seen.push('begun'), ignore)
    await until(() => turns.count === 0)
    expect(seen).toEqual(['refused', 'begun'])
  })

  test('beyond 256 of one client or 2,048 of all are refused', async () => {
    const turns = new HandshakeTurns()
    let [begun, refused] = [0, 0]
    const take = (client: string): void =>
      turns.take(
        client,
        () => begun++,
        () => refused++,
      )
    for (let attempt = 0; attempt < 300; attempt++) take('one')
    expect([turns.count, begun, refused]).toEqual([256, 1, 43])
    for (let client = 0; client < 2_000; client++) take(`other ${client}`)
    expect([turns.count, begun, refused]).toEqual([2_048, 1, 251])
    await until(() => turns.count === 0)
    expect(begun).toBe(2_049)
  })
})
