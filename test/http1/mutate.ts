/** Responses that are almost right. */

/** Responses that are right, of every framing. */
export const SEEDS: readonly string[] = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n0a;ext=1;q="a b"\r\n0123456789\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n',
  'HTTP/1.0 200 OK\r\nServer: x\r\n\r\nuntil the end',
  'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end',
  'HTTP/1.1 204 No Content\r\nX-A: \xe9\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\nETag: "x"\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Made it\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nok',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi',
  'HTTP/1.1 404 \xfcber\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n\r\n1\r\nx\r\n0\r\n\r\n',
]

const TOKENS = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  ':',
  ';',
  '0',
  'f',
  '-1',
  '+5',
  '0x5',
  ',',
  '\0',
  '\x7f',
  '\xff',
  '\x0b',
  'Content-Length: 5\r\n',
  'Content-Length: 6\r\n',
  'content-length : 5\r\n',
  'Content-Length:5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'transfer-encoding:\tchunked \r\n',
  'Transfer-Encoding: xchunked\r\n',
  'Connection: close\r\n',
  ' folded\r\n',
  '\r\n\r\n',
  '0\r\n\r\n',
  'fffffffffffffffff\r\n',
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.0 200 OK\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'A:\r\n',
  'A\r\n',
  ': a\r\n',
]

/** One of the seeds with one to four things changed in it. */
export function mutated(next: () => number): Buffer {
  const pick = (count: number): number => Math.floor(next() * count)
  let text = SEEDS[pick(SEEDS.length)]!
  for (let left = 1 + pick(4); left > 0; left--) {
    const at = pick(text.length + 1)
    const end = Math.min(text.length, at + 1 + pick(next() < 0.2 ? 30 : 3))
    switch (pick(7)) {
      case 0:
        text = text.slice(0, at) + text.slice(end)
        break
      case 1:
        text = text.slice(0, at) + String.fromCharCode(pick(256)) + text.slice(at + 1)
        break
      case 2:
        text = text.slice(0, at) + TOKENS[pick(TOKENS.length)]! + text.slice(at)
        break
      case 3:
        text = text.slice(0, at) + TOKENS[pick(TOKENS.length)]! + text.slice(end)
        break
      case 4: {
        const line = text.indexOf('\r\n', at)
        if (line >= 0) text = text.slice(0, line + 2) + TOKENS[pick(TOKENS.length)]! + text.slice(line + 2)
        break
      }
      case 5:
        text = text.slice(0, at) + text.slice(at, end).repeat(2) + text.slice(end)
        break
      default:
        text = text.slice(0, at)
    }
  }
  return Buffer.from(text, 'latin1')
}
