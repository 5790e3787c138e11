/** Cookies of requests: those that are for the gateway, and those that are not. */
import { describe, expect, test } from '@jest/globals'
import { cookiesOf, withoutOurs } from '../../src/http/cookies.ts'

const OURS = '__Host-sg-login-visitor'

/** As it is meant, pair by pair. */
const plainly = (value: string, own?: string): string =>
  value
    .split(';')
    .filter(pair => {
      const name = pair.slice(0, Math.max(0, pair.indexOf('='))).trim()
      return name !== own && !name.startsWith('sg-login-') && !name.startsWith('__Host-sg-login-')
    })
    .join(';')
    .trim()

const PAIRS = [
  'a=1',
  ` ${OURS}=x.y`,
  'sg-login-share=1',
  `b=${OURS}=2`,
  `x${OURS}=3`,
  OURS,
  '',
  ' ',
  ` \tsg-login-visitor = 4 `,
  'sticky=5',
]

/** Every way to have one to three of them. */
const fields = PAIRS.flatMap(one => [[one], ...PAIRS.flatMap(two => [[one, two], ...PAIRS.map(three => [one, two, three])])]).map(pairs =>
  pairs.join(';'),
)

describe('cookies of a request', () => {
  test('are kept from the origin when they are ours, wherever they stand, and no others are', () => {
    for (const value of fields)
      for (const own of [undefined, 'sticky']) expect([value, withoutOurs(value, own).trim()]).toEqual([value, plainly(value, own)])
  })

  test('are found by their whole name alone', () => {
    const find = (...values: string[]): readonly string[] =>
      cookiesOf({ fields: values.flatMap(value => ['Cookie', value]), names: values.map(() => 'cookie') }, OURS, 3)
    expect(find(`a=1; ${OURS}=x=y ;b=2`)).toEqual(['x=y'])
    expect(find(`x${OURS}=1; b=${OURS}=2; ${OURS}x=3; ${OURS}`)).toEqual([])
    expect(find(`${OURS}=1;${OURS}=2`, 'c=3', `${OURS}=4; ${OURS}=5`)).toEqual(['1', '2', '4'])
    expect(cookiesOf({ fields: ['X', `${OURS}=1`], names: ['x'] }, OURS, 3)).toEqual([])
  })
})
