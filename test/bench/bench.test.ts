/** The parts of the benchmark that only compute; what it starts is started by `npm run bench`. */
import { createServer } from 'node:http'
import { callsOf, cpuSeconds, parseCalls, parseCores, parseCpuSeconds, parseRssBytes, rssBytes } from '../../bench/proc.ts'
import { h2loadArguments, parseH2load } from '../../bench/h2load.ts'
import { parseAnswer, parseWrk, runLoad, runRequests } from '../../bench/load.ts'
import { parseOptions } from '../../bench/options.ts'
import { formatFigure, isReached, markdownTable, replaceBetweenMarkers, requirementsTable, type Group } from '../../bench/report.ts'
import { median, medianRatio, percentile } from '../../bench/stats.ts'
import { messageFrame, runMessages } from '../../bench/websocket-load.ts'
import { listen } from '../support/ports.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { echoOrigin } from '../support/upgrade.ts'

describe('figures', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)

  test('a percentile is the sample of that rank, whatever the order of the samples', () => {
    expect([0.01, 0.5, 0.99, 1].map(share => percentile(hundred, share))).toEqual([1, 50, 99, 100])
    expect(percentile([7], 0.99)).toBe(7)
    expect(percentile([], 0.5)).toBeNaN()
  })

  test('a median is the middle one, or the mean of the two in the middle', () => {
    expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([5])]).toEqual([2, 2.5, 5])
    expect(median([])).toBeNaN()
  })

  test('a ratio compares each round with the same round of the base', () => {
    // The machine was three times as slow in the second round; the ratio of the medians would be another.
    expect(medianRatio([10, 30, 12], [5, 15, 6])).toBe(2)
  })
})

describe('/proc', () => {
  test('CPU time is found behind any program name', () => {
    const stat = '4711 (a (b) c) S 1 4711 4711 0 -1 4194304 2318 0 0 0 250 75 0 0 20 0 11 0 12345 1234567 890'
    expect(parseCpuSeconds(stat)).toBe(3.25)
    expect(() => parseCpuSeconds('nothing')).toThrow('/proc/PID/stat')
  })

  test('resident memory is read in bytes, and a process that has ended has none', () => {
    expect(parseRssBytes('Name:\tnode\nVmHWM:\t  900 kB\nVmRSS:\t  512 kB\n')).toBe(524_288)
    expect(() => parseRssBytes('Name:\tnode\nState:\tZ (zombie)\n')).toThrow('has ended')
  })

  test('counts calls of the system', () => {
    expect(parseCalls('rchar: 9\nwchar: 8\nsyscr: 7\nsyscw: 6\nread_bytes: 0\n')).toEqual({ reads: 7, writes: 6 })
    expect(() => parseCalls('')).toThrow('not the text')
    if (process.platform === 'linux') expect(callsOf(process.pid).reads).toBeGreaterThan(0)
  })

  test('a core that waits is not busy', () => {
    expect(parseCores('cpu  10 2 3 80 5 0 1 4 9 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n')).toEqual({ busy: 20, all: 105 })
  })

  const onLinux = process.platform === 'linux' ? test : test.skip
  onLinux('the texts of this machine are understood', () => {
    expect(cpuSeconds([process.pid])).toBeGreaterThan(0)
    expect(rssBytes(process.pid) / process.memoryUsage.rss()).toBeCloseTo(1, 0)
  })
})

describe('h2load', () => {
  const OUTPUT = `
finished in 2.00s, 12016.00 req/s, 12.03MB/s
requests: 24032 total, 24096 started, 24032 done, 24032 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 24032 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 24.07MB (25234592) total, 188.29KB (192808) headers (space savings 86.85%), 23.47MB (24608768) data
                     min         max         mean         sd        +/- sd
time for request:     1.59ms     26.08ms      5.26ms      2.34ms    86.86%
`
  test('its output is read', () => {
    expect(parseH2load(OUTPUT)).toEqual({ requests: 24_032, perSecond: 12_016, meanUs: 5_260 })
  })

  test('a request that failed, or another status than 2xx, is a fault', () => {
    expect(() => parseH2load(OUTPUT.replace(', 0 failed', ', 3 failed'))).toThrow('h2load')
    expect(() => parseH2load(OUTPUT.replace('0 5xx', '7 5xx'))).toThrow('7 5xx')
    expect(() => parseH2load('h2load: not found')).toThrow('not the output')
  })

  test('its arguments choose the version', () => {
    const shape = { port: 1, path: '/x', connections: 2, streams: 3, seconds: 4 }
    expect(h2loadArguments({ ...shape, version: '2' })).toEqual(['-t1', '-c2', '-m3', '-D4', 'https://127.0.0.1:1/x'])
    expect(h2loadArguments({ ...shape, version: '1.1' })).toContain('--h1')
  })
})

describe('WebSocket messages', () => {
  test('a frame is a masked binary message of that length', () => {
    expect(messageFrame(1_024).subarray(0, 8)).toEqual(Buffer.from([0x82, 0xfe, 0x04, 0x00, 1, 2, 3, 4]))
    expect(messageFrame(1_024).length).toBe(1_032)
  })

  test('those that come back are counted, and every one was sent', async () => {
    const origin = await startRawOrigin(echoOrigin)
    const target = { port: origin.port, host: 'a.test', path: '/echo' }
    const { messages, p50Us } = await runMessages(target, { connections: 4, seconds: 0.2, bytes: 1_024, inFlight: 2 })
    expect(messages).toBeGreaterThan(8)
    expect(p50Us).toBeGreaterThan(0)
    const sent = origin.connections.reduce((sum, { collected }) => sum + collected.totalBytes, 0)
    expect(sent / 1_032).toBeGreaterThanOrEqual(messages)
  })

  test('an answer without a WebSocket is a fault', async () => {
    const origin = await startRawOrigin()
    const target = { port: origin.port, host: 'a.test', path: '/echo' }
    await expect(runMessages(target, { connections: 1, seconds: 0.1, bytes: 126, inFlight: 1 })).rejects.toThrow(
      'no WebSocket: HTTP/1.1 200',
    )
  })
})

describe('load', () => {
  const wrk = (more = ''): string => `Running 2s test @ http://127.0.0.1:4300/1k
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.90ms    1.01ms  21.71ms   93.42%
    Req/Sec    16.58k     1.32k   18.90k    85.00%
  Latency Distribution
     50%  950.00us
     75%    4.12ms
     90%    4.60ms
     99%    1.20s
  33001 requests in 2.00s, 40.25MB read
${more}Requests/sec:  16483.92
Transfer/sec:     20.10MB
`

  test('the output of wrk is read', () => {
    expect(parseWrk(wrk())).toEqual({ requests: 33_001, seconds: 2, p50Us: 950, p99Us: 1_200_000 })
  })

  test('failed requests are never counted as fast ones', () => {
    expect(() => parseWrk(wrk('  Non-2xx or 3xx responses: 33001\n'))).toThrow('Non-2xx or 3xx responses: 33001')
    expect(() => parseWrk(wrk('  Socket errors: connect 0, read 3, write 0, timeout 0\n'))).toThrow('read 3')
    expect(() => parseWrk('unable to connect')).toThrow('not the output')
    expect(() => parseAnswer('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n')).toThrow('502')
    expect(() => parseAnswer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')).toThrow('expected')
  })

  test('an answer is known once its head is complete', () => {
    expect(parseAnswer('HTTP/1.1 200 OK\r\nContent-Le')).toBeUndefined()
    expect(parseAnswer('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab')).toEqual({ headBytes: 38, bodyBytes: 5 })
  })

  test('without wrk the own generator asks a real server on kept connections, and counts what was answered', async () => {
    let answered = 0
    const connections = new Set()
    const server = createServer((request, response) => {
      answered++
      connections.add(request.socket)
      response.end('x'.repeat(1024))
    })
    const port = await listen(server)
    const result = await runLoad({ port, host: 'a.example', path: '/1k' }, { connections: 4, seconds: 0.2 })
    expect(connections.size).toBe(4)
    expect(result.requests).toBeGreaterThan(4)
    expect(answered - result.requests).toBeLessThanOrEqual(4)
    expect(result.p50Us).toBeLessThanOrEqual(result.p99Us)
  })

  test('a fixed number of requests is asked, and no more', async () => {
    let answered = 0
    const server = createServer((_request, response) => {
      answered++
      response.end('x'.repeat(1024))
    })
    const target = { port: await listen(server), host: 'a.example', path: '/1k' }
    await runRequests(target, { connections: 4, requests: 50 })
    expect(answered).toBe(50)
    await runRequests(target, { connections: 4, requests: 1 })
    expect(answered).toBe(51)
  })

  test('the own generator fails when the server does', async () => {
    const server = createServer((_request, response) => response.writeHead(503, { 'Content-Length': 0 }).end())
    const target = { port: await listen(server), host: 'a.example', path: '/1k' }
    await expect(runLoad(target, { connections: 1, seconds: 5 })).rejects.toThrow('503')
  })
})

describe('report', () => {
  const group: Group = {
    name: 'one',
    title: 'One',
    columns: [],
    rows: [],
    requirements: [
      { what: 'CPU', unit: '×', limit: { atMost: 1.6 }, measured: 1.6 },
      { what: 'rate', unit: '×', limit: { atLeast: 0.8 }, measured: 0.79 },
      { what: 'p99', unit: 'ms', limit: { atMost: 50 }, measured: NaN },
    ],
  }

  test('columns are aligned, figures to the right', () => {
    expect(
      markdownTable(
        ['', 'req/s'],
        [
          ['gateway', '9'],
          ['one', '12,345'],
        ],
      ),
    ).toBe(['|         |  req/s |', '|---------|-------:|', '| gateway |      9 |', '| one     | 12,345 |'].join('\n'))
  })

  test('figures have thousands separated, and a missing one is a dash', () => {
    expect([formatFigure(16_483.92, 0), formatFigure(1.995, 2), formatFigure(undefined, 1), formatFigure(NaN, 1)]).toEqual([
      '16,484',
      '2.00',
      '–',
      '–',
    ])
  })

  test('a figure at its limit has reached it; one that is missing has not', () => {
    expect(group.requirements.map(isReached)).toEqual([true, false, false])
    expect(requirementsTable([group]).match(/PASS|FAIL/g)).toEqual(['PASS', 'FAIL', 'FAIL'])
  })

  test('the page keeps what stands outside the markers', () => {
    const page = '# Page\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n'
    expect(replaceBetweenMarkers(page, 'new')).toBe('# Page\n<!-- bench:begin -->\n\nnew\n\n<!-- bench:end -->\nafter\n')
    expect(() => replaceBetweenMarkers('# Page', 'new')).toThrow('bench:begin')
  })
})

describe('options', () => {
  const names = ['1k-64', '1k-1', 'download']

  test('everything is measured in five rounds unless said otherwise', () => {
    expect(parseOptions([], names)).toMatchObject({ only: names, runs: 5, isQuick: false })
    expect(parseOptions(['--quick', '--only', '1k', '--json'], names)).toMatchObject({ only: ['1k-64', '1k-1'], runs: 1, isJson: true })
  })

  test.each([
    [['--only', 'nothing'], 'expected one of 1k-64, 1k-1, download'],
    [['--runs', '0'], 'expected 1 to 50'],
    [['--load', 'ab'], 'expected wrk or node'],
    [['--write', '--quick'], 'full run'],
    [['--wrong'], '--wrong'],
  ])('%j is refused', (argv, message) => {
    expect(() => parseOptions(argv, names)).toThrow(message)
  })
})
