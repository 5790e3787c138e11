/** The server end against clients that send what the real one sends; the numbers are sections of the reference. */
import { describe, expect, test } from '@jest/globals'
import { hashToken, mintToken } from '../../src/identity/token.ts'
import { deflated, dialPlain, goHandshake, type PlainWebSocket } from '../support/plain-web-socket.ts'
import { rawRequest } from '../support/raw-client.ts'
import { heldBytes } from '../support/memory.ts'
import { echoServer, tcpServer, type TcpServer } from '../support/tcp.ts'
import { until } from '../support/wait.ts'
import { startServer } from './start.ts'

const get = (path: string, ...fields: string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: a', ...fields, 'Connection: close', '', ''].join('\r\n')

describe('the handshake', () => {
  test('of the real client is answered as the real server answers it', async () => {
    const echo = await echoServer()
    const { port } = await startServer([`127.0.0.1:${echo.port}`])
    const peer = await dialPlain(port, `/tunnel/127.0.0.1:${echo.port}`)
    expect(peer.status).toBe(101)
    expect(peer.field('Sec-WebSocket-Accept')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    expect(peer.field('Sec-WebSocket-Protocol')).toBe('sokken')
    expect(peer.field('Sec-WebSocket-Extensions')).toBe('permessage-deflate; client_no_context_takeover; server_no_context_takeover')
    peer.binary('hello')
    await until(() => peer.bytes.toString() === 'hello')
  })

  test.each([
    ['another path', '/x', [], 404, '404 page not found\n'],
    [
      'no upgrade',
      '/tunnel/a:1',
      [],
      426,
      'WebSocket protocol violation: Connection header "close" does not contain Upgrade\nwebsocket error\n',
    ],
    ['double slashes', '//tunnel//a:1?q', [], 301, 'Moved Permanently\n'],
    ['a path that cannot be decoded', '/tunnel/%zz', [], 400, '400 Bad Request\n'],
  ])('%s is refused', async (_, path, fields, status, body) => {
    const { port } = await startServer(['a:1'])
    const { text } = await rawRequest(port, get(path, ...fields))
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(text.endsWith(body)).toBe(true)
    if (status === 301) expect(text).toContain('\r\nLocation: /tunnel/a:1?q\r\n')
  })

  test.each([
    ['another version', ['Sec-Websocket-Version: 13', 'Sec-Websocket-Version: 12'], 400],
    ['no key', ['Sec-Websocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'X-A: b'], 400],
    ['another upgrade', ['Upgrade: websocket', 'Upgrade: h2c'], 426],
    ['HTTP/1.0', ['HTTP/1.1', 'HTTP/1.0'], 426],
    ['the origin of another site', ['Accept-Encoding: gzip', 'Origin: http://evil.example'], 403],
    ['a window for the server', ['server_no_context_takeover', 'server_max_window_bits=10'], 400],
  ])('%s is refused', async (_, [from, to], status) => {
    const { port } = await startServer(['a:1'])
    const peer = await dialPlain(port, '/tunnel/a:1', goHandshake('/tunnel/a:1', 'a').replace(from!, to!))
    expect(peer.status).toBe(status)
    expect(peer.head.endsWith('\nwebsocket error\n')).toBe(true)
    await peer.gone()
  })

  test('takes an origin that is the host, client_max_window_bits, and a path in percent-encoding', async () => {
    const echo = await echoServer()
    const { port } = await startServer([`127.0.0.1:${echo.port}`])
    const path = `/tunnel/127.0.0.1%3A${echo.port}?ignored`
    const handshake = goHandshake(path, 'A.example', ['Origin: https://a.example']).replace(
      'client_no',
      'client_max_window_bits=12; client_no',
    )
    const peer = await dialPlain(port, path, handshake)
    expect([peer.status, peer.field('Sec-WebSocket-Extensions')]).toEqual([
      101,
      'permessage-deflate; client_no_context_takeover; server_no_context_takeover',
    ])
  })

  test.each(['sokken', 'other'])('compares the subprotocol exactly, after it has been agreed on (%s)', async name => {
    const { port } = await startServer(['a:1'])
    const offer = name === 'sokken' ? 'SOKKEN' : 'other'
    const peer = await dialPlain(port, '/tunnel/a:1', goHandshake('/tunnel/a:1', 'a').replace('Protocol: sokken', `Protocol: ${offer}`))
    expect([peer.status, peer.field('Sec-WebSocket-Protocol')]).toEqual([101, name === 'sokken' ? 'SOKKEN' : undefined])
    expect(await peer.closeFrame()).toEqual({ code: 1008, reason: 'client not using sokken subprotocol' })
  })

  test('of a target that is not listed succeeds, and is closed with 1011', async () => {
    const { port, lines } = await startServer(['a:1'])
    const peer = await dialPlain(port, '/tunnel/a:2')
    expect(peer.status).toBe(101)
    expect(await peer.closeFrame()).toEqual({ code: 1011, reason: 'target address not allowed' })
    peer.sendClose(1011)
    await peer.gone()
    expect(lines).toContainEqual(expect.objectContaining({ level: 'warn', message: 'target address not allowed: a:2', target: 'a:2' }))
  })

  test('that does not come within 5 s ends without an answer', async () => {
    const { port } = await startServer(['a:1'])
    const { text, closed } = await rawRequest(port, 'GET /health HTTP/1.1\r\nHost: a\r\n')
    expect({ text, closed }).toEqual({ text: '', closed: 'fin' })
  })
})

describe('messages', () => {
  const start = async (): Promise<{ peer: PlainWebSocket; far: TcpServer }> => {
    const far = await tcpServer()
    const { port, lines } = await startServer([`127.0.0.1:${far.port}`])
    const peer = await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)
    await until(() => lines.some(({ message }) => message === 'plumbing start'))
    return { far, peer }
  }

  test('may be fragmented, empty and compressed', async () => {
    const { peer, far } = await start()
    const text = Buffer.from('compressed '.repeat(200))
    peer.send(2, 'a', { fin: false })
    peer.send(9, 'ping')
    peer.send(0, 'b')
    peer.send(2, '')
    peer.send(2, deflated(text), { rsv1: true })
    await (await far.end()).received(`ab${text.toString()}`)
    await until(() => peer.frames.some(({ opcode, payload }) => opcode === 10 && payload.toString() === 'ping'))
  })

  test('of 512 bytes and more are compressed where that helps, and never longer than 32 KiB', async () => {
    const { peer, far } = await start()
    const { socket } = await far.end()
    const bytes = Buffer.concat([Buffer.alloc(100_000, 'abc'), Buffer.from('end')])
    socket.write(bytes)
    await until(() => peer.bytes.length === bytes.length)
    expect(peer.bytes.equals(bytes)).toBe(true)
    expect(peer.frames.every(({ payload, fin, opcode, masked }) => payload.length <= 32_768 && fin && opcode === 2 && !masked)).toBe(true)
    expect(peer.frames.some(({ rsv1 }) => rsv1)).toBe(true)
  })

  test('of 32,769 bytes end the tunnel with 1009, and the target sees no clean end', async () => {
    const { peer, far } = await start()
    const end = await far.end()
    peer.send(2, Buffer.alloc(32_768, 1))
    await until(() => end.bytes.length === 32_768) // some kernels show an end and no reset behind bytes that are under way
    peer.send(2, Buffer.alloc(32_769, 2))
    expect(await peer.closeFrame()).toEqual({ code: 1009, reason: 'read limited at 32769 bytes' })
    await end.gone()
    expect(end.hasEnded).toBe(false)
  })

  test('of text end it with 1003', async () => {
    const { peer } = await start()
    peer.send(1, 'fin') // understood by those alone that have agreed on half-close
    expect(await peer.closeFrame()).toEqual({ code: 1003, reason: 'unexpected frame type read (expected MessageBinary): MessageText' })
  })
})

describe('the end', () => {
  test('of the target ends the tunnel with 1000, behind all its bytes', async () => {
    const bytes = Buffer.alloc(1_000_000, 7)
    const far = await tcpServer(({ socket }) => socket.end(bytes))
    const { port, count, lines } = await startServer([`127.0.0.1:${far.port}`])
    const peer = await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)
    expect(await peer.closeFrame()).toEqual({ code: 1000, reason: '' })
    expect(peer.bytes.equals(bytes)).toBe(true)
    expect(count.active).toBe(1)
    peer.sendClose(1000)
    await peer.gone()
    await (await far.end()).gone()
    await until(() => count.active === 0)
    expect(lines.map(({ message }) => message.replace(/lasted .*/, 'lasted'))).toEqual([
      `dialing 127.0.0.1:${far.port}`,
      'plumbing start',
      'plumbing end, lasted',
    ])
    expect(lines.at(-1)).toMatchObject({
      'plumbing-duration-ms': expect.any(Number),
      target: `127.0.0.1:${far.port}`,
      client: expect.stringMatching(/^127/),
    })
  })

  test.each([1000, 1001])('by a close with %i reaches the target as the end of the bytes, and the code comes back', async code => {
    const far = await tcpServer()
    const { port, count } = await startServer([`127.0.0.1:${far.port}`])
    const peer = await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)
    peer.binary('last words')
    peer.sendClose(code)
    const end = await far.end()
    expect((await end.ended()).toString()).toBe('last words')
    end.socket.end()
    expect(await peer.closeFrame()).toEqual({ code, reason: '' })
    await peer.gone()
    await until(() => count.active === 0)
  })

  test('by another code, or without one, is a reset for the target', async () => {
    const far = await tcpServer()
    const { port, count, lines } = await startServer([`127.0.0.1:${far.port}`])
    const rude = await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)
    rude.sendClose(4000, 'no more')
    await (await far.end(0)).gone()
    const lost = await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)
    await far.end(1)
    lost.socket.destroy()
    await (await far.end(1)).gone()
    expect(far.ends.map(({ hasEnded, error }) => [hasEnded, error?.code])).toEqual([
      [false, 'ECONNRESET'],
      [false, 'ECONNRESET'],
    ])
    await until(() => count.active === 0)
    expect(lines.filter(({ message }) => message === 'abnormal websocket close status').length).toBe(2)
  })

  test('of a target that cannot be reached comes at once, with 1014 (7.4, 2)', async () => {
    const { port, count, lines } = await startServer(['127.0.0.1:1'])
    const peer = await dialPlain(port, '/tunnel/127.0.0.1:1')
    expect(await peer.closeFrame()).toEqual({ code: 1014, reason: 'cannot connect to the target' })
    peer.sendClose(1014)
    await peer.gone()
    await until(() => count.active === 0)
    expect(lines.at(-1)).toMatchObject({ level: 'error', message: 'Dial error', error: expect.stringContaining('ECONNREFUSED') })
  })

  test('of a peer that never answers the close comes after a deadline', async () => {
    const far = await tcpServer(({ socket }) => socket.end('x'))
    const { port, count } = await startServer([`127.0.0.1:${far.port}`])
    const peer = await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)
    await peer.closeFrame()
    await peer.gone()
    await until(() => count.active === 0)
  })

  test('comes to everybody when the server is asked to end', async () => {
    const far = await tcpServer()
    const { port, server, count } = await startServer([`127.0.0.1:${far.port}`])
    const peer = await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)
    await far.end()
    server.stop()
    peer.binary('still here')
    await (await far.end()).received('still here')
    server.destroy('the process ends')
    expect(await peer.closeFrame()).toEqual({ code: 1012, reason: 'the process ends' })
    peer.sendClose(1012)
    await until(() => count.active === 0)
  })
})

describe('the limit', () => {
  test('is kept by a burst, refuses with 429, and lets in again when one has gone (7.4, 4)', async () => {
    const far = await tcpServer()
    const { port, count } = await startServer([`127.0.0.1:${far.port}`], { max: 3 })
    const peers = await Promise.all(Array.from({ length: 10 }, () => dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)))
    const statuses = peers.map(({ status }) => status).sort()
    expect(statuses).toEqual([101, 101, 101, ...Array<number>(7).fill(429)])
    expect(peers.find(({ status }) => status === 429)?.head).toMatch(/\r\n\r\ntoo many proxied connections\n$/)
    const { text } = await rawRequest(port, get('/health'))
    expect(JSON.parse(text.split('\r\n\r\n')[1]!)).toEqual({ connections: 3, 'max-connections': 3, 'connections-used-percent': 1 })
    for (const peer of peers) peer.socket.destroy()
    await until(() => count.active === 0)
    expect((await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)).status).toBe(101)
  })

  test('counts what is being dialled, and ends it when the client leaves', async () => {
    // Nobody answers there (RFC 5737), or the network says so at once: either way nothing is left.
    const { port, count } = await startServer(['192.0.2.1:9'], { dialTimeoutMs: 60_000 })
    const peer = await dialPlain(port, '/tunnel/192.0.2.1:9')
    peer.socket.destroy()
    await until(() => count.active === 0)
  })
})

describe('/health', () => {
  test.each(['GET', 'POST', 'DELETE'])('answers %s in the form of the real program', async method => {
    const { port } = await startServer(['a:1'], { max: 100 })
    const { text } = await rawRequest(port, get('/health').replace('GET', method))
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n/)
    expect(text).toContain('Content-Type: text/plain; charset=utf-8\r\n')
    expect(text.endsWith('\r\n\r\n{\n  "connections": 0,\n  "max-connections": 100,\n  "connections-used-percent": 0\n}\n')).toBe(true)
  })
})

describe('tokens', () => {
  test('are asked for before anything else is said of the target', async () => {
    const far = await tcpServer()
    const token = mintToken()
    const { port, lines } = await startServer([`127.0.0.1:${far.port}`], { tokens: [hashToken(mintToken()), hashToken(token)] })
    const status = async (...fields: string[]): Promise<number> => {
      const path = `/tunnel/127.0.0.1:${far.port}`
      return (await dialPlain(port, path, goHandshake(path, 'a', fields))).status
    }
    expect(await status()).toBe(401)
    expect(await status(`Authorization: Bearer ${token}x`)).toBe(401)
    expect(await status(`Authorization: Digest ${token}`)).toBe(401)
    expect(await status(`Authorization: Bearer ${token}`)).toBe(101)
    // Go's client makes this of ws://any:TOKEN@host, so that the real sokken has a way in.
    expect(await status(`Authorization: Basic ${Buffer.from(`any:${token}`).toString('base64')}`)).toBe(101)
    expect(JSON.stringify(lines)).not.toContain(token)
  })
})

describe('a slow reader', () => {
  test('stops the other end: no more is held than buffers of the size of a window', async () => {
    let sent = 0
    const far = await tcpServer(({ socket }) => {
      const fill = (): void => {
        while (!socket.destroyed) {
          sent += 65_536
          if (!socket.write(Buffer.alloc(65_536))) break
        }
      }
      socket.on('drain', fill)
      fill()
    })
    const { port } = await startServer([`127.0.0.1:${far.port}`], { compression: false })
    const peer = await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)
    peer.socket.pause()
    let last = -1
    await until(() => {
      const isStill = sent === last
      last = sent
      return isStill && sent > 0
    })
    // Kernels take some megabytes on both ways; what counts is that it ends.
    expect(sent).toBeLessThan(64 * 1_048_576)
    peer.socket.destroy()
  })

  test('does not make a compressed zero grow: what the target does not take stays compressed', async () => {
    const far = await tcpServer(({ socket }) => socket.pause())
    const { port } = await startServer([`127.0.0.1:${far.port}`])
    const peer = await dialPlain(port, `/tunnel/127.0.0.1:${far.port}`)
    const zeros = deflated(Buffer.alloc(32_768))
    const before = heldBytes()
    for (let i = 0; i < 20_000; i++) peer.send(2, zeros, { rsv1: true })
    await until(() => peer.socket.writableLength === 0 || peer.socket.writableNeedDrain)
    await far.end()
    // All of it would be 625 MiB.
    expect(heldBytes() - before).toBeLessThan(64 * 1_048_576)
    peer.socket.destroy()
  })
})
