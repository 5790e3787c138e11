/** Requests that are almost right, and small things many times over. */
import { type Chance } from '../support/random.ts'

/** Requests that are right, of every framing. */
const CORPUS: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'GET /public/a?b=c HTTP/1.1\r\nHost: strict.test\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n',
  'HEAD /x HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello',
  'POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0a;ext=1;q="a b"\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n',
  'PUT /p HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok',
  'OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'GET http://a.test/absolute HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  'PROPFIND /dav HTTP/1.1\r\nHost: a.test\r\nDepth: 1\r\nTE: trailers\r\n\r\n',
  'COPY /public/a HTTP/1.1\r\nHost: strict.test\r\nDestination: http://strict.test/public/b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close, X-Forwarded-For\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET /second HTTP/1.1\r\nHost: a.test\r\n\r\n',
]

const TOKENS: readonly string[] = [
  ...[
    '\r\n',
    '\n',
    '\r',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '\0',
    '\x7f',
    '\xff',
    '\x0b',
    '/',
    '//',
    '/../',
    '%2f',
    '%00',
    '%',
    '?',
    '#',
    '\\',
    '@',
    '*',
  ],
  ...['0', 'f', '-1', '+5', '0x5', '18446744073709551616', '0\r\n\r\n', 'fffffffffffffffff\r\n', '5;a=b\r\n', '\r\n\r\n'],
  ...['Content-Length: 5\r\n', 'Content-Length: 6\r\n', 'content-length : 5\r\n', 'Content-Length:5, 5\r\n', 'Content-Length: \r\n'],
  ...[
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: identity\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'transfer-encoding:\tchunked \r\n',
  ],
  ...[
    'Transfer-Encoding: xchunked\r\n',
    'Connection: close\r\n',
    'Connection: Content-Length\r\n',
    ' folded\r\n',
    'A:\r\n',
    'A\r\n',
    ': a\r\n',
  ],
  ...[
    'Host: b.test\r\n',
    'Host: a.test, b.test\r\n',
    'host:\r\n',
    'HTTP/1.0',
    'HTTP/2.0',
    'http/1.1',
    'CONNECT ',
    'TRACE ',
    'Expect: 100-continue\r\n',
  ],
  ...['Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n', 'Trailer: Content-Length\r\n'],
  ...['__proto__: x\r\n', 'constructor: x\r\n', 'Range: bytes=0-,0-\r\n', 'Sec-WebSocket-Key: x\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
]

/** One of the corpus with up to five things changed in it. */
export const mutatedRequest = (chance: Chance): Buffer => {
  let text = chance.one(CORPUS)
  for (let left = chance.below(6); left > 0; left--) {
    const at = chance.below(text.length + 1)
    const end = Math.min(text.length, at + 1 + chance.below(chance.rarely(5) ? 30 : 3))
    const kind = chance.below(8)
    if (kind === 0) text = text.slice(0, at) + text.slice(end)
    else if (kind === 1) text = text.slice(0, at) + String.fromCharCode(chance.below(256)) + text.slice(at + 1)
    else if (kind === 2) text = text.slice(0, at) + chance.one(TOKENS) + text.slice(at)
    else if (kind === 3) text = text.slice(0, at) + chance.one(TOKENS) + text.slice(end)
    else if (kind === 4 || kind === 5) {
      const line = text.indexOf('\r\n', at)
      if (line >= 0) text = text.slice(0, line + 2) + chance.one(TOKENS) + text.slice(line + 2)
    } else if (kind === 6) text = text.slice(0, at) + text.slice(at, end).repeat(chance.one([2, 3, 300])) + text.slice(end)
    else text = chance.one(CORPUS) + text
  }
  return Buffer.from(text, 'latin1')
}

/** A head, then one small thing `times` times, then an end. */
export interface Amplified {
  readonly name: string
  readonly connections: number
  readonly bytes: (times: number) => Buffer
  readonly times: number
}

const POST = 'POST /many HTTP/1.1\r\nHost: a.test\r\n'
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`
const many = (before: string, piece: string, after: string) => (times: number) =>
  Buffer.from(before + piece.repeat(times) + after, 'latin1')

/** Small things that must cost what their bytes cost. */
export const AMPLIFIED: readonly Amplified[] = [
  { name: 'chunks of one byte', connections: 40, times: 60_000, bytes: many(CHUNKED, '1\r\nx\r\n', '') },
  { name: 'trailer fields', connections: 5, times: 201, bytes: many(`${CHUNKED}0\r\n`, 'a:\r\n', '\r\n') },
  {
    name: 'trailer fields of GET',
    connections: 5,
    times: 201,
    bytes: many('GET /status HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', 'a:\r\n', '\r\n'),
  },
  {
    name: 'trailer fields of an unknown host',
    connections: 5,
    times: 201,
    bytes: many('GET /status HTTP/1.1\r\nHost: nobody.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', 'a:\r\n', '\r\n'),
  },
  { name: 'fields', connections: 20, times: 5_000, bytes: many('GET / HTTP/1.1\r\nHost: a.test\r\n', 'a:b\r\n', '\r\n') },
  {
    name: 'requests behind one that waits',
    connections: 60,
    times: 1_500,
    bytes: many('GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n', ''),
  },
  {
    name: 'requests for an unknown host',
    connections: 40,
    times: 1_500,
    bytes: many('', 'GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n', ''),
  },
  { name: 'empty lines', connections: 20, times: 50_000, bytes: many('', '\r\n', 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n') },
  { name: 'extensions of chunks', connections: 20, times: 4_000, bytes: many(`${CHUNKED}1`, ';a=b', '\r\nx\r\n0\r\n\r\n') },
  { name: 'codings', connections: 20, times: 3_000, bytes: many(`${POST}Transfer-Encoding: `, 'chunked, ', 'chunked\r\n\r\n0\r\n\r\n') },
  { name: 'cookies', connections: 20, times: 3_000, bytes: many('GET / HTTP/1.1\r\nHost: a.test\r\nCookie: ', 'a=b; ', '\r\n\r\n') },
  { name: 'segments', connections: 20, times: 8_000, bytes: many('GET ', '/..', ' HTTP/1.1\r\nHost: strict.test\r\n\r\n') },
]
