/** What strangers do to the socket port, and what a hostile outer layer does to those who dial it. */
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { WebSocket, WebSocketServer } from 'ws'
import { dial } from '../../src/link/dialer.ts'
import type { Link } from '../../src/mux/link.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { once, until, within } from '../support/wait.ts'
import { frame, Opcode } from '../support/websocket-frames.ts'
import { dialLink, inbox, startListener, type Listening } from './pair.ts'

/** A websocket to the listener without any socket.io of ours. */
const rawSocket = async ({ port }: Listening, options: object = {}): Promise<WebSocket> => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, options)
  onCleanUp(() => socket.terminate())
  socket.on('error', () => undefined)
  await once(socket, 'open')
  return socket
}

const CONNECT = '4{"type":0,"nsp":"/"}'

/** A healthy link beside the hostile one, and proof that it still works. */
const bystander = async (listening: Listening): Promise<() => Promise<void>> => {
  const link = await dialLink(listening.port)
  const accepted = await until(() => listening.links.at(-1))
  return async () => {
    const box = inbox(link)
    accepted.send(Buffer.from('still here'))
    await until(() => box.messages.length === 1)
  }
}

describe('the listener', () => {
  test.each([
    ['polling', 'GET'],
    ['polling', 'POST'],
    ['webtransport', 'GET'],
  ])('answers %s by %s with 400 and keeps no socket', async (transport, method) => {
    const listening = await startListener()
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        fetch(`http://127.0.0.1:${listening.port}/socket.io/?EIO=4&transport=${transport}`, {
          method,
          headers: { connection: 'close' },
          ...(method === 'POST' ? { body: '4{"type":0,"nsp":"/"}' } : {}),
        }).then(async response => {
          await response.arrayBuffer()
          return response.status
        }),
      ),
    )
    expect(new Set(answers)).toEqual(new Set([400]))
    await until(async () => (await listening.sockets()) === 0)
    expect(listening.links).toEqual([])
  })

  test('refuses a handshake with an Origin header, as every browser sends it', async () => {
    const listening = await startListener()
    await expect(rawSocket(listening, { origin: 'https://example.com' })).rejects.toThrow()
    await until(async () => (await listening.sockets()) === 0)
    expect(listening.links).toEqual([])
  })

  test('refuses whom the owner does not admit, and the dialler learns that it was refused', async () => {
    const listening = await startListener(() => 'not today')
    await expect(dialLink(listening.port)).rejects.toThrow(/4\d\d/)
    await until(async () => (await listening.sockets()) === 0)
  })

  test('closes although somebody connects while a silent link still keeps it from being over', async () => {
    const listening = await startListener()
    const silent = await rawSocket(listening)
    silent.send(CONNECT)
    await until(() => listening.links.length === 1)
    const late = await rawSocket(listening)
    silent.pause() // never answers the closing handshake
    const closed = listening.close()
    late.send(CONNECT)
    await once(late, 'close')
    await within(closed, 'the listener to close')
    expect(listening.links.length).toBe(1)
  })

  const garbage: readonly (readonly [string, readonly (string | Buffer)[]])[] = [
    ['a text that engine.io does not know', ['zzz']],
    ['a text packet that is no JSON', ['4nonsense']],
    ['a text packet that is too long', [`4${'x'.repeat(5_000)}`]],
    ['a text packet of another namespace', ['4{"type":0,"nsp":"/admin"}']],
    ['a text packet of an unknown type', ['4{"type":2,"nsp":"/","data":["f"]}']],
    ['a connect error', ['4{"type":4,"nsp":"/","data":{}}']],
    ['binary bytes before it connects', [Buffer.from('bytes')]],
    ['garbage after it has connected', [CONNECT, '4nonsense']],
    ['a ping of engine.io', [CONNECT, '2']],
    ['a second CONNECT later', [CONNECT, CONNECT]],
    ['a DISCONNECT that would leave the websocket open', [CONNECT, '4{"type":1,"nsp":"/"}']],
  ]
  test.each(garbage)('ends the connection that sends %s, and no other', async (_name, messages) => {
    const listening = await startListener()
    const stillWorks = await bystander(listening)
    const socket = await rawSocket(listening)
    const closed = once(socket, 'close')
    for (const message of messages) {
      socket.send(message)
      await new Promise(setImmediate)
    }
    await closed
    await stillWorks()
    await until(async () => (await listening.sockets()) === 1)
  })

  test('makes one link of a connection, however many CONNECT packets it sends at once', async () => {
    const listening = await startListener()
    const socket = await rawSocket(listening)
    const closed = once(socket, 'close')
    for (let i = 0; i < 50; i++) socket.send(CONNECT)
    await closed
    expect(listening.links.length).toBeLessThanOrEqual(1)
    await until(async () => (await listening.sockets()) === 0)
  })

  test('hands on in order what comes in fragments, as a proxy on the way may make them, and what does not', async () => {
    const listening = await startListener()
    const socket = await rawSocket(listening)
    socket.send(CONNECT)
    const link = await until(() => listening.links[0])
    const box = inbox(link)
    const frames = ['a', 'b'].flatMap(name => [
      frame(Opcode.BINARY, `${name}1`, { fin: false }),
      frame(Opcode.PING, 'between'),
      frame(Opcode.CONTINUATION, `${name}2`),
      frame(Opcode.BINARY, `${name}3`),
    ])
    // One write: the fragments and what follows them are read at once.
    ;(socket as unknown as { readonly _socket: Socket })._socket.write(Buffer.concat(frames))
    await until(() => box.messages.length === 4)
    expect(box.messages.map(String)).toEqual(['a1a2', 'a3', 'b1b2', 'b3'])
  })

  test('ends a connection that floods it with pings of the websocket', async () => {
    const listening = await startListener()
    const socket = await rawSocket(listening)
    const closed = once(socket, 'close')
    for (let i = 0; i < 100; i++) socket.ping()
    await closed
    await until(async () => (await listening.sockets()) === 0)
  })

  test('ends a connection that never connects, after five seconds', async () => {
    const listening = await startListener()
    const socket = await rawSocket(listening)
    await once(socket, 'close')
    expect(listening.links).toEqual([])
  })
})

/** A server that speaks the websocket protocol and then whatever `script` says. */
const hostileServer = async (script: (socket: WebSocket) => void): Promise<number> => {
  const server: Server = createServer()
  const websockets = new WebSocketServer({ server })
  websockets.on('connection', socket => {
    socket.on('error', () => undefined)
    script(socket)
  })
  return await listen(server)
}

const OPEN = `0${JSON.stringify({ sid: 's', upgrades: [], pingInterval: 25_000, pingTimeout: 20_000, maxPayload: 1e6 })}`
const CONNECTED = '4{"type":0,"nsp":"/","data":{"sid":"s"}}'

/** Dials and collects what is called back. */
const dialHostile = (port: number): { links: Link[]; failures: string[]; closed: string[] } => {
  const seen = { links: [] as Link[], failures: [] as string[], closed: [] as string[] }
  const giveUp = dial(
    { url: `ws://127.0.0.1:${port}` },
    {
      onLink: link => {
        seen.links.push(link)
        link.onClose = reason => seen.closed.push(reason)
      },
      onFailure: reason => seen.failures.push(reason),
    },
  )
  onCleanUp(giveUp)
  return seen
}

describe('the dialler', () => {
  const before: readonly (readonly [string, (socket: WebSocket) => void])[] = [
    ['closes at once', socket => socket.close()],
    ['closes before it has connected', socket => socket.send(OPEN, () => socket.close())],
    ['sends a connect error', socket => [OPEN, '4{"type":4,"nsp":"/","data":{"message":"no"}}'].forEach(text => socket.send(text))],
    ['sends a connect error without data', socket => [OPEN, '4{"type":4,"nsp":"/"}'].forEach(text => socket.send(text))],
    ['connects without a session id', socket => [OPEN, '4{"type":0,"nsp":"/"}'].forEach(text => socket.send(text))],
    ['sends garbage', socket => [OPEN, '4nonsense'].forEach(text => socket.send(text))],
    ['floods it with pings', socket => Array.from({ length: 100 }, () => socket.ping())],
    ['floods it with pings of engine.io', socket => [OPEN, ...Array<string>(100).fill('2')].forEach(text => socket.send(text))],
  ]
  test.each(before)('reports one failure when the server %s', async (_name, script) => {
    const seen = dialHostile(await hostileServer(script))
    await until(() => seen.failures.length > 0)
    await new Promise(setImmediate)
    expect([seen.failures.length, seen.links.length]).toEqual([1, 0])
  })

  const after: readonly (readonly [string, (socket: WebSocket) => void])[] = [
    ['sends garbage', socket => socket.send('4nonsense')],
    ['disconnects and keeps the websocket open', socket => socket.send('4{"type":1,"nsp":"/"}')],
    ['sends a connect error', socket => socket.send('4{"type":4,"nsp":"/","data":{"message":"no"}}')],
    ['sends 2 MiB', socket => socket.send(Buffer.alloc(2 * 1_048_576))],
    ['floods it with pings of the websocket', socket => Array.from({ length: 100 }, () => socket.ping())],
    ['floods it with pings of engine.io', socket => Array.from({ length: 100 }, () => socket.send('2'))],
  ]
  test.each(after)('closes the link when the server has connected and then %s', async (_name, script) => {
    let isGone = false
    const port = await hostileServer(socket => {
      socket.on('close', () => {
        isGone = true
      })
      socket.send(OPEN)
      socket.send(CONNECTED)
      // The first message of ours is the CONNECT packet of socket.io.
      socket.once('message', () => setImmediate(() => script(socket)))
    })
    const seen = dialHostile(port)
    await until(() => seen.closed.length > 0)
    await until(() => isGone)
    expect([seen.links.length, seen.closed.length, seen.failures.length]).toEqual([1, 1, 0])
  })

  test('ends no link because a ping of engine.io is late', async () => {
    const hasty = OPEN.replace('25000', '250').replace('20000', '250')
    const sockets: WebSocket[] = []
    const port = await hostileServer(socket => {
      sockets.push(socket)
      ;[hasty, CONNECTED].forEach(text => socket.send(text))
    })
    const seen = dialHostile(port)
    await until(() => seen.links.length > 0)
    const startedMs = performance.now()
    await until(() => performance.now() - startedMs > 1_000)
    sockets[0]!.send('2') // one that comes after all is answered, and starts no timer
    await until(() => performance.now() - startedMs > 2_000)
    expect(seen.closed).toEqual([])
  })

  test('makes one link, however often the server says that it is connected', async () => {
    const seen = dialHostile(await hostileServer(socket => [OPEN, CONNECTED, CONNECTED, CONNECTED].forEach(text => socket.send(text))))
    await until(() => seen.links.length > 0)
    await new Promise(setImmediate)
    expect([seen.links.length, seen.failures.length]).toEqual([1, 0])
  })

  test('says why it failed: nobody listens, no such name', async () => {
    const server = createServer()
    const port = await listen(server)
    await new Promise(resolve => server.close(resolve))
    await expect(dialLink(port)).rejects.toThrow('ECONNREFUSED')
  })

  test('gives up silently: neither callback comes afterwards', async () => {
    const listening = await startListener()
    const calls: string[] = []
    const giveUp = dial(
      { url: `ws://127.0.0.1:${listening.port}` },
      { onLink: () => calls.push('link'), onFailure: reason => calls.push(reason) },
    )
    giveUp()
    giveUp()
    const link = await dialLink(listening.port)
    link.close()
    expect(calls).toEqual([])
  })

  test('keeps the path of the URL as the prefix of /socket.io/', async () => {
    const listening = await startListener()
    const paths: string[] = []
    const front = createServer()
    front.on('upgrade', (request, socket) => {
      paths.push(request.url ?? '')
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n')
    })
    const port = await listen(front)
    await expect(within(dialLink(port, '/gateway/a/'), 'an answer')).rejects.toThrow('404')
    expect(paths[0]).toMatch(/^\/gateway\/a\/socket\.io\/\?EIO=4&transport=websocket/)
    // Without a path it is the listener's own.
    await expect(dialLink(listening.port, '/')).resolves.toBeDefined()
  })
})
