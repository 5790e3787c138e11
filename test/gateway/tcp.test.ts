import { writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { freePort, listen } from '../support/ports.ts'
import { RawConnection } from '../support/raw-client.ts'
import { startTcpLayers, tcpSection, toOrigin } from '../support/tcp-layers.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startLayers } from '../support/layers.ts'
import { until, within } from '../support/wait.ts'

describe('a public TCP port', () => {
  test('carries bytes both ways and logs one line at the end', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port))
    const client = await RawConnection.open(layers.tcpPort)
    const { localPort: clientPort } = client.socket
    client.write('hello')
    expect(await client.read('hello')).toBe('hello')
    expect(layers.connectionLog).toEqual([])
    client.end()
    expect(await client.closed).toBe('fin')
    const line = await layers.connectionLine()
    expect(line).toMatchObject({
      level: 'info',
      client: '127.0.0.1',
      clientPort,
      port: layers.tcpPort,
      target: `127.0.0.1:${origin.port}`,
      bytesIn: 5,
      bytesOut: 5,
      identifier: 'inner-layer',
    })
    expect(line.error).toBeUndefined()
    expect(line.durationMs).toBeGreaterThan(0)
  })

  test('keeps what the client sends before the origin is connected', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port), { relay: { delayMs: 40 } })
    const client = await RawConnection.open(layers.tcpPort)
    const sent = Buffer.alloc(300_000, 'x')
    client.socket.end(sent)
    expect(await client.closed).toBe('fin')
    expect(client.bytes.equals(sent)).toBe(true)
    expect(await layers.connectionLine()).toMatchObject({ bytesIn: sent.length, bytesOut: sent.length })
  })

  test('lets a server speak first', async () => {
    const origin = await startTcpOrigin(socket => socket.write('SSH-2.0-x\r\n'))
    const layers = await startTcpLayers(toOrigin(origin.port))
    expect(await (await RawConnection.open(layers.tcpPort)).read('\n')).toBe('SSH-2.0-x\r\n')
  })

  test('half-closes both ways, each on its own', async () => {
    const origin = await startTcpOrigin(socket => {
      socket.once('data', () => socket.end('first and last')) // ends its half, and reads on
    })
    const received: string[] = []
    const layers = await startTcpLayers(toOrigin(origin.port))
    const client = await RawConnection.open(layers.tcpPort)
    client.write('a')
    expect(await client.closed).toBe('fin')
    origin.sockets[0]!.on('data', (bytes: Buffer) => received.push(bytes.toString()))
    client.write('after the end of the other half')
    await until(() => received.join('').includes('after the end'))
    client.end()
    await until(() => origin.sockets.length === 0)
    expect(await layers.connectionLine()).toMatchObject({ bytesIn: 32, bytesOut: 14 })
  })

  test('an end without a byte is an end, not an abort', async () => {
    const origin = await startTcpOrigin(socket => {
      socket.resume()
      socket.once('end', () => socket.end('you said nothing'))
    })
    const layers = await startTcpLayers(toOrigin(origin.port), { relay: { delayMs: 20 } })
    const client = await RawConnection.open(layers.tcpPort)
    client.end()
    expect(await client.closed).toBe('fin')
    expect(client.text).toBe('you said nothing')
  })

  test('a reset of the origin is a reset of the client, with its reason in the log', async () => {
    const origin = await startTcpOrigin(socket => socket.once('data', () => socket.resetAndDestroy()))
    const layers = await startTcpLayers(toOrigin(origin.port))
    const client = await RawConnection.open(layers.tcpPort)
    client.write('x')
    expect(await client.closed).toBe('rst')
    expect(await layers.connectionLine()).toMatchObject({ error: 'ORIGIN_CLOSED', reason: expect.stringContaining('ECONNRESET') })
  })

  test('a reset of the client is a reset of the origin', async () => {
    const errors: string[] = []
    const origin = await startTcpOrigin(socket => {
      socket.write('x')
      socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''))
    })
    const layers = await startTcpLayers(toOrigin(origin.port))
    const client = await RawConnection.open(layers.tcpPort)
    await client.read('x')
    client.reset()
    await until(() => origin.sockets.length === 0)
    expect(errors).toEqual(['ECONNRESET'])
    expect(await layers.connectionLine()).toMatchObject({ error: 'CANCELLED', identifier: 'inner-layer' })
  })

  test('a client that leaves before the origin is connected leaves nothing behind', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port), { relay: {} })
    layers.relay.pause()
    const client = await RawConnection.open(layers.tcpPort)
    await until(() => layers.outer.tcpConnections === 1)
    client.reset()
    expect(await layers.connectionLine()).toMatchObject({ error: 'CANCELLED', bytesIn: 0, bytesOut: 0 })
    layers.relay.resume()
    await until(() => layers.inner.streamCount === 0 && origin.sockets.length === 0)
  })
})

describe('a connection that cannot be made is reset at once, and the log says why', () => {
  const resetOf = async (port: number): Promise<void> => {
    const socket = connect({ port, host: '127.0.0.1' })
    onCleanUp(() => socket.destroy())
    const code = await within(
      new Promise(resolve => socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code)).once('end', () => resolve('FIN'))),
      'the reset',
    )
    expect(code).toBe('ECONNRESET')
  }

  test('no inner layer', async () => {
    const layers = await startTcpLayers(toOrigin(1), { inners: 0 })
    await resetOf(layers.tcpPort)
    expect(await layers.connectionLine()).toMatchObject({ error: 'NO_INNER_LAYER', target: '127.0.0.1:1' })
  })

  test('no inner layer with the identifier', async () => {
    const layers = await startTcpLayers(toOrigin(1, 'identifier: another'))
    await resetOf(layers.tcpPort)
    expect(await layers.connectionLine()).toMatchObject({ error: 'NO_INNER_LAYER' })
  })

  test('the origin refuses', async () => {
    const port = await freePort()
    const layers = await startTcpLayers(toOrigin(port))
    await resetOf(layers.tcpPort)
    expect(await layers.connectionLine()).toMatchObject({
      error: 'ORIGIN_REFUSED',
      reason: expect.stringContaining('ECONNREFUSED'),
      identifier: 'inner-layer',
    })
  })

  test('the address is not allowed', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port, 'allow: loopback, deny: 127.0.0.2'))
    const refused = connect({ port: layers.tcpPort, host: '127.0.0.1', localAddress: '127.0.0.2' })
    await new Promise(resolve => refused.once('error', resolve))
    expect(await layers.connectionLine()).toMatchObject({ error: 'ADDRESS_REFUSED', client: '127.0.0.2', bytesIn: 0 })
    const client = await RawConnection.open(layers.tcpPort)
    client.write('let in')
    await client.read('let in')
    expect(origin.accepted).toBe(1)
  })

  test('too many connections: the port goes on', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port, 'maxConnections: 2'))
    const [first, second] = [await RawConnection.open(layers.tcpPort), await RawConnection.open(layers.tcpPort)]
    for (const client of [first, second]) await client.write('x').read('x')
    await resetOf(layers.tcpPort)
    expect(await layers.connectionLine()).toMatchObject({ error: 'OVERLOADED', reason: expect.stringContaining('maxConnections') })
    first.reset()
    await until(() => layers.outer.tcpConnections === 1)
    const third = await RawConnection.open(layers.tcpPort)
    expect(await third.write('y').read('y')).toBe('y')
  })

  test('silence for longer than idle', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port, 'idle: 50ms'))
    const client = await RawConnection.open(layers.tcpPort)
    await client.write('x').read('x')
    expect(await client.closed).toBe('rst')
    expect(await layers.connectionLine()).toMatchObject({ error: 'IDLE_TIMEOUT' })
    await until(() => origin.sockets.length === 0)
  })

  test('the inner layer is lost', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port))
    const client = await RawConnection.open(layers.tcpPort)
    await client.write('x').read('x')
    layers.inner.destroy()
    expect(await client.closed).toBe('rst')
    expect((await layers.connectionLine()).error).toMatch(/^(?:INNER_LAYER_LOST|GOING_AWAY)$/)
  })
})

test('an inner layer that takes no more streams is passed over', async () => {
  const origin = await startTcpOrigin(echo)
  const layers = await startTcpLayers(toOrigin(origin.port), { inners: 2, relay: { delayMs: 20 } })
  // Whichever is asked: a stream that crosses the word that it leaves is refused there, and goes to the other one.
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawConnection.open(layers.tcpPort)))
  void layers.inners[0]!.close()
  for (const client of clients) expect(await client.write('still here').read('still here')).toBe('still here')
})

describe('a change of the file', () => {
  test('opens and closes ports without touching connections that are open', async () => {
    const origin = await startTcpOrigin(echo)
    const [first, second] = [await freePort(), await freePort()]
    const layers = await startLayers({ targets: tcpSection({ [first]: toOrigin(origin.port) }) })
    expect(layers.outer.tcpPorts).toEqual([first])
    const old = await RawConnection.open(first)
    await old.write('a').read('a')

    writeFileSync(layers.targetsFile, tcpSection({ [second]: toOrigin(origin.port) }))
    await until(() => layers.outer.tcpPorts[0] === second)
    await expect(RawConnection.open(first)).rejects.toThrow('ECONNREFUSED')
    expect(await old.write('b').read('b')).toBe('b')
    const fresh = await RawConnection.open(second)
    expect(await fresh.write('c').read('c')).toBe('c')
  })

  test('gives new connections of a port its new origin, without closing it', async () => {
    const [one, two] = [await startTcpOrigin(socket => socket.write('one')), await startTcpOrigin(socket => socket.write('two'))]
    const layers = await startTcpLayers(toOrigin(one.port))
    const old = await RawConnection.open(layers.tcpPort)
    await old.read('one')
    writeFileSync(layers.targetsFile, tcpSection({ [layers.tcpPort]: toOrigin(two.port) }))
    await until(async () => (await RawConnection.open(layers.tcpPort)).read(/one|two/).then(text => text === 'two'))
    expect(one.sockets.length).toBeGreaterThan(0)
    expect(old.peerClose).toBe('no')
  })

  test('a port in use is a fault that the log names and that ends readiness, until the port is free', async () => {
    const origin = await startTcpOrigin(echo)
    const taken = createServer()
    const busy = await listen(taken)
    const layers = await startTcpLayers(toOrigin(origin.port))
    const ready = async (): Promise<string> => (await fetch(`http://127.0.0.1:${layers.socketPort}/readyz`)).text()
    expect(await ready()).not.toContain('TCP')
    writeFileSync(layers.targetsFile, tcpSection({ [layers.tcpPort]: toOrigin(origin.port), [busy]: toOrigin(origin.port) }))
    await until(() => layers.outerLogs.some(({ level, msg }) => level === 'error' && msg.includes(`cannot listen on *:${busy}`)))
    expect(await ready()).toContain(`1 TCP port is not open: ${busy}`)
    expect(layers.outer.tcpPorts).toEqual([layers.tcpPort])
    taken.close()
    await until(() => layers.outer.tcpPorts.includes(busy))
    expect(await ready()).not.toContain('TCP')
  })
})

test('a port in use at the start leaves no other port open', async () => {
  const taken = createServer()
  const [busy, free] = [await listen(taken), await freePort()]
  const section = tcpSection({ [free]: toOrigin(1), [busy]: toOrigin(1) })
  await expect(startLayers({ targets: section, inners: 0 })).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
  await expect(RawConnection.open(free)).rejects.toThrow('ECONNREFUSED')
})

describe('shutdown', () => {
  test('takes no new connections and waits for open ones', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port))
    const client = await RawConnection.open(layers.tcpPort)
    await client.write('a').read('a')
    const closing = layers.outer.close()
    await until(() =>
      RawConnection.open(layers.tcpPort).then(
        () => false,
        () => true,
      ),
    )
    expect(await client.write('b').read('b')).toBe('b')
    client.end()
    await within(closing, 'the end of the outer layer')
    expect(await client.closed).toBe('fin')
  })

  test('cuts what is left after the drain timeout', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startTcpLayers(toOrigin(origin.port), { outer: { drainTimeoutMs: 100 } })
    const client = await RawConnection.open(layers.tcpPort)
    await client.write('a').read('a')
    await within(layers.outer.close(), 'the end of the outer layer')
    expect(await client.closed).toBe('rst')
    expect(await layers.connectionLine()).toMatchObject({ error: 'DRAINING' })
    expect(layers.outer.tcpConnections).toBe(0)
  })
})
