import { expect, test } from '@jest/globals'
import { originFailure } from '../../src/origin/origin-failure.ts'

const failure = (code: string, syscall: string): string => originFailure(Object.assign(new Error(code), { code, syscall })).code

test.each([
  ['ECONNREFUSED', 'connect', 'ORIGIN_REFUSED'],
  ['EHOSTUNREACH', 'connect', 'ORIGIN_REFUSED'],
  ['ETIMEDOUT', 'connect', 'ORIGIN_CONNECT_TIMEOUT'],
  // Nothing was sent: another inner layer may have what this one has run out of.
  ['EMFILE', 'connect', 'INNER_EXHAUSTED'],
  ['ENFILE', 'connect', 'INNER_EXHAUSTED'],
  ['ENOBUFS', 'connect', 'INNER_EXHAUSTED'],
  ['EADDRNOTAVAIL', 'connect', 'INNER_EXHAUSTED'],
  ['EMFILE', 'getaddrinfo', 'INNER_EXHAUSTED'],
  ['ENOBUFS', 'write', 'ORIGIN_CLOSED'],
  ['EAI_AGAIN', 'getaddrinfo', 'ORIGIN_DNS'],
  ['EAI_SYSTEM', 'getaddrinfo', 'ORIGIN_DNS'],
  ['EACCES', 'connect', 'ORIGIN_REFUSED'],
  ['ECONNRESET', 'connect', 'ORIGIN_REFUSED'],
  ['ECONNRESET', 'read', 'ORIGIN_CLOSED'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', '', 'ORIGIN_TLS'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', '', 'ORIGIN_TLS'],
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

test('what is run out of is said, with what to do about it', () => {
  expect(originFailure(Object.assign(new Error('connect EMFILE 127.0.0.1:80'), { code: 'EMFILE', syscall: 'connect' })).message).toMatch(
    /ulimit -n.*EMFILE/,
  )
})

test('of several addresses, that one family is missing here says least', () => {
  const error = (code: string): Error => Object.assign(new Error(code), { code, syscall: 'connect' })
  expect(originFailure(new AggregateError([error('EADDRNOTAVAIL'), error('ECONNREFUSED')])).code).toBe('ORIGIN_REFUSED')
})

test('a fault of ours is called one', () => {
  expect(originFailure(new TypeError('x is not a function')).code).toBe('INTERNAL')
})
