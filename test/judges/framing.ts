/** Where a request ends: the origin has to execute exactly those that the gateway has a line of, whatever a client says about lengths. */
import { startLayers } from '../support/layers.ts'
import { Chance } from '../support/random.ts'
import { RawConnection } from '../support/raw-client.ts'
import { until, within } from '../support/wait.ts'
import { withoutRepeats, type Judge } from './judge.ts'
import { differences } from './paths.ts'

const HOST = 'framing.test'
const lastOf = (root: string): string =>
  `GET ${root}/last HTTP/1.1\r\nHost: ${HOST}\r\nX-Variant: ${root.slice(1)}.last\r\nConnection: close\r\n\r\n`
/** Stands in bodies: never a request. */
const INSIDE = `GET /secret/data.txt HTTP/1.1\r\nHost: ${HOST}\r\nX-Variant: inside\r\n\r\n`

const head = (start: string, ...lines: readonly string[]): string => [start, `Host: ${HOST}`, ...lines, '', ''].join('\r\n')

/** A body in chunks of any size, with what may stand beside them. */
const chunked = (chance: Chance, body: string): string => {
  let text = ''
  for (let at = 0; at < body.length;) {
    const length = chance.between(1, body.length - at)
    const size = length.toString(16)
    text += `${chance.one([size, size.toUpperCase(), `000${size}`])}${chance.one(['', '', ';a=b', ';a', ';a="b;c"', ';a=b;c=d'])}\r\n${body.slice(at, at + length)}\r\n`
    at += length
  }
  return `${text}0\r\n${chance.one(['', '', 'X-Trailer: 1\r\n', 'X-Trailer: 1\r\nHost: other.test\r\n'])}\r\n`
}

/** A request whose end is beyond doubt. */
interface Plain {
  readonly text: string
  /** The bytes of its body, when it goes to `/echo`. */
  readonly echo?: number
}

const plain = (chance: Chance, root: string, index: number): Plain => {
  const id = `${root.slice(1)}.${index}`
  const variant = `X-Variant: ${id}`
  const body = chance.one(['', 'x', INSIDE, INSIDE + INSIDE, '0\r\n\r\n', 'a'.repeat(chance.below(20_000)), '\r\n\r\n'])
  const length = `Content-Length: ${body.length}`
  switch (chance.below(9)) {
    case 0:
      return { text: head(`HEAD ${root}/pub/a.txt HTTP/1.1`, variant) }
    case 1:
      return { text: head(`GET ${root}/pub/a.txt HTTP/1.1`, variant, length) + body }
    case 2:
      return { text: head(`GET ${root}/pub/deep/b.txt HTTP/1.1`, variant, 'Transfer-Encoding: chunked') + chunked(chance, body) }
    case 3:
      return { text: head(`DELETE ${root}/pub/none HTTP/1.1`, variant, length) + body }
    case 4:
      return { text: head(`POST ${root}/echo HTTP/1.1`, variant, 'Expect: 100-continue', length) + body, echo: body.length }
    case 5:
      return { text: head(`POST ${root}/echo HTTP/1.1`, variant, 'X-Interim: 1', length) + body, echo: body.length }
    case 6:
      return { text: head(`POST ${root}/echo HTTP/1.1`, variant, length) + body, echo: body.length }
    case 7:
      return {
        text: head(`POST ${root}/echo HTTP/1.1`, variant, 'Transfer-Encoding: chunked', 'Trailer: X-Trailer') + chunked(chance, body),
        echo: body.length,
      }
    default:
      return {
        text: head(
          `GET ${root}/pub/a.txt HTTP/1.1`,
          variant,
          chance.one([
            'Connection: keep-alive, X-Variant-2',
            'Upgrade: h2c',
            'TE: trailers',
            'Content-Length: 0',
            'Connection: Content-Length',
          ]),
        ),
      }
  }
}

const oddHead = (start: string, ...lines: readonly string[]): string => head(start, 'X-Variant: odd', ...lines)

/** Requests whose end is read in different ways, each with what an attacker would like to be a second request behind. */
const ODD: readonly string[] = [
  ...[
    ['Content-Length: 4', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 4'],
    ['Content-Length: 4', 'Content-Length: 5'],
    ['Content-Length: 4', 'Content-Length: 4'],
    ['Content-Length: 4, 4'],
    ['Content-Length: +4'],
    ['Content-Length: 0x4'],
    ['Content-Length: 04'],
    ['Content-Length: 4 4'],
    ['Content-Length: -4'],
    ['Content-Length:'],
    ['Content-Length: 18446744073709551620'],
    ['Content-Length: 4\x00'],
    ['Content-Length : 4'],
    [' Content-Length: 4'],
    ['X: y', ' Content-Length: 4'],
    ['X: y\nContent-Length: 4'],
    ['X: y\rContent-Length: 4'],
    ['Content_Length: 4'],
    ['Transfer-Encoding : chunked'],
    ['Transfer-Encoding:\tchunked'],
    ['Transfer-Encoding: chunked '],
    ['Transfer-Encoding: \x0bchunked'],
    ['Transfer-Encoding: xchunked'],
    ['Transfer-Encoding: identity'],
    ['Transfer-Encoding: chunked, identity'],
    ['Transfer-Encoding: identity, chunked'],
    ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: x'],
    ['Transfer-Encoding: "chunked"'],
    ['Transfer-Encoding:', ' chunked'],
    ['Transfer-Encoding: CHUNKED'],
    ['X: y\nTransfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Connection: Transfer-Encoding'],
    ['Content-Length: 4', 'Connection: Content-Length'],
    ['Transfer_Encoding: chunked'],
    ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABkAAQAAP__', 'Content-Length: 4'],
  ].map(lines => `${oddHead('POST /echo HTTP/1.1', ...lines)}0\r\n\r\n`),
  ...[
    '0x1',
    '1 ',
    ' 1',
    '+1',
    '-1',
    '1;\n',
    '1\n',
    '1\r',
    '1;a=\x00',
    '1;a\n',
    '01',
    '1_0',
    'g',
    '',
    '10000000000000001',
    '1;a="\r\n"',
  ].map(size => `${oddHead('POST /echo HTTP/1.1', 'Transfer-Encoding: chunked')}${size}\r\nx\r\n0\r\n\r\n`),
  `${oddHead('POST /echo HTTP/1.1', 'Transfer-Encoding: chunked')}1\r\nxyz\r\n0\r\n\r\n`,
  `${oddHead('POST /echo HTTP/1.1', 'Transfer-Encoding: chunked')}1\nx\n0\n\n`,
  `${oddHead('POST /echo HTTP/1.1', 'Transfer-Encoding: chunked')}0\r\nContent-Length: 7\r\n\r\n`,
  `${oddHead('POST /echo HTTP/1.1', 'Transfer-Encoding: chunked')}0\r\nTransfer-Encoding: chunked\r\n\r\n`,
  `${oddHead('POST /echo HTTP/1.1', 'Transfer-Encoding: chunked')}1\r\nx\r\n0\r\n X: y\r\n\r\n`,
  `${oddHead('POST /echo HTTP/1.0', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  `${oddHead('POST /echo HTTP/1.0', 'Content-Length: 4', 'Connection: keep-alive')}0\r\n\r\n`,
  oddHead('GET  /pub/a.txt HTTP/1.1'),
  oddHead('GET /pub/a.txt HTTP/1.2'),
  oddHead('GET /pub/a.txt HTTP/2.0'),
  oddHead('GET /pub/a.txt'),
  oddHead('get /pub/a.txt HTTP/1.1'),
  oddHead('GET\t/pub/a.txt HTTP/1.1'),
  oddHead('GET /pub/a.txt HTTP/1.1', 'Host: other.test'),
  '\r\n\r\n',
  '\n',
  'GET /pub/a.txt HTTP/1.1\nHost: framing.test\n\n',
]

/** What a run found. */
export interface FramingVerdict {
  readonly conversations: number
  /** Requests that the gateway has a line of. */
  readonly lines: number
  /** Those of them that the origin has executed. */
  readonly executed: number
  readonly faults: readonly string[]
}

/**
 * Has conversations with a gateway in front of `judge`: some requests at once, and in every second one something odd behind them.
 * @param count     of conversations
 * @param firstOdd  where in the list of odd requests to begin
 */
export const judgeFraming = async (judge: Judge, count: number, seed: number, firstOdd = 0): Promise<FramingVerdict> => {
  const layers = await startLayers({
    targets: `targets: { ${HOST}: { protocol: http, hostname: 127.0.0.1, port: ${judge.port} } }`,
    logLevel: 'info',
  })
  const chance = new Chance(seed)
  const faults: string[] = []
  let [lines, all] = [0, 0]
  for (let n = 0; n < count; n++) {
    // In both logs, whatever comes late of the conversation before.
    const root = `/c${n}`
    const requests = Array.from({ length: chance.between(1, 4) }, (_, index) => plain(chance, root, index))
    const odd = (n % 2 === 0 ? ODD[(firstOdd + n / 2) % ODD.length]! : '').replace(' /', ` ${root}/`)
    const sent = requests.map(({ text }) => text).join('') + odd + lastOf(root)
    const [linesBefore, executedBefore] = [layers.accessLog.length, judge.executed().length]
    const client = await RawConnection.open(layers.port)
    const cut = chance.below(sent.length)
    client.write(sent.slice(0, cut))
    await new Promise(setImmediate)
    client.write(sent.slice(cut))
    let wrong: string[] = []
    const closed = await within(client.closed, 'the gateway to close').catch((error: unknown) => void wrong.push(String(error)))
    const { text } = client
    client.destroy()
    const answers = text.match(/HTTP\/1\.1 [2-5]\d\d /g)?.length ?? 0
    const compare = (): { readonly lines: number; readonly executed: number; readonly wrong: string[] } => {
      const accounted = layers.accessLog.slice(linesBefore).filter(({ path }) => path.startsWith(`${root}/`) || path === '-')
      const executed = withoutRepeats(judge.executed().slice(executedBefore)).filter(({ line }) => line.includes(` ${root}/`))
      const reached = accounted.filter(({ identifier }) => identifier !== undefined)
      const whole = reached.filter(({ error }) => error === undefined)
      const words = (some: typeof reached): string[] => some.map(({ method, path }) => `${method} ${path}`)
      const seen = executed.map(({ line }) => line.split(' ').slice(0, 2).join(' '))
      const found = differences(judge.name, seen, words(whole), words(reached.filter(line => !whole.includes(line))))
      // A reset may have thrown away an answer that had come.
      if (closed === 'fin' ? accounted.length !== answers : accounted.length < answers)
        found.push(`${answers} answers, and ${accounted.length} lines in the access log`)
      return { lines: accounted.length, executed: executed.length, wrong: found }
    }
    // Logs are written after the answer.
    await until(() => compare().wrong.length === 0, { what: 'the logs' }).catch(() => undefined)
    const result = compare()
    wrong = [...wrong, ...result.wrong]
    lines += result.lines
    all += result.executed
    if (judge.executed().some(({ id }) => id === 'inside')) wrong.push('a request was executed that stood in a body')
    if (judge.echoes) {
      const wanted = requests.flatMap(({ echo }) => (echo === undefined ? [] : [`length ${echo}.`]))
      const got = (text.match(/length \d+\./g) ?? []).slice(0, wanted.length)
      if (closed === 'fin' && got.join() !== wanted.join()) wrong.push(`bodies of ${wanted.join(', ')} were read as ${got.join(', ')}`)
    }
    if (wrong.length > 0) faults.push(`conversation ${n} (${JSON.stringify(odd.slice(0, 160))}): ${wrong.join('; ')}`)
  }
  await layers.close()
  return { conversations: count, lines, executed: all, faults }
}
