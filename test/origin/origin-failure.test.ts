import { expect, test } from '@jest/globals'
import { originFailure } from '../../src/origin/origin-failure.ts'

const failure = (code: string, syscall: string): string => originFailure(Object.assign(new Error(code), { code, syscall })).code

test.each([
  ['ECONNREFUSED', 'connect', 'ORIGIN_REFUSED'],
  ['EHOSTUNREACH', 'connect', 'ORIGIN_REFUSED'],
  ['ETIMEDOUT', 'connect', 'ORIGIN_CONNECT_TIMEOUT'],
  // A POST may have been executed: nobody may take these for a dial that failed.
  ['EHOSTUNREACH', 'read', 'ORIGIN_CLOSED'],
  ['ENETUNREACH', 'write', 'ORIGIN_CLOSED'],
  ['ETIMEDOUT', 'read', 'ORIGIN_CLOSED'],
])('%s of %s is %s', (code, syscall, wanted) => {
  expect(failure(code, syscall)).toBe(wanted)
})

test('what is no error at all is a closed connection, and no fault', () => {
  for (const thrown of [null, undefined, 'text', {}]) expect(originFailure(thrown).code).toBe('ORIGIN_CLOSED')
})
