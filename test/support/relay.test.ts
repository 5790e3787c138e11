import { createServer, type Socket } from 'node:net'
import { listen } from './ports.ts'
import { RawConnection } from './raw-client.ts'
import { startRelay, type RelayOptions } from './relay.ts'
import { until } from './wait.ts'

/** A relay in front of a server that sends back whatever it gets, or does what `serve` says. */
const relayTo = async (options: Omit<RelayOptions, 'target'>, serve: (socket: Socket) => void = socket => void socket.pipe(socket)) => {
  const server = createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => undefined)
    serve(socket)
  })
  const port = await listen(server)
  return startRelay({ target: { host: '127.0.0.1', port }, ...options })
}

describe('a relay', () => {
  test('passes bytes and ends both ways and counts them', async () => {
    const relay = await relayTo({})
    const client = await RawConnection.open(relay.port)
    client.write('hello')
    expect(await client.read('hello')).toBe('hello')
    client.end()
    expect(await client.closed).toBe('fin')
    expect(relay.bytes).toEqual(expect.objectContaining({ up: 5, down: 5 }))
    await until(() => relay.connections === 0)
    expect(relay.accepted).toBe(1)
  })

  test('delays each direction by its time, in order, and delivers the end last', async () => {
    const relay = await relayTo({ delayMs: 50 })
    const client = await RawConnection.open(relay.port)
    const start = performance.now()
    client.write('a')
    relay.setDelay(40)
    client.write('b')
    client.end()
    await client.read('ab')
    expect(performance.now() - start).toBeGreaterThanOrEqual(80)
    expect(await client.closed).toBe('fin')
  })

  test('keeps to its rate, shared by its connections', async () => {
    const relay = await relayTo({ bytesPerSecond: 1_000_000 }, socket => socket.end(Buffer.alloc(100_000)))
    const start = performance.now()
    const clients = await Promise.all([RawConnection.open(relay.port), RawConnection.open(relay.port)])
    await Promise.all(clients.map(client => client.closed))
    expect(relay.bytes.down).toBe(200_000)
    expect(performance.now() - start).toBeGreaterThanOrEqual(190)
  })

  test('stops reading when its limit is in flight', async () => {
    const sent = { bytes: 0 }
    const relay = await relayTo({ delayMs: 300, maxInFlightBytes: 1 << 20 }, socket => {
      const piece = Buffer.alloc(64 << 10)
      const write = (): void => {
        sent.bytes += piece.length
        socket.write(piece, error => (error ? undefined : write()))
      }
      write()
    })
    const client = await RawConnection.open(relay.port)
    client.freeze()
    await until(() => relay.bytes.down > 0)
    // What the kernels of three sockets hold comes on top of the limit.
    expect(sent.bytes).toBeLessThan(32 << 20)
  })

  test('as a black hole keeps the sockets and moves nothing, not even an end', async () => {
    const relay = await relayTo({})
    const client = await RawConnection.open(relay.port)
    client.write('1')
    await client.read('1')
    relay.pause()
    client.write('2').end()
    const late = await RawConnection.open(relay.port)
    late.write('3')
    await until(() => relay.accepted === 2)
    await expect(client.read('2', 100)).rejects.toThrow(/waited 100 ms/)
    expect(relay.bytes.up).toBe(1)
    expect(client.peerClose).toBe('no')
    relay.resume()
    expect(await client.read('2')).toBe('2')
    expect(await client.closed).toBe('fin')
    expect(await late.read('3')).toBe('3')
  })

  test('cut resets both sides', async () => {
    let served: string | undefined
    const relay = await relayTo({}, socket => {
      socket.on('error', (error: NodeJS.ErrnoException) => (served = error.code))
      socket.resume().write('x')
    })
    const client = await RawConnection.open(relay.port)
    await client.read('x')
    relay.cut()
    expect(await client.closed).toBe('rst')
    await until(() => served === 'ECONNRESET')
  })

  test('passes a reset on as a reset', async () => {
    const relay = await relayTo({ delayMs: 5 }, socket => socket.once('data', () => socket.resetAndDestroy()))
    const client = await RawConnection.open(relay.port)
    client.write('x')
    expect(await client.closed).toBe('rst')
  })

  test('hands over byte by byte when told to', async () => {
    const sizes: number[] = []
    const relay = await relayTo({ splitAt: 1 }, socket => socket.on('data', (bytes: Buffer) => sizes.push(bytes.length)))
    const client = await RawConnection.open(relay.port)
    client.write('fragments')
    await until(() => sizes.reduce((sum, size) => sum + size, 0) === 9)
    expect(sizes.length).toBeGreaterThan(3)
  })
})
