import { describe, expect, test } from '@jest/globals'
import { parseSokkenArguments } from '../../src/sokken/arguments.ts'
import { createSokkenLog, goDuration } from '../../src/sokken/log.ts'
import { cleanPath, pathOf } from '../../src/sokken/path.ts'
import { TargetList } from '../../src/sokken/target-list.ts'
import { proxyFor } from '../../src/net/http-proxy.ts'

const server = (...argv: string[]): object => parseSokkenArguments(argv)

describe('the command line', () => {
  test('takes options before, between and after the words, with one dash or two', () => {
    const expected = {
      mode: 'server',
      api: { host: '', port: 8000 },
      targets: ['127.0.0.1:22', 'github.com:443'],
      flags: { 'max-connections': 7, 'log-debug': true, 'log-file': 'x.log', 'log-pretty': false },
    }
    const words = [':8000', '127.0.0.1:22', 'github.com:443']
    expect(server('-max-connections', '7', '--log-debug', '-log-file=x.log', 'server', ...words)).toMatchObject(expected)
    expect(server('server', '--max-connections=7', '-log-debug=true', '-log-file', 'x.log', ...words)).toMatchObject(expected)
    expect(server('server', ...words, '-log-file', 'x.log', '-max-connections', '7', '-log-debug=1')).toMatchObject(expected)
  })

  test('has the defaults of the real program', () => {
    expect(server('server', ':1', 'a:1')).toMatchObject({
      flags: {
        'max-connections': 100,
        'log-debug': false,
        'log-pretty': false,
        'log-file': '',
        'log-max-size-mb': 10,
        'log-max-age-days': 1,
        'log-max-rotated': 7,
      },
    })
  })

  test('of the client takes pairs', () => {
    const command = parseSokkenArguments(['client', '[::1]:1', ':2', 'ws://a/tunnel/b:1', '127.0.0.1:3', 'https://c:4/tunnel/d:5'])
    expect(command).toMatchObject({
      api: { host: '::1', port: 1 },
      tunnels: [{ listen: { host: '', port: 2 } }, { listen: { host: '127.0.0.1', port: 3 }, urlText: 'https://c:4/tunnel/d:5' }],
    })
  })

  test.each([
    [[], 'expected server or client'],
    [['serve'], 'got "serve"'],
    [['server'], 'API_ADDR is missing'],
    [['server', ':1'], 'REMOTE_ADDR is missing'],
    [['server', 'x', 'a:1'], 'API_ADDR "x"'],
    [['server', ':65536', 'a:1'], 'API_ADDR ":65536"'],
    [['client', ':1', ':2'], 'pairs of LISTEN_ADDR and REMOTE_URL'],
    [['client', ':1', ':2', 'ftp://me:secret@x/y'], 'REMOTE_URL "ftp://***@x/y"'],
    [['-nope', 'server'], 'flag provided but not defined: -nope'],
    [['server', ':1', 'a:1', '-log-file'], 'flag needs an argument: -log-file'],
    [['-max-connections', '0', 'server', ':1', 'a:1'], 'at least 1'],
    [['-max-connections', '-5', 'server', ':1', 'a:1'], 'at least 1'],
    [['-log-debug=maybe', 'server', ':1', 'a:1'], 'invalid boolean value'],
    [['server', ':1', 'a:1', '-tls-key', 'x'], 'belong together'],
  ])('%j is refused', (argv, message) => {
    expect(() => parseSokkenArguments(argv)).toThrow(message)
  })

  test('gives its help for -h, --help and -help', () => {
    for (const flag of ['-h', '--help', '-help']) expect(parseSokkenArguments(['server', flag])).toEqual({ mode: 'help' })
  })
})

describe('a list of targets', () => {
  const list = new TargetList([
    '127.0.0.1:22',
    'GitHub.com:443',
    ':80',
    '10.0.0.0/8:5000-5010',
    '[fd00::/8]:22',
    '*.lan:443',
    'db.lan:5432-5433',
  ])

  test.each([
    ['127.0.0.1:22', '127.0.0.1'],
    ['GitHub.com:443', 'GitHub.com'],
    [':80', 'localhost'],
    ['10.1.2.3:5010', '10.1.2.3'],
    ['[fd00::1]:22', 'fd00::1'],
    ['a.b.lan:443', 'a.b.lan'],
    ['DB.lan:5433', 'DB.lan'],
  ])('has %s', (asked, host) => {
    expect(list.find(asked)?.host).toBe(host)
  })

  test.each([
    'localhost:22',
    'github.com:443', // as text, as the real one does
    '127.0.0.1:022',
    '10.1.2.3:5011',
    '11.1.2.3:5000',
    'ten.example:5000',
    'lan:443',
    '.lan:443',
    '[::ffff:10.1.2.3]:22',
    'db.lan:5434',
    '',
    'x',
  ])('has no %s', asked => {
    expect(list.find(asked)).toBeUndefined()
  })

  test.each(['x', '10.0.0.0/33:1', '*:1', 'a.lan:9-8', '*.*.lan:1', '[a.lan]:1-2', '10.0.0.1/8'])('refuses the entry %s', entry => {
    expect(() => new TargetList([entry])).toThrow(`REMOTE_ADDR "${entry}"`)
  })
})

test('paths are cleaned as Go cleans them', () => {
  expect(['/tunnel/a:1', '/tunnel', '//tunnel//a:1', '/a/../health', '/./x/', '/health/', '/'].map(cleanPath)).toEqual([
    '/tunnel/a:1',
    '/tunnel/',
    '/tunnel/a:1',
    '/health',
    '/x/',
    '/health/',
    '/',
  ])
  expect([pathOf('/a%3A1?b'), pathOf('http://h:1/x'), pathOf('*'), pathOf('/%')]).toEqual(['/a:1', '/x', undefined, undefined])
})

test('durations are those of Go', () => {
  expect([0, 0.35, 1.5, 999.5, 1_500, 60_000, 125_250, 3_600_000 + 62_000].map(goDuration)).toEqual([
    '0s',
    '350µs',
    '1.5ms',
    '999.5ms',
    '1.5s',
    '1m0s',
    '2m5.25s',
    '1h1m2s',
  ])
})

test('lines of the log cannot be broken by what a client sends, in neither form', () => {
  const lines: string[] = []
  const options = { debug: false, write: (line: string) => void lines.push(line), now: () => new Date(Date.UTC(2026, 0, 2, 15, 4, 5, 6)) }
  createSokkenLog({ ...options, pretty: false }).info('a\nb', { target: 'x\n"y', gone: undefined })
  createSokkenLog({ ...options, pretty: true }).warn('a\nb\x1b[2J', { target: 'x y' })
  createSokkenLog({ ...options, pretty: true }).debug('not at this level')
  expect(lines[0]).toBe('{"level":"info","target":"x\\n\\"y","time":"2026-01-02T15:04:05Z","message":"a\\nb"}\n')
  expect(lines[1]).toMatch(/^\x1b\[90m3:04PM\x1b\[0m \x1b\[31mWRN\x1b\[0m a[^\n\x1b]*b[^\n\x1b]* \x1b\[36mtarget=\x1b\[0m"x y"\n$/)
  expect(lines.length).toBe(2)
})

test.each([
  [{ HTTP_PROXY: 'p:3128' }, 'http://a.example/', 'http://p:3128/'],
  [{ http_proxy: 'http://p:3128' }, 'http://a.example/', 'http://p:3128/'],
  [{ HTTP_PROXY: 'http://p:3128' }, 'https://a.example/', undefined],
  [{ HTTPS_PROXY: 'http://p:3128' }, 'https://a.example/', 'http://p:3128/'],
  [{ HTTP_PROXY: 'http://p:3128' }, 'http://127.0.0.1/', undefined],
  [{ HTTP_PROXY: 'http://p:3128' }, 'http://[::1]/', undefined],
  [{ HTTP_PROXY: 'http://p:3128', NO_PROXY: 'b.example, a.example' }, 'http://x.a.example/', undefined],
  [{ HTTP_PROXY: 'http://p:3128', NO_PROXY: '.a.example' }, 'http://a.example/', undefined],
  [{ HTTP_PROXY: 'http://p:3128', NO_PROXY: 'a.example:81' }, 'http://a.example/', 'http://p:3128/'],
  [{ HTTP_PROXY: 'http://p:3128', no_proxy: '*' }, 'http://a.example/', undefined],
])('with %j the proxy to %s is %s', (env, url, proxy) => {
  expect(proxyFor(new URL(url), env)?.href).toBe(proxy)
})
