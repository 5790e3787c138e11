import { expect, test } from '@jest/globals'
import { NodeLinks } from '../../src/inner/node-links.ts'

const node = (id: string) => ({ id, url: `ws://${id}.test`, zone: '' })

test.each([0, 1])(
  'a node that is lost is not taken for another one: one that lives is found, and left when the given one is back (random %p)',
  first => {
    let random = first
    const linked = new Set<string>()
    const links = new NodeLinks({
      wanted: 1,
      admits: () => true,
      create: url => ({
        start: () => void linked.add(url),
        drain: () => Promise.resolve(void linked.delete(url)),
      }),
      random: () => (random = 1 - random),
    })
    const all = { self: 'a', zone: '', isLeaving: false, nodes: [node('a'), node('b')] }
    const [one, two, three] = [{}, {}, {}]
    links.told(one, all, true)
    links.told(two, all, true)
    expect([...linked]).toEqual([])
    links.lost(one)
    expect([...linked]).toEqual([])
    links.lost(two)
    expect([...linked]).toEqual(['ws://b.test'])
    links.told(three, all, true)
    expect([...linked]).toEqual([])
    links.told(three, { ...all, isLeaving: true, nodes: [node('b')] }, true)
    expect([...linked]).toEqual(['ws://b.test'])
  },
)
