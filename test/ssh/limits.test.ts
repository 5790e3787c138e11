/** Clients that are silent, gone, stubborn or mad: none of them ends the door, and none of them costs much. */
import { describe, expect, test } from '@jest/globals'
import { randomBytes, randomInt } from 'node:crypto'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import ssh2, { type ClientChannel } from 'ssh2'
import { onCleanUp } from '../support/cleanup.ts'
import { exchange } from '../support/exchange.ts'
import { startGoClient } from '../support/go-client.ts'
import { listen } from '../support/ports.ts'
import { startRelay } from '../support/relay.ts'
import { keyInMemory, startDoor, type Door, type DoorOptions, type MemoryKey } from '../support/ssh-door.ts'
import { until, within } from '../support/wait.ts'

const start = async (options: DoorOptions = {}): Promise<{ door: Door; key: MemoryKey }> => {
  const key = keyInMemory()
  const door = await startDoor(options)
  door.authorize(key.line)
  return { door, key }
}

const raw = (door: Door): Socket => {
  const socket = connect(door.door.port, '127.0.0.1')
  onCleanUp(() => socket.destroy())
  return socket.on('error', () => undefined)
}

const closed = (socket: Socket): Promise<void> =>
  new Promise(resolve => (socket.destroyed ? resolve() : void socket.once('close', () => resolve())))

/** A client that has logged in. */
const loggedIn = async ({ door, key }: { door: Door; key: MemoryKey }, port = door.door.port): Promise<ssh2.Client> => {
  const client = new ssh2.Client()
  onCleanUp(() => client.destroy())
  client.on('error', () => undefined)
  const ready = new Promise<void>((resolve, reject) => void client.once('ready', resolve).once('error', reject))
  client.connect({ host: '127.0.0.1', port, username: door.user, privateKey: key.pem })
  await within(ready, 'a login')
  return client
}

describe('before the login', () => {
  test('a silent connection goes after the time for it, and one that says its name as well', async () => {
    const { door } = await start({ limits: { loginMs: 200 } })
    const sockets = [raw(door), raw(door)]
    sockets[1]!.write('SSH-2.0-nobody\r\n')
    await Promise.all(sockets.map(socket => closed(socket.resume())))
    await until(() => door.door.connectionCount === 0)
  })

  test('one address has so many connections, which leave the place for the next one', async () => {
    const both = await start({ limits: { unprovenPerAddress: 2 } })
    const { door } = both
    const held = [raw(door), raw(door)]
    await until(() => door.door.connectionCount === 2)
    await closed(raw(door).resume())
    held[0]!.destroy()
    await until(() => door.door.connectionCount === 1)
    // Whoever has logged in does not count any more.
    const clients = [await loggedIn(both), await loggedIn(both)]
    expect(clients).toHaveLength(2)
    expect(door.door.connectionCount).toBe(3)
  })

  test('all addresses together have so many connections, which leave the place for the next one', async () => {
    const both = await start({ limits: { unproven: 2 } })
    const { door } = both
    const from = (localAddress: string): Socket => {
      const socket = connect({ port: door.door.port, host: '127.0.0.1', localAddress })
      onCleanUp(() => socket.destroy())
      return socket.on('error', () => undefined).resume()
    }
    const held = [from('127.0.0.2'), from('127.0.0.3')]
    await until(() => door.door.connectionCount === 2)
    await closed(from('127.0.0.4'))
    held[0]!.destroy()
    await until(() => door.door.connectionCount === 1)
    await loggedIn(both)
  })

  test('a known key without a signature of its own lets nobody in, and nobody is asked about it', async () => {
    const { door, key } = await start()
    const [known, other] = [key, keyInMemory()].map(({ pem }) => ssh2.utils.parseKey(pem) as ssh2.ParsedKey)
    // Says that it has the known key, and signs with its own.
    const forger = Object.assign(Object.create(ssh2.BaseAgent.prototype) as object, {
      getIdentities: (done: (error: undefined, keys: unknown[]) => void) => done(undefined, [known]),
      sign: (...args: unknown[]) =>
        (args.at(-1) as (error: undefined, signature: unknown) => void)(undefined, other!.sign(args[1] as Buffer)),
    })
    const client = new ssh2.Client()
    onCleanUp(() => client.destroy())
    const outcome = new Promise<string>(resolve => {
      client.once('error', error => resolve(error.message)).once('ready', () => resolve('let in'))
    })
    client.connect({ host: '127.0.0.1', port: door.door.port, username: door.user, agent: forger as never })
    expect(await within(outcome, 'an answer')).toMatch(/authentication methods failed/)
    // Asked once, for the question whether the key is worth a signature.
    expect(door.offered).toHaveLength(1)
  })

  test('so many keys are tried, then the connection ends', async () => {
    const { door } = await start({ limits: { attempts: 4 } })
    const client = new ssh2.Client()
    onCleanUp(() => client.destroy())
    let tries = 0
    const ended = new Promise<void>(resolve => void client.once('close', () => resolve()))
    client.on('error', () => undefined)
    client.connect({
      host: '127.0.0.1',
      port: door.door.port,
      username: door.user,
      authHandler: (_methods, _isPartial, next) => {
        tries++
        next({ type: 'publickey', username: door.user, key: ssh2.utils.parseKey(keyInMemory().pem) as never })
      },
    })
    await within(ended, 'the end of the connection')
    expect(tries).toBeGreaterThanOrEqual(4)
    expect(door.offered).toHaveLength(4)
    expect(door.asked).toEqual([])
  })

  test('fuzzed connections: none ends the door, and the next person gets in', async () => {
    const both = await start({ limits: { loginMs: 500, unproven: 1_000, unprovenPerAddress: 1_000 } })
    const { door } = both
    // A real client's first kilobytes, to be cut, changed and repeated.
    const seed: Buffer[] = []
    const tap = createTcpServer(socket => {
      const up = raw(door)
      seed.splice(0)
      socket.on('error', () => undefined).on('data', (bytes: Buffer) => seed.push(bytes))
      socket.pipe(up).pipe(socket)
    })
    const tapped = await listen(tap)
    // On a busy machine a login takes longer than it may here: it is tried again.
    const entered = (port?: number): Promise<ssh2.Client> => until(() => loggedIn(both, port).catch(() => undefined), { what: 'a login' })
    const first = await entered(tapped)
    first.destroy()
    const recorded = Buffer.concat(seed)
    const hello = Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n')
    const packets = recorded.subarray(recorded.indexOf('\n') + 1)
    for (let round = 0; round < 6; round++) {
      const sockets = Array.from({ length: 25 }, () => {
        const socket = raw(door).resume()
        const changed = Buffer.from(packets)
        for (let i = randomInt(6); i > 0; i--) changed[randomInt(changed.length)] = randomInt(256)
        const parts = [
          randomInt(8) === 0 ? randomBytes(randomInt(300)) : hello,
          changed.subarray(0, randomInt(changed.length)),
          randomInt(2) === 0 ? changed : randomBytes(randomInt(40_000)),
        ]
        for (const part of parts) socket.write(part)
        if (randomInt(3) === 0) socket.end()
        return socket
      })
      await Promise.all(sockets.map(closed))
    }
    await entered()
    expect(door.logs.filter(({ level }) => level === 'error')).toEqual([])
  })
})

describe('after the login', () => {
  test('a client that has vanished is gone after three questions without an answer', async () => {
    const both = await start({ limits: { keepAliveMs: 100, keepAliveCount: 3 } })
    const { door } = both
    const relay = await startRelay({ target: { host: '127.0.0.1', port: door.door.port } })
    const client = await loggedIn(both, relay.port)
    await new Promise<void>((resolve, reject) =>
      client.forwardIn('localhost', 80, error => (error === undefined ? resolve() : reject(error))),
    )
    await door.layers.connected(1)
    relay.pause()
    await until(() => door.door.connectionCount === 0)
    await until(() => door.layers.outer.registry.connections.length === 0)
  })

  test('a tunnel is taken over from a client that has vanished', async () => {
    const both = await start()
    const { door } = both
    const origin = await listen(createServer((_req, res) => res.end('new')))
    const relay = await startRelay({ target: { host: '127.0.0.1', port: door.door.port } })
    const lost = await loggedIn(both, relay.port)
    await new Promise<void>((resolve, reject) => lost.forwardIn('http-0', 80, error => (error === undefined ? resolve() : reject(error))))
    relay.pause()
    await startGoClient({ port: door.door.port, user: door.user, key: both.key.pem, local: origin, bindAddress: 'http-0', bindPort: 80 })
    expect((await exchange(door.layers.port, { host: door.http[0]!.socket.dnsName })).body.toString()).toBe('new')
  })

  test('one connection has so many forwards and sessions, and one account so many connections', async () => {
    const both = await start({ http: 4, limits: { forwards: 2, connectionsPerAccount: 2 } })
    const client = await loggedIn(both)
    const forward = (to: ssh2.Client, name: string): Promise<boolean> =>
      new Promise(resolve => to.forwardIn(name, 80, error => resolve(error === undefined)))
    expect(await Promise.all(['http-0', 'http-1', 'http-2'].map(name => forward(client, name)))).toEqual([true, true, false])
    const shell = (): Promise<ClientChannel | undefined> =>
      new Promise(resolve => client.shell((error, channel) => resolve(error === undefined ? channel : undefined)))
    const channels = await Promise.all(Array.from({ length: 6 }, shell))
    expect(channels.filter(channel => channel !== undefined)).toHaveLength(4)
    let shown = ''
    channels[0]!.on('data', (bytes: Buffer) => (shown += bytes.toString()))
    await until(() => shown.includes('one connection has at most 2 forwards'))
    await loggedIn(both)
    expect(await forward(await loggedIn(both), 'http-3')).toBe(false)
  })

  test('a client that breaks every rule of channels harms nobody but itself', async () => {
    const both = await start()
    const { door } = both
    const origin = await listen(createServer((_req, res) => res.end('ok')))
    await startGoClient({ port: door.door.port, user: door.user, key: both.key.pem, local: origin, bindAddress: 'http-1', bindPort: 80 })
    for (let round = 0; round < 8; round++) {
      const client = await loggedIn(both)
      const gone = new Promise<void>(resolve => void client.once('close', () => resolve()))
      await new Promise<void>(resolve => client.forwardIn('http-0', 80, () => resolve()))
      client.on('tcp connection', (_info, accept) => accept())
      const visitor = exchange(door.layers.port, { host: door.http[0]!.socket.dnsName })
      const { _protocol: protocol } = client as unknown as { _protocol: Record<string, (...args: unknown[]) => void> }
      const names = [
        'channelData',
        'channelExtData',
        'channelEOF',
        'channelClose',
        'channelWindowAdjust',
        'channelSuccess',
        'channelFailure',
      ]
      await until(() => door.layers.outer.registry.connections.length >= 2)
      try {
        for (let i = 0; i < 300; i++) {
          const name = names[randomInt(names.length)]!
          const id = randomInt(6) === 0 ? randomInt(2 ** 32) : randomInt(4)
          if (name === 'channelData') protocol['channelData']!(id, randomBytes(randomInt(32_000)))
          else if (name === 'channelExtData') protocol['channelExtData']!(id, randomBytes(randomInt(32_000)), 1)
          else protocol[name]!(id, randomInt(2 ** 32))
        }
      } catch {
        // The door has hung up in the middle of it.
      }
      client.destroy()
      await gone
      expect([0, 200, 502]).toContain((await visitor).status)
    }
    expect((await exchange(door.layers.port, { host: door.http[1]!.socket.dnsName })).body.toString()).toBe('ok')
    expect(door.logs.filter(({ level }) => level === 'error')).toEqual([])
  })
})
