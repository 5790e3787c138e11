import { describe, expect, test } from '@jest/globals'
import { Registry, type InnerConnection } from '../../src/outer/inner-layers/registry.ts'
import { LinkSpread } from '../../src/workers/link-spread.ts'
import { connectionOf, HereCarrier } from '../outer/carriers.ts'

/** Connections of one inner layer at this worker, and at others. */
const spreadOf = (own: number, elsewhere: readonly string[]) => {
  const registry = new Registry()
  const add = (node?: string): InnerConnection => {
    const connection = { ...connectionOf(new HereCarrier(), 'lan', 'process'), ...(node !== undefined && { node }) }
    registry.add(connection)
    return connection
  }
  const here = Array.from({ length: own }, () => add())
  for (const node of elsewhere) add(node)
  let nodes = [{ id: 'b' }]
  const spread = new LinkSpread(registry, () => nodes)
  return {
    look: () => spread.look(),
    come: () => here.push(add()),
    know: (...ids: readonly string[]) => (nodes = ids.map(id => ({ id }))),
    open: () => here.filter(({ session }) => session.isOpen).length,
    asked: () => here.filter(({ session }) => !session.isOpen).length,
  }
}

describe('connections of an inner layer', () => {
  test('one of two goes where another worker has none', () => {
    const { look, open } = spreadOf(2, [])
    look()
    expect(open()).toBe(1)
    look()
    expect(open()).toBe(1)
  })

  test('stay where each worker has one, where there is only one, and where nobody else can be reached', () => {
    for (const { look, open, know, count } of [
      { ...spreadOf(2, ['b']), count: 2 },
      { ...spreadOf(1, []), count: 1 },
    ]) {
      look()
      expect(open()).toBe(count)
      know()
      look()
      expect(open()).toBe(count)
    }
  })

  test('that come back to the same worker again and again stay at last, until other workers come', () => {
    const { look, come, know, asked } = spreadOf(2, [])
    for (let i = 0; i < 100; i++) {
      look()
      come()
    }
    const tries = asked()
    expect(tries).toBeLessThan(20)
    know('b', 'c')
    look()
    expect(asked()).toBe(tries + 1)
  })
})
