import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createAccessLog, formatBytes, type AccessRecord } from '../../src/telemetry/access-log.ts'
import { createLog, type LogFormat } from '../../src/telemetry/log.ts'
import { anyText } from '../support/any-text.ts'

const RECORD: AccessRecord = {
  requestId: 'a1b2-3',
  client: '203.0.113.9',
  host: 'api.example.com',
  method: 'GET',
  path: '/v1/things',
  status: 200,
  bytesIn: 0,
  bytesOut: 1536,
  durationMs: 12.34567,
  firstByteMs: 10.00049,
  target: 'a.example',
  identifier: 'lan-a',
  error: undefined,
}
const NOW = Date.parse('2026-11-21T12:34:56.789Z')

const lineOf = (format: LogFormat, changes: Partial<AccessRecord> = {}, level: 'info' | 'warn' = 'info'): string => {
  let text = ''
  const log = createLog({ level, format, destination: { write: line => (text += line) } })
  createAccessLog(log, () => NOW)({ ...RECORD, ...changes })
  return text
}

describe('an access line in json', () => {
  test('has all facts of the request', () => {
    expect(JSON.parse(lineOf('json'))).toEqual({
      level: 'info',
      time: '2026-11-21T12:34:56.789Z',
      requestId: 'a1b2-3',
      client: '203.0.113.9',
      host: 'api.example.com',
      method: 'GET',
      path: '/v1/things',
      status: 200,
      bytesIn: 0,
      bytesOut: 1536,
      durationMs: 12.346,
      firstByteMs: 10,
      identifier: 'lan-a',
      msg: 'request',
    })
  })

  test('leaves out what there is not, and has the code of an error', () => {
    const line = JSON.parse(
      lineOf('json', { firstByteMs: undefined, identifier: undefined, error: 'NO_INNER_LAYER', status: 502 }),
    ) as object
    expect(line).toMatchObject({ status: 502, error: 'NO_INNER_LAYER' })
    expect(line).not.toHaveProperty('firstByteMs')
    expect(line).not.toHaveProperty('identifier')
  })

  test('is one line and says exactly what the client sent, whatever that was', () => {
    const hostile = fc.oneof(
      anyText(),
      fc.string({ unit: fc.constantFrom('"', '\\', '\n', '\r', '\0', '\x1b', '\x9b', '\u2028', '\u202e', '\ud800', 'a') }),
    )
    fc.assert(
      fc.property(hostile, hostile, hostile, (host, path, method) => {
        const text = lineOf('json', { host, path: path.replaceAll('?', ''), method })
        expect(text).toMatch(/^[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*\n$|^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\n$/)
        expect(JSON.parse(text)).toMatchObject({ host, path: path.replaceAll('?', ''), method })
      }),
      { numRuns: 500 },
    )
  })

  test('has no query, and no more than 1024 characters of anything', () => {
    expect(lineOf('json', { path: '/a?token=S3' })).not.toContain('S3')
    expect((JSON.parse(lineOf('json', { path: `/${'x'.repeat(5000)}` })) as AccessRecord).path).toHaveLength(1025)
  })

  test('stays valid when a number is none', () => {
    expect(JSON.parse(lineOf('json', { durationMs: NaN, bytesOut: Infinity }))).toMatchObject({ durationMs: 0, bytesOut: 0 })
  })
})

describe('an access line for people', () => {
  test('reads from left to right: when, status, request, time, bytes, who', () => {
    expect(lineOf('pretty')).toMatch(
      /^\d\d:\d\d:56\.789 200 {3}GET api\.example\.com\/v1\/things 12\.3 ms \(first byte 10\.0 ms\) in 0 B out 1\.5 KiB from 203\.0\.113\.9 by lan-a id a1b2-3\n$/,
    )
  })

  test('names the error', () => {
    expect(lineOf('pretty', { status: 502, error: 'NO_INNER_LAYER', identifier: undefined, firstByteMs: undefined })).toMatch(
      /502 .*\/v1\/things NO_INNER_LAYER 12\.3 ms in/,
    )
  })

  test('is one line without any control character, whatever the client sent', () => {
    fc.assert(
      fc.property(anyText(), anyText(), (host, path) => {
        const text = lineOf('pretty', { host, path })
        expect(text.slice(0, -1)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      }),
      { numRuns: 300 },
    )
  })
})

test('there are no access lines above level info', () => {
  expect(lineOf('json', {}, 'warn')).toBe('')
  expect(lineOf('pretty', {}, 'warn')).toBe('')
})

test('bytes are written for people', () => {
  expect([0, 1, 999, 1024, 1536, 10_240, 104_857_600, 5 * 1024 ** 3].map(formatBytes)).toEqual([
    '0 B',
    '1 B',
    '999 B',
    '1.0 KiB',
    '1.5 KiB',
    '10 KiB',
    '100 MiB',
    '5.0 GiB',
  ])
})
