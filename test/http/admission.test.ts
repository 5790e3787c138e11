import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { GatewayError } from '../../src/errors.ts'
import { admitRequest, MAX_TARGET_CHARS, type RawRequest } from '../../src/http/admission.ts'
import { MAX_FIELDS } from '../../src/http/fields.ts'

const request = (parts: Partial<RawRequest> = {}): RawRequest => ({
  method: 'GET',
  target: '/',
  httpVersion: '1.1',
  fields: ['Host', 'a.test'],
  ...parts,
})

const codeOf = (parts: Partial<RawRequest>): string => {
  try {
    admitRequest(request(parts))
    return 'admitted'
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError)
    return (error as GatewayError).code
  }
}

const HOST = ['Host', 'a.test']

test.each<readonly [string, Partial<RawRequest>, string]>([
  ['HTTP/2.0', { httpVersion: '2.0' }, 'BAD_REQUEST'],
  ['HTTP/0.9', { httpVersion: '0.9' }, 'BAD_REQUEST'],
  ['CONNECT', { method: 'CONNECT', target: 'a.test:443' }, 'METHOD_REFUSED'],
  ['TRACE', { method: 'TRACE' }, 'METHOD_REFUSED'],
  ['trace', { method: 'trace' }, 'METHOD_REFUSED'],
  ['Connect', { method: 'Connect' }, 'METHOD_REFUSED'],
  ['track', { method: 'track' }, 'METHOD_REFUSED'],
  ['deBug', { method: 'deBug' }, 'METHOD_REFUSED'],
  ['a target at the limit', { target: `/${'a'.repeat(MAX_TARGET_CHARS - 1)}` }, 'admitted'],
  ['a target over the limit', { target: `/${'a'.repeat(MAX_TARGET_CHARS)}` }, 'URI_TOO_LONG'],
  ['as many fields as may be', { fields: [...HOST, ...Array.from({ length: (MAX_FIELDS - 1) * 2 }, () => 'a')] }, 'admitted'],
  ['one field more', { fields: [...HOST, ...Array.from({ length: MAX_FIELDS * 2 }, () => 'a')] }, 'HEADERS_TOO_LARGE'],
  ['no Host', { fields: [] }, 'BAD_HOST'],
  ['no Host in HTTP/1.0', { fields: [], httpVersion: '1.0' }, 'admitted'],
  ['two Hosts in HTTP/1.0', { fields: [...HOST, ...HOST], httpVersion: '1.0' }, 'BAD_HOST'],
  ['an empty Host', { fields: ['Host', ''] }, 'BAD_HOST'],
  ['two Hosts in different case', { fields: [...HOST, 'hOST', 'a.test'] }, 'BAD_HOST'],
  ['two lengths', { fields: [...HOST, 'Content-Length', '1', 'content-length', '1'] }, 'BAD_FRAMING'],
  ['a length beyond 2^53', { fields: [...HOST, 'Content-Length', '9007199254740992'] }, 'BAD_FRAMING'],
  ['a length with a space', { fields: [...HOST, 'Content-Length', '1 '] }, 'BAD_FRAMING'],
  ['an empty length', { fields: [...HOST, 'Content-Length', ''] }, 'BAD_FRAMING'],
  ['length and coding', { fields: [...HOST, 'Content-Length', '1', 'Transfer-Encoding', 'chunked'] }, 'BAD_FRAMING'],
  ['two codings', { fields: [...HOST, 'Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'] }, 'BAD_FRAMING'],
  ['a coding in HTTP/1.0', { fields: [...HOST, 'Transfer-Encoding', 'chunked'], httpVersion: '1.0' }, 'BAD_FRAMING'],
  ['another coding', { fields: [...HOST, 'Transfer-Encoding', 'gzip, chunked'] }, 'CODING_UNSUPPORTED'],
  ['an empty coding', { fields: [...HOST, 'Transfer-Encoding', ''] }, 'CODING_UNSUPPORTED'],
  ['CHUNKED', { fields: [...HOST, 'Transfer-Encoding', 'CHUNKED'] }, 'admitted'],
  ['another expectation', { fields: [...HOST, 'Expect', 'x'] }, 'EXPECTATION_FAILED'],
  ['OPTIONS *', { method: 'OPTIONS', target: '*' }, 'admitted'],
  ['GET *', { target: '*' }, 'BAD_TARGET'],
  ['a relative target', { target: 'x' }, 'BAD_TARGET'],
  ['another scheme', { target: 'ftp://a.test/' }, 'BAD_TARGET'],
  ['no authority', { target: 'http:///x' }, 'BAD_TARGET'],
  ['another authority', { target: 'http://b.test/' }, 'BAD_HOST'],
])('%s is %3$s', (_name, parts, code) => {
  expect(codeOf(parts)).toBe(code)
})

describe('the facts of an admitted request', () => {
  test('an absolute-form target is taken apart, never parsed as a URL', () => {
    expect(admitRequest(request({ target: 'http://A.test//x/../y?z' }))).toMatchObject({ host: 'A.test', target: '//x/../y?z' })
    expect(admitRequest(request({ target: 'http://a.test' }))).toMatchObject({ host: 'a.test', target: '/' })
    expect(admitRequest(request({ target: 'http://a.test?q' }))).toMatchObject({ host: 'a.test', target: '/?q' })
  })

  test('a path with two slashes stays a path at its Host', () => {
    expect(admitRequest(request({ target: '//b.test/x' }))).toMatchObject({ host: 'a.test', target: '//b.test/x' })
  })

  test('the body is none, so many bytes, or a stream', () => {
    expect(admitRequest(request()).body).toEqual({ kind: 'none' })
    expect(admitRequest(request({ fields: [...HOST, 'Content-Length', '007'] })).body).toEqual({ kind: 'length', length: 7 })
    expect(admitRequest(request({ fields: [...HOST, 'Transfer-Encoding', 'chunked'] })).body).toEqual({ kind: 'stream' })
  })

  test('an expectation counts with a body, on HTTP/1.1', () => {
    const fields = [...HOST, 'Expect', '100-Continue']
    expect(admitRequest(request({ fields })).expectsContinue).toBe(false)
    expect(admitRequest(request({ fields: [...fields, 'Content-Length', '1'] })).expectsContinue).toBe(true)
    expect(admitRequest(request({ fields: [...fields, 'Content-Length', '1'], httpVersion: '1.0' })).expectsContinue).toBe(false)
  })
})

test('whatever comes is admitted with one host and one framing, or refused with a code', () => {
  const name = fc.constantFrom('Host', 'host', 'Content-Length', 'Transfer-Encoding', 'Expect', 'X-A', '__proto__')
  const value = fc.oneof(fc.constantFrom('a.test', '5', 'chunked', '100-continue', '', '0', '-1', '5, 5'), fc.string())
  const fields = fc.array(fc.tuple(name, value), { maxLength: 8 }).map(pairs => pairs.flat())
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.constantFrom('1.0', '1.1', '2.0'), fields, (method, target, httpVersion, list) => {
      let admitted
      try {
        admitted = admitRequest({ method, target, httpVersion, fields: list })
      } catch (error) {
        expect(error).toBeInstanceOf(GatewayError)
        expect((error as GatewayError).facts.status).toBeGreaterThanOrEqual(400)
        return
      }
      const count = (wanted: string): number => admitted.names.filter(field => field === wanted).length
      expect(count('host')).toBeLessThanOrEqual(1)
      expect(count('content-length') + count('transfer-encoding')).toBeLessThanOrEqual(1)
      expect(admitted.target === '*' || admitted.target.startsWith('/')).toBe(true)
    }),
  )
})
