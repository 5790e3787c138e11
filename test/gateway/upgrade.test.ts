/** Section 1.4, U1 to U4: what switches protocols and what does not, line by line. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { pattern } from '../link/pair.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { get, head } from '../support/message.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { echoOrigin, openUpgraded, switching, upgradeRequest } from '../support/upgrade.ts'
import { until } from '../support/wait.ts'

let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({
    origin: origin.port,
    targets: `
targets:
  "*": {protocol: http, hostname: 127.0.0.1, port: {port}}
  policy.test:
    protocol: http
    hostname: 127.0.0.1
    port: {port}
    policy: {/open: [GET], /posts: [POST]}
`,
  })
})
beforeEach(() => origin.clear())
// Also those of a test that has failed, which would make all after it fail.
afterEach(async () => {
  for (const connection of opened.splice(0)) connection.destroy()
  await quiet(layers)
})

/** The latest connection of the origin has ended. Others may be kept alive for ordinary requests. */
const hasLeft = (): boolean => origin.last.connection.socket.destroyed

const opened: RawConnection[] = []
const keep = (connection: RawConnection): RawConnection => {
  opened.push(connection)
  return connection
}
const openSwitched = async (request?: string): Promise<RawConnection> => keep(await openUpgraded(layers.port, request))
const open = async (): Promise<RawConnection> => keep(await RawConnection.open(layers.port))

describe('U1: which upgrades', () => {
  test.each([
    ['h2c', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
    ['a protocol that no target allows', 'Connection: Upgrade', 'Upgrade: foo/2'],
    ['none at all', 'Connection: Upgrade', 'Upgrade: ,'],
  ])('U1: %s is ignored, and the request goes on as HTTP', async (_what, ...lines) => {
    origin.handle(async (request, socket) => {
      await request.complete
      socket.write(rawResponse(200, request.target))
    })
    const connection = await open()
    connection.write(head('POST /a HTTP/1.1', 'Host: a.test', 'Content-Length: 5', ...lines) + 'hello' + get('/b'))
    expect((await connection.readResponse()).body.toString()).toBe('/a')
    expect((await connection.readResponse()).body.toString()).toBe('/b') // what is pipelined behind it is not lost
    expect(origin.requests[0]!.body.toString()).toBe('hello')
    for (const name of ['upgrade', 'http2-settings', 'connection'])
      expect(origin.requests[0]!.values(name).join()).not.toMatch(/upgrade|h2c|foo|settings/i)
  })

  test('U1: h2c on one connection again and again is no leak', async () => {
    const connection = await open()
    for (let i = 0; i < 50; i++) {
      connection.write(head('GET / HTTP/1.1', 'Host: a.test', 'Connection: Upgrade', 'Upgrade: h2c'))
      expect((await connection.readResponse()).status).toBe(200)
    }
  })

  test.each([
    ['HTTP/1.0', upgradeRequest().replace('HTTP/1.1', 'HTTP/1.0')],
    ['a method that is not GET', upgradeRequest().replace('GET', 'OPTIONS')],
    ['no Connection: Upgrade', upgradeRequest().replace('Connection: Upgrade', 'Connection: keep-alive')],
  ])('U1: with %s it is an ordinary request', async (_what, request) => {
    origin.handle((incoming, socket) => void socket.write(rawResponse(200, String(incoming.values('upgrade').length))))
    const connection = await open()
    expect((await connection.write(request).readResponse()).body.toString()).toBe('0')
  })

  test('U1: of several protocols the first that is allowed goes to the origin, alone', async () => {
    origin.handle(echoOrigin)
    await openSwitched(upgradeRequest().replace('Upgrade: websocket', 'Upgrade: h2c, WebSocket, foo'))
    expect(origin.last.values('upgrade')).toEqual(['WebSocket'])
    expect(origin.last.values('connection')).toEqual(['Upgrade'])
  })
})

test.each([
  ['Content-Length: 3', 'abc'],
  ['Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\n\r\n'],
])('U2: an upgrade with a body (%s) is 400, and the origin hears nothing', async (line, body) => {
  const answer = await rawRequest(layers.port, upgradeRequest('/', line) + body)
  expect(answer.text).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer.text).toContain('code: BAD_FRAMING')
  expect(origin.hits).toBe(0)
})

describe('U3: an upgrade is judged like any request', () => {
  const asking = (host: string, path: string): string => upgradeRequest(path).replace('a.test', host)

  test.each([
    ['a forbidden path', asking('policy.test', '/secret'), 403, 'POLICY_REFUSED'],
    ['a method that the rule does not allow', asking('policy.test', '/posts'), 403, 'POLICY_REFUSED'],
    ['a path that climbs', asking('policy.test', '/open/../secret'), 403, 'POLICY_REFUSED'],
    ['an ambiguous path', asking('policy.test', '/open/..%2fsecret'), 400, 'AMBIGUOUS_PATH'],
    ['two hosts', upgradeRequest('/', 'Host: b.test'), 400, 'BAD_HOST'],
    ['another host in the target', upgradeRequest('http://b.test/'), 400, 'BAD_HOST'],
  ])('U3: %s', async (_what, request, status, code) => {
    const answer = await rawRequest(layers.port, request)
    expect(answer.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer.text).toContain(code)
    expect(answer.text).toMatch(/\r\nconnection: close\r\n/i)
    expect(origin.hits).toBe(0)
  })

  test('U3: what is allowed passes, with the fields of every request', async () => {
    origin.handle(echoOrigin)
    await openSwitched(asking('policy.test', '/open?token=1').replace('\r\n\r\n', '\r\nX-Forwarded-For: 6.6.6.6\r\nX-SG-User: me\r\n\r\n'))
    expect(origin.last.target).toBe('/open?token=1')
    expect(origin.last.values('x-forwarded-for')).toEqual(['6.6.6.6, 127.0.0.1'])
    expect(origin.last.values('x-sg-user')).toEqual([])
    expect(origin.last.values('via')).toEqual([])
    expect(origin.last.values('host')).toEqual([`127.0.0.1:${origin.port}`])
  })
})

describe('U4: the handshake', () => {
  test('U4: Sec-WebSocket-* pass untouched, both ways', async () => {
    origin.handle((request, socket) => {
      request.takeOver()
      socket.write(
        switching(
          request,
          'Sec-WebSocket-Protocol: chat.v2',
          'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover',
          'X-Own: \xe9',
        ),
        'latin1',
      )
    })
    const connection = await open()
    connection.write(
      upgradeRequest(
        '/',
        'Sec-WebSocket-Protocol: chat.v1, chat.v2',
        'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
        'Origin: https://a.test',
        'Cookie: a=b',
      ),
    )
    const answer = await connection.read('\r\n\r\n')
    const { last } = origin
    expect(last.values('sec-websocket-key')).toEqual(['dGhlIHNhbXBsZSBub25jZQ=='])
    expect(last.values('sec-websocket-version')).toEqual(['13'])
    expect(last.values('sec-websocket-protocol')).toEqual(['chat.v1, chat.v2'])
    expect(last.values('sec-websocket-extensions')).toEqual(['permessage-deflate; client_max_window_bits'])
    expect(last.values('origin')).toEqual(['https://a.test'])
    expect(last.values('cookie')).toEqual(['a=b'])
    expect(answer.split('\r\n').filter(line => !/^(via|date):/i.test(line))).toEqual([
      'HTTP/1.1 101 Switching Protocols',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Sec-WebSocket-Protocol: chat.v2',
      'Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover',
      'X-Own: \xe9',
      '',
      '',
    ])
  })

  test.each([
    [401, ['WWW-Authenticate: Basic realm="x"'], 'who are you?'],
    [426, ['Upgrade: websocket', 'Sec-WebSocket-Version: 13'], 'upgrade'],
    [302, ['Location: /login'], ''],
    [200, [], 'an ordinary page'],
    [503, ['Transfer-Encoding: chunked'], ''],
  ])('U4: an answer of %d passes with its body, as the last of the connection', async (status, fields, body) => {
    origin.handle((_request, socket) => {
      socket.write(status === 503 ? `${head('HTTP/1.1 503 No', ...fields)}4\r\nlate\r\n0\r\n\r\n` : rawResponse(status, body, fields))
    })
    const connection = await open()
    const response = await connection.write(upgradeRequest() + get('/behind')).readResponse()
    expect(response.status).toBe(status)
    expect(response.body.toString()).toBe(status === 503 ? 'late' : body)
    // What the client sent behind it was meant for another protocol, or another request: it is told that nobody has looked at it.
    expect(response.lines.some(line => /^connection: close$/i.test(line))).toBe(true)
    expect(await connection.closed).toBe('fin')
    expect(origin.hits).toBe(1)
  })

  test('U4: a large answer instead of 101 comes whole, however slowly it is read', async () => {
    const body = pattern(3_000_000, 9)
    origin.handle((_request, socket) => void socket.write(rawResponse(400, body)))
    const connection = await open()
    connection.freeze()
    connection.write(upgradeRequest())
    await until(() => origin.hits === 1)
    connection.thaw()
    const response = await connection.readResponse()
    expect(response.body.equals(body)).toBe(true)
  })

  test.each([
    ['unasked', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', get('/')],
    ['to another protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n', upgradeRequest()],
    ['without a protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n', upgradeRequest()],
  ])('U4: a switch %s is 502', async (_what, answer, request) => {
    origin.handle((_request, socket) => void socket.write(answer))
    const connection = await open()
    const response = await connection.write(request).readResponse()
    expect(response.status).toBe(502)
    expect(response.body.toString()).toContain('ORIGIN_BAD_RESPONSE')
    await until(hasLeft)
  })

  test('U4: interim answers come before the switch', async () => {
    origin.handle((request, socket) => {
      request.takeOver()
      socket.write(head('HTTP/1.1 103 Early Hints', 'Link: </a>'))
      socket.write(switching(request))
    })
    const connection = await open()
    connection.write(upgradeRequest())
    expect(await connection.read('\r\n\r\n')).toMatch(/^HTTP\/1\.1 103 /)
    expect(await connection.read('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 /)
  })
})
