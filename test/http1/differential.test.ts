/** Never more lenient than the parser of Node: whatever our reader takes, Node takes as well, and reads the same in it. */
import { createServer } from 'node:net'
import { connect } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { listen } from '../support/ports.ts'
import { randomOf } from '../support/random.ts'
import { mutated, SEEDS } from './mutate.ts'
import { nodes, ours, single, split, type Verdict } from './verdict.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const what = ({ why: _why, ...verdict }: Verdict): Omit<Verdict, 'why'> => verdict
const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`

const valid: readonly string[] = [
  ...SEEDS,
  'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n',
  `${OK}Content-Length:\t2 \r\n\r\nok`,
  `${OK}Content-Length: 0002\r\n\r\nok`,
  `${OK}A:\r\nB:  \t\r\nC: \t x \t\r\nContent-Length: 0\r\n\r\n`,
  `${OK}Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n`,
  `${OK}Transfer-Encoding: identity\r\n\r\nabc`,
  `${CHUNKED}1;a=b;c="d;\\"e"\r\nx\r\n0;last\r\n\r\n`,
  `${CHUNKED}0000000000000001\r\nx\r\n000\r\n\r\n`,
  `${CHUNKED}1\r\nx\r\n0\r\nTrailer: a\r\nX: \xe9\r\n\r\n`,
  `${CHUNKED}1\r\nx\r\n0\r\nTransfer-Encoding: x\r\n\r\n`,
  'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
  'HTTP/1.1 205 Reset\r\n\r\nabc',
  `\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
  `${OK}Content-Length: 2\r\n\r\nok${OK}`,
]

const refused: readonly string[] = [
  ...[
    '0\r\n',
    'HTTP/1.1 200 OK\n\n',
    'http/1.1 200 OK\r\n\r\n',
    'HTTP/1.1  200 OK\r\n\r\n',
    'HTTP/1.2 200 OK\r\n\r\n',
    'HTTP/2.0 200 OK\r\n\r\n',
  ],
  ...['HTTP/1.1 20 OK\r\n\r\n', 'HTTP/1.1 2000 OK\r\n\r\n', 'HTTP/1.1 099 OK\r\n\r\n', 'ICY 200 OK\r\n\r\n', 'HTTP/1.1 200 a\x01\r\n\r\n'],
  ...['A : b', 'A', ': b', ' A: b', 'A: b\r\n c', 'A: b\rc', 'A: b\nC: d', 'A: \0', 'A: \x7f', 'A b: c', '\xe9: a'].map(
    line => `${OK}${line}\r\n\r\n`,
  ),
  ...['', '+2', '-2', '0x2', '2, 2', '2\t', '2 2', '9007199254740993', '2\r\nContent-Length: 2'].map(
    v => `${OK}Content-Length: ${v}\r\n\r\nok`,
  ),
  ...['2\r\nTransfer-Encoding: chunked', '2\r\nTransfer-Encoding: identity'].map(v => `${OK}Content-Length: ${v}\r\n\r\n0\r\n\r\n`),
  ...[
    'gzip, chunked',
    'xchunked',
    'chunked\t',
    'chunked, chunked',
    'chunked\r\nTransfer-Encoding: chunked',
    'chunked\r\nContent-Length: 5',
    '',
  ].map(coding => `${OK}Transfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`),
  ...[
    '1 \r\nx',
    '1;\r\nx',
    '1; a\r\nx',
    '1\nx',
    '\r\nx',
    ' 1\r\nx',
    '-1\r\nx',
    '0x1\r\nx',
    'g\r\nx',
    '1\r\nxy',
    '1\r\nx\n',
    '20000000000001\r\nx',
  ].map(chunk => `${CHUNKED}${chunk}\r\n0\r\n\r\n`),
  ...['A\r\n', 'A: b\n', 'Content-Length: 5\r\n', ' a: b\r\n'].map(lines => `${CHUNKED}0\r\n${lines}\r\n`),
  `HTTP/1.1 103 Hints\r\nContent-Length: 2\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
  `HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
  `HTTP/1.0 100 Continue\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
  ...['', 'HTTP', OK, `${OK}Content-Length: 3\r\n\r\nab`, `${CHUNKED}1\r\nx`, `${CHUNKED}0\r\n`, `${CHUNKED}0\r\nA: b\r\n`],
]

test.each(valid)('read as Node reads it, whole and in pieces: %j', async text => {
  const whole = bytes(text)
  const theirs = await nodes([whole])
  expect(what(ours([whole]))).toEqual(what(theirs))
  expect(ours([whole]).ok).toBe(true)
  expect(what(ours(single(whole)))).toEqual(what(theirs))
  for (let cut = 1; cut < whole.length; cut++) expect(what(ours(split(whole, [cut])))).toEqual(what(theirs))
})

test.each(refused)('refused, whole and in pieces: %j', text => {
  const whole = bytes(text)
  expect(ours([whole]).ok).toBe(false)
  expect(ours(single(whole)).ok).toBe(false)
  for (let cut = 1; cut < whole.length; cut++) expect(ours(split(whole, [cut])).ok).toBe(false)
})

test('the same bytes over real sockets, in pieces that the network makes', async () => {
  for (const text of valid) {
    const whole = bytes(text)
    const server = createServer(socket => {
      socket.on('error', () => undefined)
      socket.once('data', () => {
        socket.write(whole.subarray(0, whole.length >> 1))
        setImmediate(() => socket.end(whole.subarray(whole.length >> 1)))
      })
    })
    const port = await listen(server)
    const theirs = await nodes([], 'GET', () => connect(port, '127.0.0.1'))
    expect(what(ours([whole]))).toEqual(what(theirs))
  }
})

test('HEAD has no body, whatever its head announces', async () => {
  for (const text of [`${OK}Content-Length: 5\r\n\r\n`, `${OK}Transfer-Encoding: chunked\r\n\r\n`, `${OK}\r\n`]) {
    expect(what(ours([bytes(text)], 'HEAD'))).toEqual(what(await nodes([bytes(text)], 'HEAD')))
    expect(ours([bytes(text)], 'HEAD')).toMatchObject({ ok: true, body: '' })
  }
})

describe('generated', () => {
  const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/)
  const value = fc.stringMatching(/^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?$/)
  const fields = fc.array(
    fc.tuple(
      token.filter(name => !/^(?:content-length|transfer-encoding|connection|upgrade)$/i.test(name)),
      value,
    ),
    { maxLength: 8 },
  )
  const lines = (list: readonly (readonly [string, string])[]): string => list.map(([name, text]) => `${name}: ${text}\r\n`).join('')
  const body = fc.stringMatching(/^[\x00-\xff]{0,40}$/)
  const framed = fc.oneof(
    body.map(text => [`Content-Length: ${text.length}\r\n`, text] as const),
    body.map(text => ['Connection: close\r\n', text] as const),
    fc
      .tuple(
        fc.array(
          body.filter(text => text !== ''),
          { maxLength: 5 },
        ),
        fields,
      )
      .map(([chunks, trailers]) => {
        const text = chunks.map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
        return ['Transfer-Encoding: chunked\r\n', `${text}0\r\n${lines(trailers)}\r\n`] as const
      }),
  )
  const response = fc.tuple(fc.integer({ min: 200, max: 599 }), value, fields, framed).map(([status, reason, list, [framing, rest]]) => {
    return bytes(`HTTP/1.1 ${status} ${reason}\r\n${lines(list)}${framing}\r\n${status === 204 || status === 304 ? '' : rest}`)
  })

  test('a response that is right is read as Node reads it, in whatever pieces', async () => {
    await fc.assert(
      fc.asyncProperty(response, fc.array(fc.nat(400), { maxLength: 6 }), async (whole, cuts) => {
        const theirs = await nodes([whole])
        const read = ours(split(whole, cuts))
        expect(read.why).toBe('')
        expect(what(read)).toEqual(what(theirs))
      }),
      { numRuns: 500 },
    )
  })
})

// Run once by hand with SG_FUZZ=1000000; a smaller number of other ones in each run of the suite.
test('what is almost right: never more lenient, never another reading, in whatever pieces', async () => {
  const count = Number(process.env['SG_FUZZ'] ?? 20_000)
  const next = randomOf(Number(process.env['SG_FUZZ_SEED'] ?? 1))
  let taken = 0
  for (let i = 0; i < count; i++) {
    const whole = mutated(next)
    const pieces = split(whole, [Math.floor(next() * whole.length), Math.floor(next() * whole.length)])
    const read = ours(pieces)
    if (ours([whole]).ok !== read.ok) throw new Error(`pieces matter: ${JSON.stringify(whole.toString('latin1'))}`)
    if (!read.ok) continue
    taken++
    const theirs = await nodes([whole])
    if (JSON.stringify(what(read)) === JSON.stringify(what(theirs))) continue
    throw new Error(`${JSON.stringify(whole.toString('latin1'))}: ${JSON.stringify(read)}, Node: ${JSON.stringify(theirs)}`)
  }
  expect(taken).toBeGreaterThan(count / 20)
}, 3_600_000)
