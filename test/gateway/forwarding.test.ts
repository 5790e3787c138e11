/** P1 to P4, P6 to P9: who the client is, as the origin is told, and which name the client reads. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { startLayers, type Layers } from '../support/layers.ts'
import { RawConnection, type ConnectOptions, type RawResponse } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin, type RawRequest } from '../support/raw-origin.ts'

let origin: RawOrigin
beforeAll(async () => {
  origin = await startRawOrigin()
})

/** Sends one GET and returns what the origin was told. */
const ask = async (layers: Layers, lines: readonly string[], options: ConnectOptions = {}): Promise<RawRequest> => {
  const client = await RawConnection.open(layers.port, options)
  const before = origin.hits
  client.write(['GET /x HTTP/1.1', 'Host: a.test', ...lines, '', ''].join('\r\n'))
  const { status } = await client.readResponse()
  client.destroy()
  expect(status).toBe(200)
  expect(origin.hits).toBe(before + 1)
  return origin.last
}

/** Names that origins believe. */
const NAMES = [
  'Forwarded',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Port',
  'X-Forwarded-Prefix',
  'X-Forwarded-Server',
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Groups',
  'X-Forwarded-Uri',
  'X-Forwarded-Ssl',
  'X-Real-IP',
  'X-Original-URL',
  'X-Rewrite-URL',
  'X-Client-IP',
  'True-Client-IP',
  'CF-Connecting-IP',
  'X-Auth-Request-User',
  'X-Auth-Request-Email',
  'X-Auth-Request-Groups',
  'X-Remote-User',
  'Remote-User',
  'X-SG-Identifier',
  'X-SG-Anything-At-All',
]

describe('P1: what origins believe never comes from a stranger', () => {
  let layers: Layers
  beforeAll(async () => {
    layers = await startLayers({ origin: origin.port, outer: { trustProxy: [] } })
  })
  const spoof = '203.0.113.66'

  for (const name of NAMES) {
    const variants: Readonly<Record<string, readonly string[]>> = {
      'as it is': [`${name}: ${spoof}`],
      'in lower case': [`${name.toLowerCase()}: ${spoof}`],
      'in upper case': [`${name.toUpperCase()}: ${spoof}`],
      'with underscores': [`${name.replaceAll('-', '_')}: ${spoof}`],
      'with one underscore': [`${name.replace('-', '_')}: ${spoof}`],
      twice: [`${name}: ${spoof}`, `${name}: ${spoof}`],
      'nominated by Connection': [`Connection: ${name}`, `${name}: ${spoof}`],
      'nominated with underscores': [`Connection: ${name.replaceAll('-', '_')}`, `${name.replaceAll('-', '_')}: ${spoof}`],
    }
    test(`${name} in every disguise`, async () => {
      for (const [how, lines] of Object.entries(variants)) {
        const request = await ask(layers, lines)
        expect({ how, lines: request.lines.filter(line => line.includes(spoof)) }).toEqual({ how, lines: [] })
        // What we say ourselves cannot be nominated away (CVE-2025-48865).
        expect(request.values('x-forwarded-for')).toEqual(['127.0.0.1'])
        expect(request.values('x-real-ip')).toEqual(['127.0.0.1'])
      }
    })
  }

  test('nor as a trailer', async () => {
    const client = await RawConnection.open(layers.port)
    const trailers = NAMES.flatMap(name => [`${name}: ${spoof}`, `${name.replaceAll('-', '_')}: ${spoof}`])
    client.write(
      [
        'POST /x HTTP/1.1',
        'Host: a.test',
        'Transfer-Encoding: chunked',
        'Trailer: X-Sum',
        '',
        '1',
        'x',
        '0',
        'X-Sum: 1',
        ...trailers,
        '',
        '',
      ].join('\r\n'),
    )
    expect((await client.readResponse('POST')).status).toBe(200)
    expect(origin.last.trailers.map(([name]) => name)).toEqual(['X-Sum'])
  })
})

describe('P2: forwarding fields are believed from proxies of ours alone', () => {
  const TRUST = ['127.0.0.0/24', '10.0.0.0/8']
  let layers: Layers
  beforeAll(async () => {
    layers = await startLayers({ origin: origin.port, outer: { trustProxy: TRUST } })
  })
  const trusted = { localAddress: '127.0.0.9' }
  const stranger = { localAddress: '127.0.1.9' }

  /** X-Forwarded-For as it came, from whom, and the client that follows from it. */
  const TABLE: readonly (readonly [string, string | undefined, ConnectOptions, string, string])[] = [
    ['nothing from a trusted peer', undefined, trusted, '127.0.0.9', '127.0.0.9'],
    ['nothing from a stranger', undefined, stranger, '127.0.1.9', '127.0.1.9'],
    ['one hop from a trusted peer', '203.0.113.1', trusted, '203.0.113.1', '203.0.113.1, 127.0.0.9'],
    ['one hop from a stranger', '203.0.113.1', stranger, '127.0.1.9', '127.0.1.9'],
    ['two hops, a spoof in front', '198.51.100.7, 203.0.113.1', trusted, '203.0.113.1', '203.0.113.1, 127.0.0.9'],
    ['two hops, ours behind', '203.0.113.1, 10.0.0.2', trusted, '203.0.113.1', '203.0.113.1, 10.0.0.2, 127.0.0.9'],
    [
      'three hops, a spoof in front of two',
      '198.51.100.7, 203.0.113.1, 10.0.0.2',
      trusted,
      '203.0.113.1',
      '203.0.113.1, 10.0.0.2, 127.0.0.9',
    ],
    ['three hops, all ours', '10.0.0.1, 10.0.0.2, 10.0.0.3', trusted, '10.0.0.1', '10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.9'],
    ['a spoofed address of ours in front', '10.0.0.1, 203.0.113.1', trusted, '203.0.113.1', '203.0.113.1, 127.0.0.9'],
    ['three hops from a stranger', '10.0.0.1, 10.0.0.2, 10.0.0.3', stranger, '127.0.1.9', '127.0.1.9'],
    ['no address at all', 'unknown', trusted, '127.0.0.9', '127.0.0.9'],
    ['no address in front', 'evil"; drop, 203.0.113.1', trusted, '203.0.113.1', '203.0.113.1, 127.0.0.9'],
    ['a port behind the address', '203.0.113.1:4711', trusted, '203.0.113.1', '203.0.113.1, 127.0.0.9'],
    ['IPv6', '2001:db8::1', trusted, '2001:db8::1', '2001:db8::1, 127.0.0.9'],
    ['IPv6 in brackets with a port', '[2001:db8::1]:4711', trusted, '2001:db8::1', '2001:db8::1, 127.0.0.9'],
    ['IPv4 in IPv6 clothing', '::ffff:203.0.113.1', trusted, '203.0.113.1', '203.0.113.1, 127.0.0.9'],
  ]
  for (const [name, sent, peer, client, chain] of TABLE) {
    test(name, async () => {
      const request = await ask(layers, sent === undefined ? [] : [`X-Forwarded-For: ${sent}`], peer)
      expect(request.values('x-real-ip')).toEqual([client])
      expect(request.values('x-forwarded-for')).toEqual([chain])
      const line = await layers.accessLine(layers.accessLog.length + 0)
      expect(line.client).toBe(client)
    })
  }

  test('several fields are one list', async () => {
    const request = await ask(layers, ['X-Forwarded-For: 198.51.100.7, 203.0.113.1', 'X-Forwarded-For: 10.0.0.2'], trusted)
    expect(request.values('x-forwarded-for')).toEqual(['203.0.113.1, 10.0.0.2, 127.0.0.9'])
  })

  test('scheme, host and port come from the same peer as the address, or not at all', async () => {
    const lines = [
      'X-Forwarded-For: 203.0.113.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: public.test:8443',
      'X-Forwarded-Port: 8443',
    ]
    const believed = await ask(layers, lines, trusted)
    expect(believed.values('x-forwarded-proto')).toEqual(['https'])
    expect(believed.values('x-forwarded-host')).toEqual(['public.test:8443'])
    expect(believed.values('x-forwarded-port')).toEqual(['8443'])
    expect(believed.values('forwarded')).toEqual(['for=203.0.113.1;host="public.test:8443";proto=https, for=127.0.0.9'])
    const refused = await ask(layers, lines, stranger)
    expect(refused.values('x-forwarded-proto')).toEqual(['http'])
    expect(refused.values('x-forwarded-host')).toEqual(['a.test'])
    expect(refused.values('x-forwarded-port')).toEqual(['80'])
    expect(refused.values('forwarded')).toEqual(['for=127.0.1.9;host=a.test;proto=http'])
  })

  test('nonsense in them is not passed on, even from a trusted peer', async () => {
    const lines = ['X-Forwarded-For: 203.0.113.1', 'X-Forwarded-Proto: javascript', 'X-Forwarded-Host: a b;c=d', 'X-Forwarded-Port: x']
    const request = await ask(layers, lines, trusted)
    expect(request.values('forwarded')).toEqual(['for=203.0.113.1;host=a.test;proto=http, for=127.0.0.9'])
    expect(request.values('x-forwarded-port')).toEqual(['80'])
  })

  test('Forwarded (RFC 7239) is read where X-Forwarded-For is missing', async () => {
    const one = await ask(layers, ['Forwarded: for=203.0.113.1;proto=https;host=public.test'], trusted)
    expect(one.values('forwarded')).toEqual(['for=203.0.113.1;host=public.test;proto=https, for=127.0.0.9'])
    const two = await ask(layers, ['Forwarded: for=198.51.100.7, For="[2001:db8::1]:4711";Proto=https;By=10.0.0.1, for=10.0.0.2'], trusted)
    expect(two.values('x-real-ip')).toEqual(['2001:db8::1'])
    expect(two.values('x-forwarded-for')).toEqual(['2001:db8::1, 10.0.0.2, 127.0.0.9'])
    const stranger2 = await ask(layers, ['Forwarded: for=203.0.113.1;proto=https;host=public.test'], stranger)
    expect(stranger2.values('forwarded')).toEqual(['for=127.0.1.9;host=a.test;proto=http'])
    const mixed = await ask(layers, ['Forwarded: for=203.0.113.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: evil.test'], trusted)
    expect(mixed.values('forwarded')).toEqual(['for=203.0.113.1;host=a.test;proto=http, for=127.0.0.9'])
  })
})

describe('P4: what the origin is told', () => {
  test('of a client over IPv4', async () => {
    const layers = await startLayers({ origin: origin.port, outer: { trustProxy: [] } })
    const request = await ask(layers, [])
    const told = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-real-ip'].map(name =>
      request.values(name),
    )
    expect(told).toEqual([['for=127.0.0.1;host=a.test;proto=http'], ['127.0.0.1'], ['a.test'], ['http'], ['80'], ['127.0.0.1']])
  })

  test('of a client over IPv6: quoted and in brackets in Forwarded, bare elsewhere', async () => {
    const layers = await startLayers({ origin: origin.port, outer: { trustProxy: [], appHost: '::1' } })
    const request = await ask(layers, [], { host: '::1' })
    expect(request.values('forwarded')).toEqual(['for="[::1]";host=a.test;proto=http'])
    expect(request.values('x-forwarded-for')).toEqual(['::1'])
    expect(request.values('x-real-ip')).toEqual(['::1'])
    expect((await layers.accessLine(1)).client).toBe('::1')
  })

  test('of an IPv4 client on a dual-stack port: its IPv4 address', async () => {
    const layers = await startLayers({ origin: origin.port, outer: { trustProxy: [], appHost: '::' } })
    const request = await ask(layers, [])
    expect(request.values('forwarded')).toEqual(['for=127.0.0.1;host=a.test;proto=http'])
    expect(request.values('x-real-ip')).toEqual(['127.0.0.1'])
    expect((await layers.accessLine(1)).client).toBe('127.0.0.1')
  })

  test('of a host with a port, and of an HTTP/1.0 client that names none', async () => {
    const layers = await startLayers({ origin: origin.port, outer: { trustProxy: [] } })
    const client = await RawConnection.open(layers.port)
    client.write('GET /x HTTP/1.1\r\nHost: a.test:8080\r\n\r\n')
    await client.readResponse()
    expect(origin.last.values('forwarded')).toEqual(['for=127.0.0.1;host="a.test:8080";proto=http'])
    expect(origin.last.values('x-forwarded-port')).toEqual(['8080'])
    const old = await RawConnection.open(layers.port)
    old.write('GET /x HTTP/1.0\r\n\r\n')
    await old.readResponse()
    // RFC 7239 §4: a value is a token or a quoted string, never nothing.
    expect(origin.last.values('forwarded')).toEqual(['for=127.0.0.1;proto=http'])
    expect(origin.last.values('x-forwarded-host')).toEqual([])
  })
})

describe('what the client reads', () => {
  let layers: Layers
  const host = 'public.test:8080'
  beforeAll(async () => {
    const targets = 'targets:\n  "*": {protocol: http, hostname: localhost, port: {port}}\n'
    layers = await startLayers({ origin: origin.port, targets, outer: { removeCsps: true } })
  })

  const answerWith = async (...fields: string[]): Promise<RawResponse> => {
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'body', fields)))
    const client = await RawConnection.open(layers.port)
    client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const response = await client.readResponse()
    client.destroy()
    return response
  }
  const value = (response: RawResponse, name: string): string | undefined =>
    response.fields.find(([field]) => field.toLowerCase() === name.toLowerCase())?.[1]

  test('P6: Location and Content-Location name the public host where they named the origin, and nothing else changes', async () => {
    const table: readonly (readonly [string, string])[] = [
      [`http://localhost:${origin.port}/x?y#z`, `http://${host}/x?y#z`],
      [`//localhost:${origin.port}/x`, `//${host}/x`],
      [`HTTP://LOCALHOST:${origin.port}/x`, `http://${host}/x`],
      ['/x', '/x'],
      ['x/../y', 'x/../y'],
      ['?q', '?q'],
      [`https://localhost:${origin.port}/x`, `http://${host}/x`],
      [`http://public.test:${origin.port}/x`, `http://${host}/x`],
      ['http://public.test:1/x', 'http://public.test:1/x'],
      ['http://localhost/x', 'http://localhost/x'],
      [`http://localhost.evil:${origin.port}/x`, `http://localhost.evil:${origin.port}/x`],
      [`http://localhost:${origin.port}@evil/`, `http://localhost:${origin.port}@evil/`],
      [`https://x/?u=http://localhost:${origin.port}/`, `https://x/?u=http://localhost:${origin.port}/`],
    ]
    for (const [sent, read] of table) {
      const response = await answerWith(`Location: ${sent}`, `Content-Location: ${sent}`, `Refresh: 5; url=${sent}`)
      expect([value(response, 'location'), value(response, 'content-location'), value(response, 'refresh')]).toEqual([
        read,
        read,
        `5; url=${read}`,
      ])
    }
  })

  test('P7: the Domain of a cookie becomes the public host or goes, and never widens', async () => {
    const table: readonly (readonly [string, string])[] = [
      ['a=1; Domain=localhost; Path=/', 'a=1; Domain=public.test; Path=/'],
      ['a=1; domain=.localhost', 'a=1; Domain=public.test'],
      ['a=1; Domain=other.test', 'a=1; Domain=other.test'],
      ['a=1; Domain=test', 'a=1; Domain=test'],
      ['__Host-a=1; Path=/; Secure', '__Host-a=1; Path=/; Secure'],
      ['a=Domain=localhost', 'a=Domain=localhost'],
    ]
    for (const [sent, read] of table) expect(value(await answerWith(`Set-Cookie: ${sent}`), 'set-cookie')).toBe(read)
  })

  test('P8: CORS fields, Origin and Referer are left alone', async () => {
    origin.handle(
      (_request, socket) => void socket.write(rawResponse(200, '', [`Access-Control-Allow-Origin: http://localhost:${origin.port}`])),
    )
    const client = await RawConnection.open(layers.port)
    client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nOrigin: http://${host}\r\nReferer: http://${host}/a\r\n\r\n`)
    expect(value(await client.readResponse(), 'access-control-allow-origin')).toBe(`http://localhost:${origin.port}`)
    expect([origin.last.values('origin'), origin.last.values('referer')]).toEqual([[`http://${host}`], [`http://${host}/a`]])
  })

  test('P9: CSP fields go when asked for, and no others', async () => {
    const names = ['Content-Security-Policy', 'Content-Security-Policy-Report-Only', 'X-WebKit-CSP', 'X-Content-Security-Policy']
    const others = ['X-Frame-Options', 'Strict-Transport-Security', 'X-Content-Security']
    const response = await answerWith(...[...names, ...others].map(name => `${name}: x`))
    expect(response.fields.map(([name]) => name).filter(name => [...names, ...others].includes(name))).toEqual(others)
    const keeping = await startLayers({ origin: origin.port })
    const client = await RawConnection.open(keeping.port)
    client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    expect((await client.readResponse()).fields.map(([name]) => name).filter(name => names.includes(name))).toEqual(names)
  })

  test('P10: the body is never rewritten', async () => {
    const body = Buffer.from(`http://localhost:${origin.port}/ <meta http-equiv=refresh> \xff\x00`, 'latin1')
    origin.handle((_request, socket) => void socket.write(rawResponse(200, body, ['Content-Type: text/html'])))
    const client = await RawConnection.open(layers.port)
    client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    expect((await client.readResponse()).body).toEqual(body)
  })
})
