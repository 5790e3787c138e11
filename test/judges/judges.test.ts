/**
 * Real servers as origins say whether policies and routes hold, and whether they execute exactly what the gateway accounts for. Some variants for each
 * of them here; `npm run judges` sends thousands, and has Tomcat as well.
 */
import { expect, test } from '@jest/globals'
import { testWith } from '../support/needs.ts'
import { SEED } from '../support/seed.ts'
import { judgeFraming } from './framing.ts'
import { differences, FENCES, judgeDirectly, judgePaths, startFences } from './paths.ts'
import { JUDGES } from './servers.ts'

const VARIANTS = 40
/** Each server has other odd requests: all of them together have them all. */
const CONVERSATIONS = 24

for (const [index, [name, { programs, start, isHeavy }]] of [...JUDGES].entries()) {
  if (isHeavy) continue
  testWith(programs, `${name} finds no way around a fence, and executes what the access log has`, async () => {
    const judge = await start()
    expect(await judgeDirectly(judge, VARIANTS, SEED)).toBeGreaterThan(0)
    const layers = await startFences(judge)
    let fences = 0
    for await (const { fence, faults } of judgePaths(judge, layers, VARIANTS, SEED)) {
      expect({ fence, faults }).toEqual({ fence, faults: [] })
      fences++
    }
    expect(fences).toBe(FENCES.size)
    await layers.close()
    expect((await judgeFraming(judge, CONVERSATIONS, SEED, (index * CONVERSATIONS) / 2)).faults).toEqual([])
  })
}

test('the comparison sees what is missing and what is too much', () => {
  expect(differences('x', ['/a', '/b'], ['/b', '/a'])).toEqual([])
  expect(differences('x', ['/a', '-'], ['/b', '/a'])).toEqual([])
  expect(differences('x', ['/a'], ['/a'], ['/b'])).toEqual([])
  expect(differences('x', ['/a', '/a'], ['/a'])).toEqual(['x has seen "/a", and the gateway has no line of it'])
  expect(differences('x', ['/a'], ['/a', '/b'])).toEqual(['x has not seen what the gateway has lines of: "/b"'])
  expect(differences('x', ['/c'], ['/a'], ['/b'])).toHaveLength(2)
})
