/** Frames of HTTP/2 in orders that no library sends, with HPACK by hand. */
import { type Chance } from '../support/random.ts'
import {
  block,
  data,
  END_HEADERS,
  END_STREAM,
  frame,
  goAway,
  H2,
  headers,
  request,
  reset,
  settings,
  windowUpdate,
} from '../support/h2-frames.ts'
import { bytesOf } from '../support/random.ts'

const PATHS = ['/', '/x', '/slow', '/p?q'] as const
const HOSTS = ['a.test', 'a.test', 'nobody.test', 'strict.test', ''] as const
const METHODS = ['GET', 'POST', 'HEAD', 'PUT', 'CONNECT', 'TRACE', 'get', ''] as const
const FIELDS: readonly (readonly [string, string])[] = [
  ...([
    ['te', 'trailers'],
    ['content-length', '5'],
    ['content-length', '-1'],
    ['cookie', 'a=b'],
    ['connection', 'close'],
  ] as const),
  ...([
    ['transfer-encoding', 'chunked'],
    ['X-Upper', 'a'],
    ['host', 'b.test'],
    [':late', 'x'],
    ['a', '\r\nb: c'],
    ['', 'x'],
    [':protocol', 'websocket'],
  ] as const),
  ...([
    ['expect', '100-continue'],
    ['trailer', 'x'],
    ['upgrade', 'h2c'],
    ['x', 'y'.repeat(9_000)],
  ] as const),
]

/** A sequence of frames on one connection, without its preface. */
export const frameSequence = (chance: Chance): Buffer => {
  const frames: Buffer[] = []
  let next = 1
  const stream = (): number => (chance.rarely(6) ? chance.below(1_200) : Math.max(1, next - 2 * chance.between(1, 4)))
  for (let left = chance.between(1, chance.rarely(5) ? 120 : 25); left > 0; left--) {
    const kind = chance.below(14)
    if (kind < 5) {
      const fields = Array.from({ length: chance.below(4) }, () => chance.one(FIELDS))
      const head = request(chance.one(PATHS), fields, { method: chance.one(METHODS), authority: chance.one(HOSTS) })
      const flags = (chance.rarely(8) ? 0 : END_HEADERS) | (chance.below(2) === 0 ? END_STREAM : 0)
      frames.push(headers(chance.rarely(12) ? stream() : next, head, flags))
      next += 2
    } else if (kind === 5) frames.push(data(stream(), bytesOf(left, chance.below(300)), chance.below(2)))
    else if (kind === 6) frames.push(reset(stream(), chance.below(16)))
    else if (kind === 7) frames.push(windowUpdate(chance.rarely(3) ? 0 : stream(), chance.one([0, 1, 65_535, 2 ** 31 - 1])))
    else if (kind === 8) frames.push(settings([chance.below(9), chance.one([0, 1, 100, 16_384, 2 ** 24, 2 ** 32 - 1])]))
    else if (kind === 9) frames.push(frame(H2.PING, chance.below(2), chance.rarely(6) ? 1 : 0, bytesOf(left, chance.rarely(6) ? 7 : 8)))
    else if (kind === 10) frames.push(frame(H2.CONTINUATION, chance.below(5), stream(), block([chance.one(FIELDS)])))
    else if (kind === 11) frames.push(frame(H2.PRIORITY, 0, stream(), bytesOf(left, chance.rarely(4) ? 4 : 5)))
    else if (kind === 12) frames.push(goAway(chance.below(10), chance.below(12)))
    else
      frames.push(
        frame(
          chance.below(20),
          chance.below(256),
          chance.below(20),
          bytesOf(left, chance.below(60)),
          chance.rarely(9) ? chance.below(70) : undefined,
        ),
      )
  }
  const all = Buffer.concat(frames)
  if (chance.rarely(3)) all[chance.below(all.length)] = chance.below(256)
  return chance.rarely(6) ? all.subarray(0, chance.below(all.length)) : all
}

/** A literal that goes into the dynamic table (RFC 7541 §6.2.1), for values below 127 bytes times 32. */
const indexed = (name: string, value: string): Buffer => Buffer.concat([Buffer.of(0x40), block([[name, value]]).subarray(1)])

const end = END_HEADERS | END_STREAM
const odd = (count: number): number[] => Array.from({ length: count }, (_, i) => 2 * i + 1)

/** Small things that must cost what their bytes cost, each on several connections. */
export const AMPLIFIED_FRAMES: readonly { readonly name: string; readonly connections: number; readonly bytes: () => Buffer }[] = [
  {
    name: 'references to one large field of the table, by streams without a window',
    connections: 200,
    bytes: () => {
      const head = block(request('/slow'))
      // SETTINGS_INITIAL_WINDOW_SIZE 0: no answer can leave.
      const first = frame(H2.HEADERS, end, 1, Buffer.concat([head, indexed('x-large', 'y'.repeat(3_900))]))
      const others = odd(100)
        .slice(1)
        .map(id => frame(H2.HEADERS, end, id, Buffer.concat([head, Buffer.alloc(7, 0x80 | 62)])))
      return Buffer.concat([settings([4, 0]), first, ...others])
    },
  },
  {
    name: 'streams for an unknown host, GOAWAY, and DATA on a stream that never was',
    connections: 170,
    bytes: () => {
      const heads = odd(100).map(id => headers(id, request('/', [], { authority: 'nobody.test' }), end))
      return Buffer.concat([...heads, goAway(0, 0), frame(H2.DATA, 0, 999)])
    },
  },
  {
    name: 'trailer fields',
    connections: 5,
    bytes: () => {
      const trailers = Array.from({ length: 201 }, (_, i) => [`a${i}`, ''] as const)
      return Buffer.concat([headers(1, request('/status', [], { method: 'POST' })), headers(1, trailers, end)])
    },
  },
  {
    name: 'empty DATA',
    connections: 20,
    bytes: () => Buffer.concat([headers(1, request('/p', [], { method: 'POST' })), ...odd(5_000).map(() => frame(H2.DATA, 0, 1))]),
  },
  {
    name: 'DATA of one byte',
    connections: 40,
    bytes: () => Buffer.concat([headers(1, request('/p', [], { method: 'POST' })), ...odd(20_000).map(() => data(1, 'x'))]),
  },
  {
    name: 'resets',
    connections: 40,
    bytes: () => Buffer.concat(odd(400).flatMap(id => [headers(id, request('/slow'), end), reset(id, 8)])),
  },
  {
    name: 'CONTINUATION without end',
    connections: 20,
    bytes: () =>
      Buffer.concat([headers(1, request('/'), END_STREAM), ...odd(2_000).map(() => frame(H2.CONTINUATION, 0, 1, block([['a', 'b']])))]),
  },
  {
    name: 'settings and pings',
    connections: 20,
    bytes: () => Buffer.concat(odd(3_000).flatMap(() => [settings([4, 65_535]), frame(H2.PING, 0, 0, Buffer.alloc(8))])),
  },
]
