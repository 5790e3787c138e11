import { expect, test } from '@jest/globals'
import { shown } from '../../src/cli/command/shown.ts'

test.each([
  ['wss://u:p@gw.test/tunnel/a:1', '"wss://***@gw.test/tunnel/a:1"'],
  ['http://token@gw.test', '"http://***@gw.test"'],
  ['alice:hunter2@localhost/tunnel/a:1', '"***@localhost/tunnel/a:1"'],
  ['127.0.0.1:2222', '"127.0.0.1:2222"'],
  ['lan-a=keys/a.crt', '"lan-a=keys/a.crt"'],
  ['wss://gw.test/tunnel/a@b:1', '"wss://gw.test/tunnel/a@b:1"'],
])('%s is shown as %s', (text, expected) => {
  expect(shown(text)).toBe(expected)
})
