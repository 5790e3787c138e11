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
  readonly client: ssh2.Client
  /** The same channel at the client. */
  readonly remote: ClientChannel & { readonly outgoing: { readonly window: number; readonly packetSize: number } }
}

/** Opens a channel from a server of ssh2 at a client of it. */
const openChannel = async (): Promise<Ends> => {
  const hostKey = hostKeyText(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
  const server = new ssh2.Server({ hostKeys: [hostKey], algorithms: ALGORITHMS as never })
  const ready = new Promise<ssh2.Connection>(resolve =>
    server.once('connection', connection => {
      connection.on('error', () => undefined)
      connection.on('authentication', attempt => attempt.accept())
      connection.once('ready', () => resolve(connection))
    }),
  )
  const listener = createServer(socket => server.injectSocket(socket))
  const client = new ssh2.Client()
  onCleanUp(() => client.destroy())
  const remote = new Promise<ClientChannel>(resolve => void client.once('tcp connection', (_info, accept) => resolve(accept())))
  client.on('error', () => undefined).connect({ host: '127.0.0.1', port: await listen(listener), username: 'x' })
  const connection = await ready
  // A client takes no channel for a forward that it has not asked for.
  connection.on('request', accept => accept?.(80))
  await new Promise<void>((resolve, reject) =>
    client.forwardIn('localhost', 80, error => (error === undefined ? resolve() : reject(error))),
  )
  const socket = socketOf(connection)
  const channels = new Ssh2Channels(connection, socket, {
    window: { budget: new GrowthBudget(0), clock: () => performance.now() },
    holdsEof: false,
    lingerMs: 60_000,
  })
  socket.once('close', () => channels.close())
  const channel = await new Promise<TunnelChannel>((resolve, reject) =>
    channels.open({ boundAddress: 'localhost', boundPort: 80, originAddress: '192.0.2.1', originPort: 7 }, result =>
      result instanceof TunnelChannel ? resolve(result) : reject(result),
    ),
  )
  return { channel, socket, client, remote: (await remote) as Ends['remote'] }
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
