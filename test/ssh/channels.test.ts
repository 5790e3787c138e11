/** Channels at a real client: what it may send before it is read, and what is written to one that stands still. */
import { expect, test } from '@jest/globals'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import ssh2, { type ClientChannel } from 'ssh2'
import { GrowthBudget } from '../../src/mux/receive-window.ts'
import { hostKeyText } from '../../src/ssh/keys/host-key.ts'
import { ALGORITHMS } from '../../src/ssh/ssh2.ts'
import { socketOf, Ssh2Channels } from '../../src/ssh/ssh2-channels.ts'
import { Padding } from '../../src/ssh/ssh2-packets.ts'
import { INITIAL_WINDOW_BYTES, TunnelChannel } from '../../src/ssh/tunnel-channel.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { until } from '../support/wait.ts'

const KIB = 1_024
const JAM_BYTES = 512 * KIB

interface Ends {
  /** The stream of ours. */
  readonly channel: TunnelChannel
  /** The TCP connection under it. */
  readonly socket: Socket
  readonly connection: ssh2.Connection
  readonly client: ssh2.Client
  /** The same channel at the client. */
  readonly remote: ClientChannel & { readonly outgoing: { readonly window: number; readonly packetSize: number } }
}

const channelsOf = (connection: ssh2.Connection): Ssh2Channels => {
  const socket = socketOf(connection)
  const channels = new Ssh2Channels(connection, socket, {
    window: { budget: new GrowthBudget(0), clock: () => performance.now() },
    holdsEof: false,
    lingerMs: 60_000,
    padding: new Padding(),
  })
  socket.once('close', () => channels.close())
  return channels
}

/** Opens a channel from a server of ssh2 at a client of it. */
const openChannel = async (cipher?: string): Promise<Ends> => {
  const hostKey = hostKeyText(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  const server = new ssh2.Server({ hostKeys: [hostKey], algorithms: ALGORITHMS as never })
  const ready = new Promise<{ connection: ssh2.Connection; channels: Ssh2Channels }>(resolve =>
    server.once('connection', connection => {
      const channels = channelsOf(connection)
      connection.on('error', () => undefined)
      connection.on('authentication', attempt => attempt.accept())
      connection.once('ready', () => resolve({ connection, channels }))
    }),
  )
  const listener = createServer(socket => server.injectSocket(socket))
  const client = new ssh2.Client()
  onCleanUp(() => client.destroy())
  const remote = new Promise<ClientChannel>(resolve => void client.once('tcp connection', (_info, accept) => resolve(accept())))
  const algorithms = cipher === undefined ? {} : { algorithms: { cipher: [cipher] } as never }
  client.on('error', () => undefined).connect({ host: '127.0.0.1', port: await listen(listener), username: 'x', ...algorithms })
  const { connection, channels } = await ready
  // A client takes no channel for a forward that it has not asked for.
  connection.on('request', accept => accept?.(80))
  await new Promise<void>((resolve, reject) =>
    client.forwardIn('localhost', 80, error => (error === undefined ? resolve() : reject(error))),
  )
  const socket = socketOf(connection)
  const channel = await new Promise<TunnelChannel>((resolve, reject) =>
    channels.open({ boundAddress: 'localhost', boundPort: 80, originAddress: '192.0.2.1', originPort: 7 }, result =>
      result instanceof TunnelChannel ? resolve(result) : reject(result),
    ),
  )
  return { channel, socket, connection, client, remote: (await remote) as Ends['remote'] }
}

const collect = (stream: Readable): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    stream.on('data', (bytes: Buffer) => pieces.push(bytes))
    stream.on('end', () => resolve(Buffer.concat(pieces))).on('error', reject)
  })

test('a client may send 64 KiB that nobody reads, and not a byte more before they are read', async () => {
  const { channel, remote } = await openChannel()
  expect([remote.outgoing.window, remote.outgoing.packetSize]).toEqual([INITIAL_WINDOW_BYTES, 32 * KIB])
  const bytes = randomBytes(1_024 * KIB)
  remote.end(bytes)
  await until(() => channel.readableLength === INITIAL_WINDOW_BYTES)
  // What more it could send would be an offence, and end the channel.
  expect([remote.outgoing.window, channel.destroyed]).toEqual([0, false])
  expect((await collect(channel)).equals(bytes)).toBe(true)
})

test('a client that reads nothing of its connection is not written to beyond 512 KiB, and gets all of it when it reads on', async () => {
  const { channel, socket, client, remote } = await openChannel()
  const own = (client as unknown as { readonly _sock: Socket })._sock
  own.pause()
  const bytes = randomBytes(4_096 * KIB)
  for (let at = 0; at < bytes.length; at += 64 * KIB) channel.write(bytes.subarray(at, at + 64 * KIB))
  channel.end()
  // In this turn nothing has left for the kernel yet: the connection holds what the channel has handed over.
  expect(socket.writableLength).toBeGreaterThan(JAM_BYTES)
  expect(socket.writableLength).toBeLessThan(JAM_BYTES + 64 * KIB)
  expect(channel.writableLength).toBeGreaterThan(bytes.length - JAM_BYTES - 128 * KIB)
  const received = collect(remote)
  own.resume()
  expect((await received).equals(bytes)).toBe(true)
})

test.each(['aes128-gcm@openssh.com', 'aes128-ctr'])(
  'a small packet of %s is one write, also with the keys of a later exchange',
  async cipher => {
    const { channel, socket, client, remote, connection } = await openChannel(cipher)
    const received = collect(remote)
    const writes: number[] = []
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    socket.write = (...args: unknown[]) => {
      writes.push((args[0] as Buffer).length)
      return write(...args)
    }
    const pieces = [1, 11, 12, 100, 5_000].map(length => randomBytes(length))
    for (const piece of pieces) channel.write(piece)
    // Length, padding and tag are with what they belong to.
    expect(writes).toHaveLength(pieces.length)
    for (const [i, piece] of pieces.entries()) expect(writes[i]).toBeGreaterThan(piece.length)
    const exchanged = new Promise<void>(resolve => void connection.once('handshake', () => setImmediate(resolve)))
    client.once('error', error => channel.destroy(error))
    connection.rekey()
    await exchanged
    writes.length = 0
    for (const piece of pieces) channel.write(piece)
    expect(writes).toHaveLength(pieces.length)
    // Not worth a copy of it.
    const large = randomBytes(16_384)
    channel.write(large)
    expect(writes).toHaveLength(pieces.length + 3)
    channel.end()
    expect((await received).equals(Buffer.concat([...pieces, ...pieces, large]))).toBe(true)
  },
)

test('bytes of padding are used once', () => {
  const padding = new Padding()
  const seen = new Set<string>()
  const packet = Buffer.alloc(64)
  for (let i = 0; i < 1_000; i++) {
    padding.fill(packet, 7, 19)
    seen.add(packet.toString('hex'))
  }
  expect(seen.size).toBe(1_000)
  expect([packet.subarray(0, 7), packet.subarray(26)].map(rest => rest.every(byte => byte === 0))).toEqual([true, true])
})
