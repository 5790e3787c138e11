import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { formatLogLine } from '../../src/payload/log-line.ts'
import { encodeLogNote, parseLogNote, type LogLine } from '../../src/payload/log-note.ts'
import { decodeNote } from '../../src/payload/origin-profile.ts'
import { anyText } from '../support/any-text.ts'

const at = Date.UTC(2020, 10, 25, 17, 13, 6)
const request: LogLine = {
  kind: 'request',
  at,
  client: '192.0.2.106',
  method: 'GET',
  path: '/',
  version: '1.1',
  status: 200,
  bytes: 432,
  referer: '',
  agent: 'curl/7.64.0',
  durationMs: 32.1,
}
const connection: LogLine = { kind: 'connection', at, client: '192.0.2.106', status: 200, bytesOut: 8, bytesIn: 5, durationMs: 1_899 }

describe('lines of a live log', () => {
  test('come out as they went in', () => {
    const lines: LogLine[] = [request, { ...request, visitor: 'ada@example.io' }, connection, { kind: 'omitted', at, count: 3 }]
    expect(parseLogNote(decodeNote(encodeLogNote(lines)))).toEqual(lines)
  })

  test.each([
    [undefined],
    [[{ kind: 'x' }]],
    [[{ ...request, status: '200' }]],
    [[{ ...request, visitor: 1 }]],
    [[{ ...connection, client: null }]],
    [Array(101).fill(request)],
  ])('that are %j are a fault of the peer', lines => {
    expect(() => parseLogNote({ lines })).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
  })

  test('read as the service of 2020 wrote them', () => {
    expect(formatLogLine(request)).toBe(
      '192.0.2.106 - - [25/Nov/2020:17:13:06 +0000] "GET / HTTP/1.1" 200 432 "-" "curl/7.64.0" response_time="0.032 sec"',
    )
    expect(formatLogLine({ ...request, visitor: 'Ada "A" L' })).toContain('192.0.2.106 - Ada\\x20\\"A\\"\\x20L [25/Nov')
    expect(formatLogLine({ ...request, visitor: '-' })).toBe(formatLogLine(request))
    expect(formatLogLine(connection)).toBe(
      '192.0.2.106 [25/Nov/2020:17:13:06 +0000] TCP 200 bytes_sent:8 bytes_received:5 session_time: 1.899',
    )
    expect(formatLogLine({ kind: 'omitted', at, count: 2 })).toBe('… 2 more were left out here')
  })

  test('show what a client made up, and obey none of it', () => {
    const line = formatLogLine({ ...request, path: '/\x1b[2J\r\n"', agent: 'a\u202eb\\' })
    expect(line).toContain('"GET /\\x1B[2J\\x0D\\x0A\\" HTTP/1.1"')
    expect(line).toContain('"a\\u{202e}b\\\\"')
    fc.assert(
      fc.property(anyText(), text => {
        const written = formatLogLine({
          ...request,
          method: text,
          path: text,
          referer: text,
          agent: text,
          client: text,
          version: text,
          visitor: text,
        })
        expect(written).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      }),
    )
  })
})
