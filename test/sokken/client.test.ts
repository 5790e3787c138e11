/** The client end against servers that do what the real one does, and both ends of ours together. */
import { createServer } from 'node:http'
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import WebSocket, { WebSocketServer } from 'ws'
import { mintAuthority, mintServer } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { deflated, plainServer, type PlainWebSocket } from '../support/plain-web-socket.ts'
import { rawRequest } from '../support/raw-client.ts'
import { startRelay } from '../support/relay.ts'
import { echoServer, tcpConnect, tcpServer } from '../support/tcp.ts'
import { until } from '../support/wait.ts'
import { startClient, startServer } from './start.ts'

const COMPRESSED = 'Sec-Websocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover'
const SOKKEN = 'Sec-Websocket-Protocol: sokken'

type Far = Awaited<ReturnType<typeof plainServer>>

const handshakeOf = (far: Far): Promise<PlainWebSocket> => until(() => far.peers.find(({ head }) => head !== ''), { what: 'a handshake' })

describe('the handshake', () => {
  test('offers what the real client offers, and half-close beside it', async () => {
    const far = await plainServer(peer => peer.accept([SOKKEN, COMPRESSED]))
    const { port } = await startClient([`ws://127.0.0.1:${far.port}/tunnel/a:1?x`])
    await tcpConnect(port)
    const peer = await handshakeOf(far)
    expect(peer.head).toMatch(/^GET \/tunnel\/a:1\?x HTTP\/1\.1\r\n/)
    expect(peer.field('Host')).toBe(`127.0.0.1:${far.port}`)
    expect(peer.field('Sec-WebSocket-Version')).toBe('13')
    expect(peer.field('Sec-WebSocket-Protocol')).toBe('sokken, sokken.half-close')
    expect(peer.field('Sec-WebSocket-Extensions')).toBe('permessage-deflate; client_no_context_takeover; server_no_context_takeover')
    expect(peer.field('Origin')).toBeUndefined()
  })

  test.each([
    ['with everything', [SOKKEN, COMPRESSED]],
    ['without compression', [SOKKEN]],
    ['without a subprotocol', []],
  ])('that is answered %s carries bytes both ways', async (_, fields) => {
    const far = await plainServer(peer => {
      peer.accept(fields)
      peer.send(2, 'from afar')
      if (fields.includes(COMPRESSED)) peer.send(2, deflated(Buffer.from(' and compressed')), { rsv1: true })
    })
    const { port } = await startClient([`ws://127.0.0.1:${far.port}/tunnel/a:1`])
    const near = await tcpConnect(port)
    await near.received(fields.includes(COMPRESSED) ? 'from afar and compressed' : 'from afar')
    near.socket.write('from near')
    await until(() => far.peers[0]!.bytes.toString() === 'from near')
    expect(far.peers[0]!.frames.every(({ masked, opcode }) => masked && opcode === 2)).toBe(true)
    // Without the agreement on half-close an end is the end of both, as with the real program.
    near.socket.end()
    expect(await far.peers[0]!.closeFrame()).toEqual({ code: 1000, reason: '' })
    far.peers[0]!.sendClose(1000)
    far.peers[0]!.socket.end()
    await near.ended()
  })

  test.each([
    ['another subprotocol', [`Sec-Websocket-Protocol: chat`]],
    ['an extension that was not offered', [SOKKEN, 'Sec-Websocket-Extensions: x-other']],
    ['a window', [SOKKEN, `${COMPRESSED}; client_max_window_bits=10`]],
  ])('that is answered with %s fails, and the connection with it', async (_, fields) => {
    const far = await plainServer(peer => peer.accept(fields))
    const { port, lines, count } = await startClient([`ws://127.0.0.1:${far.port}/tunnel/a:1`])
    const near = await tcpConnect(port)
    await near.gone()
    expect(near.error?.code).toBe('ECONNRESET')
    await until(() => count.active === 0)
    expect(lines.at(-1)).toMatchObject({ level: 'error', message: 'Dial error', error: expect.stringContaining('was not asked for') })
  })

  test('that is never answered ends after the time-out', async () => {
    const far = await tcpServer()
    const { port, lines, count } = await startClient([`ws://127.0.0.1:${far.port}/tunnel/a:1`], { timeoutMs: 200 })
    const near = await tcpConnect(port)
    await near.gone()
    await until(() => count.active === 0)
    expect(lines.at(-1)).toMatchObject({ message: 'Dial error', error: expect.stringContaining('no answer within 200 ms') })
    await (await far.end()).ended()
  })

  test('follows redirects, and takes no credentials to another host', async () => {
    const far = await plainServer(peer => peer.accept([SOKKEN]))
    const seen: (string | undefined)[] = []
    const redirect = createServer((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(307, { Location: `http://127.0.0.1:${far.port}/tunnel/b:2` }).end()
    })
    const first = await listen(redirect)
    const { port } = await startClient([`ws://user:secret@127.0.0.1:${first}/tunnel/a:1`])
    await tcpConnect(port)
    const peer = await handshakeOf(far)
    expect(seen).toEqual([`Basic ${Buffer.from('user:secret').toString('base64')}`])
    expect([/^GET (\S+)/.exec(peer.head)?.[1], peer.field('Authorization')]).toEqual(['/tunnel/b:2', undefined])
  })

  test('goes through an HTTP proxy as an absolute URI', async () => {
    const far = await plainServer(peer => peer.accept([SOKKEN]))
    const { port } = await startClient(['ws://behind.example:8000/tunnel/a:1'], {
      proxyFor: () => new URL(`http://me:pw@127.0.0.1:${far.port}`),
    })
    await tcpConnect(port)
    const peer = await handshakeOf(far)
    expect(peer.head).toMatch(/^GET http:\/\/behind\.example:8000\/tunnel\/a:1 HTTP/)
    expect([peer.field('Host'), peer.field('Proxy-Authorization')]).toEqual([
      'behind.example:8000',
      `Basic ${Buffer.from('me:pw').toString('base64')}`,
    ])
  })

  test('goes through an HTTP proxy by CONNECT for TLS, verified to the server behind it', async () => {
    const authority = await mintAuthority()
    const pair = await mintServer(['behind.example'], authority)
    const echo = await echoServer()
    const server = await startServer([`127.0.0.1:${echo.port}`], { tls: { certificate: pair.certificatePem, key: pair.privateKeyPem } })
    const seen: string[] = []
    const proxy = createServer()
    proxy.on('connect', (request, socket) => {
      seen.push(`${request.url ?? ''} ${request.headers['proxy-authorization'] ?? ''}`)
      if (seen.length === 3) return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      const onward = connectTcp(server.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        socket.pipe(onward).pipe(socket)
      })
      for (const each of [socket, onward]) each.on('error', () => undefined)
    })
    const proxyPort = await listen(proxy)
    const dial = { ca: authority.certificatePem, proxyFor: () => new URL(`http://me:pw@127.0.0.1:${proxyPort}`) }
    const { port } = await startClient([`wss://behind.example/tunnel/127.0.0.1:${echo.port}`], dial)
    const near = await tcpConnect(port)
    near.socket.end('through')
    expect((await near.ended()).toString()).toBe('through')
    expect(seen).toEqual([`behind.example:443 Basic ${Buffer.from('me:pw').toString('base64')}`])

    const other = await startClient([`wss://other.example/tunnel/127.0.0.1:${echo.port}`], dial)
    await (await tcpConnect(other.port)).gone()
    await until(() => other.lines.some(({ error }) => String(error).includes("does not match certificate's altnames")))
    await (await tcpConnect(other.port)).gone()
    await until(() => other.lines.some(({ error }) => /answered CONNECT \S+ with 407/.test(String(error))))
    await until(() => other.count.active === 0)
  })
})

describe('the package ws', () => {
  test('as a client of the server, with and without compression', async () => {
    const echo = await echoServer()
    const { port } = await startServer([`127.0.0.1:${echo.port}`])
    for (const perMessageDeflate of [
      false,
      { serverNoContextTakeover: true, clientNoContextTakeover: true, clientMaxWindowBits: false as never, threshold: 0 },
    ]) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/tunnel/127.0.0.1:${echo.port}`, ['sokken'], { perMessageDeflate })
      const got: Buffer[] = []
      socket.on('message', (bytes: Buffer, isBinary) => got.push(isBinary ? bytes : Buffer.from('text')))
      await new Promise(resolve => socket.once('open', resolve))
      const bytes = Buffer.concat(Array.from({ length: 40 }, (_, i) => Buffer.alloc(i * 700, `part ${i} `)))
      for (let at = 0; at < bytes.length; at += 30_000) socket.send(bytes.subarray(at, at + 30_000))
      await until(() => Buffer.concat(got).length === bytes.length)
      expect(Buffer.concat(got).equals(bytes)).toBe(true)
      const closed = new Promise(resolve => socket.once('close', (code, reason) => resolve([code, reason.toString()])))
      socket.send('text')
      expect(await closed).toEqual([1003, 'unexpected frame type read (expected MessageBinary): MessageText'])
    }
  })

  test('as a server of the client', async () => {
    const server = new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      perMessageDeflate: { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
    })
    onCleanUp(() => server.close())
    await new Promise(resolve => server.once('listening', resolve))
    server.on('connection', socket => socket.on('message', (bytes: Buffer) => socket.send(bytes, { binary: true })))
    const { port } = await startClient([`ws://127.0.0.1:${(server.address() as AddressInfo).port}/tunnel/a:1`])
    const near = await tcpConnect(port)
    const bytes = Buffer.alloc(1_000_000, 'to and fro ')
    near.socket.write(bytes)
    await until(() => near.bytes.length === bytes.length)
    expect(near.bytes.equals(bytes)).toBe(true)
    near.socket.end()
    await near.ended()
  })
})

describe('the end', () => {
  test.each([1008, 1011, 4000])('by a close with %i is a reset, and in the log', async code => {
    const far = await plainServer(peer => {
      peer.accept([SOKKEN])
      peer.sendClose(code, 'why')
    })
    const { port, lines, count } = await startClient([`ws://127.0.0.1:${far.port}/tunnel/a:1`])
    const near = await tcpConnect(port)
    await near.gone()
    expect([near.hasEnded, near.error?.code]).toEqual([false, 'ECONNRESET'])
    expect(await far.peers[0]!.closeFrame()).toEqual({ code, reason: 'why' })
    far.peers[0]!.socket.end()
    await until(() => count.active === 0)
    expect(lines).toContainEqual(
      expect.objectContaining({ message: 'abnormal websocket close status', error: `the tunnel was closed with ${code}: why` }),
    )
  })

  test('by the loss of the link is a reset', async () => {
    const far = await tcpServer()
    const server = await startServer([`127.0.0.1:${far.port}`])
    const relay = await startRelay({ target: { host: '127.0.0.1', port: server.port } })
    const client = await startClient([`ws://127.0.0.1:${relay.port}/tunnel/127.0.0.1:${far.port}`])
    const near = await tcpConnect(client.port)
    near.socket.write('x')
    await (await far.end()).received('x')
    await relay.close()
    await Promise.all([near.gone(), (await far.end()).gone()])
    expect([near.hasEnded, (await far.end()).hasEnded]).toEqual([false, false])
    await until(() => client.count.active === 0 && server.count.active === 0)
  })

  test('of the client cuts what is left, with a reason', async () => {
    const far = await plainServer(peer => peer.accept([SOKKEN]))
    const { port, client, count } = await startClient([`ws://127.0.0.1:${far.port}/tunnel/a:1`])
    const near = await tcpConnect(port)
    await until(() => far.peers[0]?.head !== '')
    near.socket.write('x')
    await until(() => far.peers[0]!.bytes.length === 1)
    client.destroy('the process ends')
    expect(await far.peers[0]!.closeFrame()).toEqual({ code: 1012, reason: 'the process ends' })
    far.peers[0]!.sendClose(1012)
    far.peers[0]!.socket.end()
    await near.gone()
    await until(() => count.active === 0)
  })
})

describe('the limit', () => {
  test('resets what is too much, and the port goes on (7.4, 1)', async () => {
    const echo = await echoServer()
    const server = await startServer([`127.0.0.1:${echo.port}`])
    const { port, api, lines, count } = await startClient([`ws://127.0.0.1:${server.port}/tunnel/127.0.0.1:${echo.port}`], { max: 2 })
    const ask = async (): Promise<boolean> => {
      const near = await tcpConnect(port)
      near.socket.write('hello')
      await until(() => near.text === 'hello' || near.socket.destroyed)
      return near.text === 'hello'
    }
    const first = await tcpConnect(port)
    const second = await tcpConnect(port)
    first.socket.write('a')
    second.socket.write('b')
    await Promise.all([first.received('a'), second.received('b')])
    expect(await ask()).toBe(false)
    expect(await ask()).toBe(false)
    const { text } = await rawRequest(api, 'GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(text.endsWith('{\n  "connections": 2,\n  "max-connections": 2,\n  "connections-used-percent": 1\n}\n')).toBe(true)
    expect(lines).toContainEqual(expect.objectContaining({ level: 'error', message: 'rejecting client since we have 2 connections' }))
    first.socket.end()
    await first.ended()
    await until(() => count.active === 1)
    expect(await ask()).toBe(true)
  })
})

describe('two ends of ours', () => {
  test.each([true, false])('end each direction on its own, and lose nothing (compression %s)', async compression => {
    const request = Buffer.alloc(3_000_000, 'request ')
    const answer = Buffer.alloc(5_000_000, 'answer ')
    const far = await tcpServer(({ socket }) => {
      let got = 0
      socket.on('data', (chunk: Buffer) => (got += chunk.length))
      socket.on('end', () => socket.end(got === request.length ? answer : 'wrong')) // answers behind the end alone
    })
    const server = await startServer([`127.0.0.1:${far.port}`], { compression })
    const client = await startClient([`ws://127.0.0.1:${server.port}/tunnel/127.0.0.1:${far.port}`])
    const near = await tcpConnect(client.port)
    near.socket.end(request)
    expect((await near.ended(20_000)).equals(answer)).toBe(true)
    expect((await far.end()).bytes.equals(request)).toBe(true)
    await until(() => client.count.active === 0 && server.count.active === 0)
    expect([...client.lines, ...server.lines].filter(({ level }) => level === 'error')).toEqual([])
  })

  test('also when the far end ends first', async () => {
    const far = await tcpServer(({ socket }) => socket.end('greeting'))
    const server = await startServer([`127.0.0.1:${far.port}`])
    const client = await startClient([`ws://127.0.0.1:${server.port}/tunnel/127.0.0.1:${far.port}`])
    const near = await tcpConnect(client.port)
    expect((await near.ended()).toString()).toBe('greeting')
    near.socket.end('thanks')
    expect((await (await far.end()).ended()).toString()).toBe('thanks')
    await until(() => client.count.active === 0 && server.count.active === 0)
  })

  test('reset each other', async () => {
    const far = await tcpServer()
    const server = await startServer([`127.0.0.1:${far.port}`])
    const client = await startClient([`ws://127.0.0.1:${server.port}/tunnel/127.0.0.1:${far.port}`])
    const near = await tcpConnect(client.port)
    near.socket.write('x')
    await (await far.end()).received('x')
    near.socket.resetAndDestroy()
    await (await far.end()).gone()
    expect((await far.end()).error?.code).toBe('ECONNRESET')
    await until(() => client.count.active === 0 && server.count.active === 0)
  })

  test('leave nothing behind after 600 connections, 200 at a time, of which some are refused, reset or lost', async () => {
    const echo = await echoServer()
    const server = await startServer([`127.0.0.1:${echo.port}`, '127.0.0.1:1'], { max: 150 })
    const base = `ws://127.0.0.1:${server.port}/tunnel`
    const client = await startClient([`${base}/127.0.0.1:${echo.port}`, `${base}/127.0.0.1:1`, `${base}/x:1`], { max: 180 })
    let [answered, failed] = [0, 0]
    const one = async (index: number): Promise<void> => {
      const socket: Socket = connectTcp({ port: client.ports[index % 10 === 0 ? 1 : index % 10 === 1 ? 2 : 0]!, host: '127.0.0.1' })
      socket.on('error', () => undefined)
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (index % 10 === 2) socket.resetAndDestroy()
        else if (index % 2 === 0) socket.end()
        else socket.destroy()
      })
      socket.write(`hello ${index}`)
      await new Promise<void>(resolve => socket.once('close', () => resolve()))
      if (text === `hello ${index}`) answered++
      else failed++
    }
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < 600) await one(next++)
    }
    await Promise.all(Array.from({ length: 200 }, worker))
    expect(answered + failed).toBe(600)
    // How many find a place depends on how fast the others leave.
    expect(answered).toBeGreaterThan(0)
    await until(() => client.count.active === 0 && server.count.active === 0, { what: 'every place to be given back' })
  })
})
