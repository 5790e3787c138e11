/** What ssh2 does not do by itself, row by row. */
import { describe, expect, test } from '@jest/globals'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { createRequire } from 'node:module'
import ssh2 from 'ssh2'
import { missingFields } from '../../src/ssh/ssh2-channels.ts'
import { forgetExchange, withoutPool } from '../../src/ssh/ssh2-memory.ts'
import { ALGORITHMS, loadSsh2 } from '../../src/ssh/ssh2.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { startGoClient, type GoClient } from '../support/go-client.ts'
import { freePort, listen } from '../support/ports.ts'
import { keyInMemory, startDoor, type Door, type DoorOptions, type MemoryKey } from '../support/ssh-door.ts'
import { until } from '../support/wait.ts'

const start = async (
  options: DoorOptions = {},
  pair?: { privateKey: KeyObject; publicKey: KeyObject },
): Promise<{ door: Door; key: MemoryKey }> => {
  const key = keyInMemory(pair)
  const door = await startDoor(options)
  door.authorize(key.line)
  return { door, key }
}

const goClient = ({ door, key }: { door: Door; key: MemoryKey }, local: number, number = 0, tcp = false): Promise<GoClient> => {
  const { tunnel } = (tcp ? door.tcp : door.http)[number]!
  return startGoClient({ port: door.door.port, user: door.user, key: key.pem, local, bindPort: tunnel.relayPort })
}

const get = (door: Door, path = '/'): ReturnType<typeof exchange> =>
  exchange(door.layers.port, { host: door.http[0]!.socket.dnsName, path })

describe('fields of ssh2 that are not for others', () => {
  test('are all there in the release that is installed', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
    const server = new ssh2.Server({ hostKeys: [privateKey.export({ type: 'pkcs1', format: 'pem' })] })
    const missing = new Promise<readonly string[]>(resolve =>
      server.once('connection', client => resolve(missingFields(client.on('error', () => undefined)))),
    )
    const listener = createTcpServer(socket => server.injectSocket(socket))
    const client = new ssh2.Client()
    onCleanUp(() => client.destroy())
    client.on('error', () => undefined).connect({ host: '127.0.0.1', port: await listen(listener), username: 'x' })
    expect(await missing).toEqual([])
    const { version } = createRequire(import.meta.url)('ssh2/package.json') as { version: string }
    expect(version).toMatch(/^1\.17\./)
  })

  test('another shape of a client is told, field by field', () => {
    expect(
      missingFields({ _sock: {}, _protocol: { _handlers: {}, _kexinit: undefined, _queue: undefined }, _chanMgr: {} } as never),
    ).toEqual(expect.arrayContaining(['_chanMgr', '_protocol.forwardedTcpip', '_protocol._handlers.CHANNEL_DATA']))
  })

  test('keep nothing of a key exchange that is over, and another one works', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
    const server = new ssh2.Server({ hostKeys: [privateKey.export({ type: 'pkcs1', format: 'pem' })], algorithms: ALGORITHMS as never })
    const { poolSize } = Buffer
    const kept: string[][] = []
    let rekey = (): void => undefined
    server.once('connection', client => {
      rekey = () => client.rekey()
      client.on('error', () => undefined).on('authentication', attempt => attempt.accept())
      client.on('handshake', () =>
        setImmediate(() => {
          forgetExchange(client)
          kept.push(Object.keys((client as unknown as { _protocol: { _kex: object } })._protocol._kex))
        }),
      )
    })
    const listener = createTcpServer(socket => withoutPool(() => server.injectSocket(socket)))
    const client = new ssh2.Client()
    onCleanUp(() => client.destroy())
    const ready = new Promise<void>(resolve => void client.once('ready', resolve))
    client.on('error', () => undefined).connect({ host: '127.0.0.1', port: await listen(listener), username: 'x' })
    await ready
    expect(Buffer.poolSize).toBe(poolSize)
    rekey()
    await until(() => kept.length === 2)
    rekey()
    await until(() => kept.length === 3)
    expect(kept).toEqual(Array.from({ length: 3 }, () => ['sessionID', 'negotiated']))
  })

  test('without the package the door says which one to install', async () => {
    const loaded = loadSsh2(() => Promise.reject(new Error("Cannot find package 'ssh2'")))
    await expect(loaded).rejects.toThrow('npm install ssh2@~1.17.0')
    await expect(loaded).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })
})

describe('a client of Go of 2021', () => {
  test('serves requests, sees who comes, and keeps its channel for the next request', async () => {
    const origin = await listen(createServer((req, res) => res.end(req.url)))
    const both = await start()
    const client = await goClient(both, origin)
    for (const path of ['/a', '/b', '/c']) expect((await get(both.door, path)).body.toString()).toBe(path)
    expect(client.refused).toEqual([])
    expect(client.origins).toHaveLength(1)
    expect(client.origins[0]).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
    await until(() => client.shown().includes('my http service 0 - https://http-0.edge.example.com\r\n'))
    expect(both.door.asked[0]).toEqual({ bindAddress: '127.0.0.1', bindPort: both.door.http[0]!.tunnel.relayPort, held: [] })
  })

  test('logs in with an RSA key that it signs with SHA-1', async () => {
    const origin = await listen(createServer((_req, res) => res.end('ok')))
    const both = await start({}, generateKeyPairSync('rsa', { modulusLength: 2_048 }))
    await goClient(both, origin)
    expect((await get(both.door)).body.toString()).toBe('ok')
    // Asked first without a signature, then with one.
    expect(both.door.offered.map(({ algorithm }) => algorithm)).toEqual(['ssh-rsa', 'ssh-rsa'])
  })

  test('gets the reply through although it closes the channel when it hears of one end', async () => {
    const both = await start()
    const local = createTcpServer({ allowHalfOpen: true }, socket => {
      let text = ''
      socket.on('error', () => undefined)
      socket.on('data', piece => {
        text += piece.toString()
        if (text === 'a question') setImmediate(() => socket.end('a reply'))
      })
    })
    await goClient(both, await listen(local), 0, true)
    const answer = await new Promise<string>((resolve, reject) => {
      let text = ''
      const visitor = connect({ port: both.door.tcp[0]!.socket.ports[0]!, host: '127.0.0.1', allowHalfOpen: true }, () =>
        visitor.end('a question'),
      )
      visitor
        .on('data', (piece: Buffer) => (text += piece.toString()))
        .on('error', reject)
        .on('close', () => resolve(text))
    })
    expect(answer).toBe('a reply')
  })

  test('has no channel left that waits for an end for ever', async () => {
    const both = await start({ limits: { lingerMs: 300 } })
    const sockets: Socket[] = []
    const client = await goClient(
      both,
      await listen(createTcpServer({ allowHalfOpen: true }, socket => void sockets.push(socket))),
      0,
      true,
    )
    const visitor = connect({ port: both.door.tcp[0]!.socket.ports[0]!, host: '127.0.0.1', allowHalfOpen: true }, () =>
      visitor.end('nobody answers'),
    )
    visitor.on('error', () => undefined).resume()
    await until(() => sockets.length === 1 && client.open.size === 1)
    await until(() => client.open.size === 0)
    await until(() => visitor.destroyed)
  })

  test('whose local service is down is a 504, and the owner is told', async () => {
    const both = await start({ limits: { silentMs: 300 } })
    const client = await goClient(both, await freePort())
    const { status, code } = await get(both.door)
    expect([status, code]).toEqual([504, 'ORIGIN_TIMEOUT'])
    await until(() => client.shown().includes('is the local service running?'))
    await until(() => client.open.size === 0)
  })

  test('is never told of a port 0, nor of an address that it has not asked for', async () => {
    const echo = createTcpServer(socket => void socket.on('error', () => undefined).pipe(socket))
    const both = await start()
    const client = await goClient(both, await listen(echo), 0, true)
    const visitor = connect({ port: both.door.tcp[0]!.socket.ports[0]!, host: '127.0.0.1' }, () => visitor.write('x'))
    onCleanUp(() => visitor.destroy())
    await new Promise(resolve => visitor.once('data', resolve))
    expect(client.refused).toEqual([])
    expect(client.origins).toEqual([`127.0.0.1:${visitor.localPort!}`])
  })
})

describe('a client that opens its session before its forward, as the one in Python does', () => {
  const early = { limits: { forwardMs: 600_000 } }

  test('is greeted once the forward is there, and serves', async () => {
    const origin = await listen(createServer((req, res) => res.end(req.url)))
    const { door, key } = await start(early)
    const bindPort = door.http[0]!.tunnel.relayPort
    const more = { bindAddress: 'localhost', bindPort, ident: 'paramiko_2.7.2', opensSessionFirst: true }
    const client = await startGoClient({ port: door.door.port, user: door.user, key: key.pem, local: origin, ...more })
    await until(() => client.shown().includes('my http service 0 - https://http-0.edge.example.com\r\n'))
    expect(client.shown()).not.toContain('forwards no port')
    expect((await get(door, '/a')).body.toString()).toBe('/a')
    await until(() => client.shown().includes('"GET /a HTTP/1.1" 200'))
  })

  test('is told why it has none, where the forward is refused, and the connection ends', async () => {
    const { door, key } = await start(early)
    const client = new ssh2.Client()
    onCleanUp(() => client.destroy())
    let shown = ''
    const ended = new Promise<void>(resolve => void client.once('close', () => resolve()))
    client.on('error', () => undefined)
    client.once('ready', () =>
      client.shell((_error, channel) => {
        channel.on('data', (bytes: Buffer) => (shown += bytes.toString()))
        client.forwardIn('localhost', 1_025, () => undefined)
      }),
    )
    client.connect({ host: '127.0.0.1', port: door.door.port, username: door.user, privateKey: key.pem })
    await ended
    expect(shown).toContain('Port localhost:1025 is not forwarded: ')
  })

  test('without a forward within its time is told how to ask for one, and ends', async () => {
    const { door, key } = await start({ limits: { forwardMs: 1 } })
    const client = new ssh2.Client()
    onCleanUp(() => client.destroy())
    let shown = ''
    const ended = new Promise<void>(resolve => void client.once('close', () => resolve()))
    client.on('error', () => undefined)
    client.once('ready', () => client.shell((_error, channel) => void channel.on('data', (bytes: Buffer) => (shown += bytes.toString()))))
    client.connect({ host: '127.0.0.1', port: door.door.port, username: door.user, privateKey: key.pem })
    await ended
    expect(shown).toContain('This connection forwards no port')
  })
})

test('small packets are not held back for bigger ones', async () => {
  const accepted: Socket[] = []
  const see = (message: unknown): void => void accepted.push((message as { readonly socket: Socket }).socket)
  subscribe('net.server.socket', see)
  onCleanUp(() => unsubscribe('net.server.socket', see))
  const { door } = await start()
  const client = connect(door.door.port, '127.0.0.1')
  onCleanUp(() => client.destroy())
  client.on('error', () => undefined)
  const ofDoor = (): Socket | undefined => accepted.find(({ remotePort }) => remotePort === client.localPort)
  await until(() => ofDoor() !== undefined)
  // TCP_NODELAY cannot be read back; Node.js notes that it was set.
  const socket = ofDoor() as unknown as Record<symbol, unknown>
  const symbols = Object.getOwnPropertySymbols(socket).filter(({ description }) => description === 'kSetNoDelay')
  expect(symbols.map(symbol => socket[symbol])).toEqual([true])
})

describe('algorithms', () => {
  test('have no key exchange for the time after quantum computers, and the page for users says so as long as that is true', () => {
    const hasOne = ALGORITHMS.kex.some(name => /mlkem|sntrup/.test(name))
    const page = readFileSync('docs/ssh.md', 'utf8')
    expect(page.includes('connection is not using a post-quantum key exchange algorithm')).toBe(!hasOne)
  })

  test('are fast, keep a message whole before it is read, and have what old clients can do', () => {
    expect(ALGORITHMS.cipher.some(name => name.startsWith('chacha20'))).toBe(false)
    expect(ALGORITHMS.hmac.every(name => name.endsWith('-etm@openssh.com'))).toBe(true)
    expect(ALGORITHMS.kex).toContain('curve25519-sha256@libssh.org')
    expect(ALGORITHMS.serverHostKey[0]).toBe('ssh-ed25519')
    expect(ALGORITHMS.compress).toEqual(['none'])
  })
})
