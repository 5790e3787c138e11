import { describe, expect, test } from '@jest/globals'
import { admitRequest, type AcceptedRequest } from '../../src/http/admission.ts'
import { type GatewayError } from '../../src/errors.ts'
import { addHttp2Fields, http2Headers } from '../../src/http2/http2-fields.ts'
import { http2Request } from '../../src/http2/http2-request.ts'

const pseudo = (parts: Record<string, string> = {}): string[] =>
  Object.entries({ ':method': 'GET', ':scheme': 'https', ':authority': 'a.test', ':path': '/x?y', ...parts }).flat()

const admit = (raw: readonly string[], endsWithHead = true): AcceptedRequest => admitRequest(http2Request(raw, endsWithHead))
const codeOf = (raw: readonly string[], endsWithHead = true): string => {
  try {
    admit(raw, endsWithHead)
    return 'admitted'
  } catch (error) {
    return (error as GatewayError).code
  }
}

test('an ordinary request has its authority as Host, and its fields in order', () => {
  expect(admit([...pseudo(), 'accept', '*/*', 'x-a', '1', 'x-a', '2'])).toMatchObject({
    method: 'GET',
    target: '/x?y',
    host: 'a.test',
    version: '2.0',
    isHttp10: false,
    body: { kind: 'none' },
    upgrades: undefined,
    fields: ['host', 'a.test', 'accept', '*/*', 'x-a', '1', 'x-a', '2'],
  })
})

test.each<readonly [string, string[], boolean, unknown]>([
  ['frames', [], false, { kind: 'stream' }],
  ['END_STREAM', [], true, { kind: 'none' }],
  ['Content-Length', ['content-length', '7'], false, { kind: 'length', length: 7 }],
  ['Content-Length: 0', ['content-length', '0'], true, { kind: 'length', length: 0 }],
])('F2: the body is said by %s', (_name, fields, endsWithHead, body) => {
  expect(admit([...pseudo(), ...fields], endsWithHead).body).toEqual(body)
})

test('H7: the crumbs of a cookie are joined, where the first one stood', () => {
  const { fields } = admit([...pseudo(), 'cookie', 'a=1', 'x', 'y', 'cookie', 'b=2', 'cookie', 'c=3'])
  expect(fields).toEqual(['host', 'a.test', 'cookie', 'a=1; b=2; c=3', 'x', 'y'])
})

describe('the host', () => {
  const withoutAuthority = [':method', 'GET', ':scheme', 'http', ':path', '/']
  test('comes from a Host field alone when there is no :authority', () => {
    expect(admit([...withoutAuthority, 'host', 'b.test']).host).toBe('b.test')
  })
  test('may be said twice in the same words', () => {
    expect(admit([...pseudo(), 'host', 'A.test']).fields).toEqual(['host', 'a.test'])
  })
  test.each([
    ['another Host field', [...pseudo(), 'host', 'b.test']],
    ['two Host fields', [...pseudo(), 'host', 'a.test', 'host', 'a.test']],
    ['none at all', withoutAuthority],
    ['an empty one', pseudo({ ':authority': '' })],
  ])('T1: %s is refused', (_name, raw) => {
    expect(codeOf(raw)).toBe('BAD_HOST')
  })
})

test.each<readonly [string, string[], string]>([
  ['CONNECT', [':method', 'CONNECT', ':authority', 'a.test:80'], 'METHOD_REFUSED'],
  ['CONNECT for another protocol', pseudo({ ':method': 'CONNECT', ':protocol': 'connect-udp' }), 'METHOD_REFUSED'],
  ['TRACE', pseudo({ ':method': 'TRACE' }), 'METHOD_REFUSED'],
  ['another scheme', pseudo({ ':scheme': 'ftp' }), 'BAD_TARGET'],
  ['another scheme whose path completes a URL', pseudo({ ':scheme': 'ftp', ':path': '//a.test/' }), 'BAD_TARGET'],
  ['GET *', pseudo({ ':path': '*' }), 'BAD_TARGET'],
  ['a path without a slash', pseudo({ ':path': 'x' }), 'BAD_TARGET'],
  ['two lengths', [...pseudo(), 'content-length', '1', 'content-length', '2'], 'BAD_FRAMING'],
  ['an odd expectation', [...pseudo(), 'expect', '200-ok'], 'EXPECTATION_FAILED'],
  ['too many fields', [...pseudo(), ...Array.from({ length: 201 }, () => ['a', 'b']).flat()], 'HEADERS_TOO_LARGE'],
])('%s is refused', (_name, raw, code) => {
  expect(codeOf(raw)).toBe(code)
})

test('U9: CONNECT for websocket is a GET that asks to switch', () => {
  const request = admit(pseudo({ ':method': 'CONNECT', ':protocol': 'websocket' }), false)
  expect(request).toMatchObject({ method: 'GET', target: '/x?y', host: 'a.test', upgrades: ['websocket'], body: { kind: 'none' } })
})

describe('fields as node:http2 takes them', () => {
  test('are in lower case, keep their order, and lose what belongs to a connection', () => {
    const fields = ['X-A', '1', 'x-a', '2', 'Connection', 'close', 'Upgrade', 'x', 'TE', 'gzip', 'Trailer', 'X', '__proto__', 'p', 'E', '']
    expect(Object.entries(addHttp2Fields(http2Headers(), fields))).toEqual([
      ['x-a', ['1', '2']],
      ['trailer', 'X'],
      ['__proto__', 'p'],
      ['e', ''],
    ])
    expect(addHttp2Fields(http2Headers(), ['TE', 'trailers'])).toEqual(expect.objectContaining({ te: 'trailers' }))
  })
  test('have one value where Node takes no more', () => {
    expect(addHttp2Fields(http2Headers(), ['Content-Type', 'a', 'content-type', 'b'])).toEqual(
      expect.objectContaining({ 'content-type': 'a' }),
    )
  })
  test.each([
    [':status', '200'],
    ['x y', 'a'],
    ['', 'a'],
    ['x', 'a\0b'],
    ['x', 'a\r\nb: c'],
    ['x\0', 'a'],
  ])('%j: %j is refused', (name, value) => {
    expect(() => addHttp2Fields(http2Headers(), [name, value])).toThrow()
  })
})
