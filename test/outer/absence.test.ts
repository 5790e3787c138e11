import { expect, test } from '@jest/globals'
import { absenceOf } from '../../src/outer/inner-layers/absence.ts'

test.each([
  [undefined, [], 'no inner layer is connected for localhost'],
  [['lan-a'], [], 'no inner layer is connected for localhost'],
  [['lan-a'], ['vm'], 'localhost wants lan-a; connected: vm (start it with --identifier lan-a)'],
  [['a', 'b'], ['x', 'y'], 'localhost wants a or b; connected: x, y (start one of them with --identifier a)'],
  [
    ['a'],
    ['1', '2', '3', '4', '5', '6', '7'],
    'localhost wants a; connected: 1, 2, 3, 4, 5 and 2 more (start one of them with --identifier a)',
  ],
  [['a', 'b'], ['b'], 'no other inner layer is connected for localhost'],
  [undefined, ['vm'], 'no other inner layer is connected for localhost'],
] as const)('wanted %j, connected %j', (wanted, connected, text) => {
  expect(absenceOf('localhost', wanted, connected)).toBe(text)
})
