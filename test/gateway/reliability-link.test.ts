/** Who may be an inner layer: proofs, keys, identifiers, and what a stranger costs. */
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { mintKeyPair, type MintedPair } from '../../src/identity/certificate.ts'
import { KeyFiles } from '../../src/identity/public-keys.ts'
import { ERRORS } from '../../src/errors.ts'
import { encodeReset } from '../../src/wire/control.ts'
import { FrameType } from '../../src/wire/frame.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { playInner } from '../support/evil-inner.ts'
import { exchange } from '../support/exchange.ts'
import { privateKeyOf, startLayers, type Layers } from '../support/layers.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection, rawRequest, type ConnectOptions } from '../support/raw-client.ts'
import { startRawOrigin } from '../support/raw-origin.ts'
import { startRelay } from '../support/relay.ts'
import { tempDir } from '../support/temp.ts'
import { until, within } from '../support/wait.ts'

const mint = (commonName: string): Promise<MintedPair> => mintKeyPair({ type: 'ec', commonName, validityYears: 1 })

/** An outer layer whose keys are the files of a directory; each is bound to its common name. */
const startWithKeys = async (pairs: Readonly<Record<string, MintedPair>>): Promise<{ layers: Layers; directory: string }> => {
  const directory = tempDir()
  for (const [name, pair] of Object.entries(pairs)) writeFileSync(join(directory, `${name}.crt`), pair.certificatePem)
  const keys = new KeyFiles([directory])
  const layers = await startLayers({ inners: 0, outer: { keys } })
  await keys.start()
  onCleanUp(() => keys.close())
  return { layers, directory }
}

/** The websocket handshake of an inner layer, up to its answer. */
const upgrade = async (
  port: number,
  options: ConnectOptions & { lines?: readonly string[]; path?: string } = {},
): Promise<RawConnection> => {
  const connection = await RawConnection.open(port, options)
  const { lines = [], path = '/socket.io/?EIO=4&transport=websocket' } = options
  const head = [
    `GET ${path} HTTP/1.1`,
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==',
  ]
  connection.write([...head, ...lines, '', ''].join('\r\n'))
  await until(() => connection.text.includes('\r\n\r\n') || connection.peerClose !== 'no')
  return connection
}
const statusOf = (connection: RawConnection): number => Number(/^HTTP\/1\.1 (\d+)/.exec(connection.text)?.[1] ?? 0)

describe('proofs', () => {
  let layers: Layers
  beforeAll(async () => {
    layers = await startLayers({ inners: 0 })
  })

  test('W11: a proof that was accepted once is refused on every other connection', async () => {
    let stolen = ''
    await playInner({ port: layers.socketPort, privateKey: layers.privateKey, proof: honest => (stolen = honest) })
    const replay = playInner({ port: layers.socketPort, privateKey: layers.privateKey, proof: () => stolen })
    await expect(replay).rejects.toThrow(/^AUTH/)
    expect(layers.outerLogs.filter(({ code }) => code === 'AUTH').at(-1)!.reason).toMatch(/nonce/)
  })

  test('a proof whose claims were changed is refused', async () => {
    const alter = (honest: string): string => {
      const [head, claims, signature] = honest.split('.') as [string, string, string]
      const changed = { ...(JSON.parse(Buffer.from(claims, 'base64url').toString()) as object), sub: 'somebody-else' }
      return [head, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.')
    }
    await expect(playInner({ port: layers.socketPort, privateKey: layers.privateKey, proof: alter })).rejects.toThrow(/^AUTH/)
  })

  test('a proof for another outer layer is refused', async () => {
    const other = playInner({
      port: layers.socketPort,
      privateKey: layers.privateKey,
      claims: claims => ({ ...claims, audience: 'another' }),
    })
    await expect(other).rejects.toThrow(/^AUTH/)
  })

  test('a proof that is valid for too long, expired, or not yet valid is refused', async () => {
    for (const change of [{ validityMs: 60_000 }, { nowSeconds: Date.now() / 1000 - 3_600 }, { nowSeconds: Date.now() / 1000 + 3_600 }]) {
      const attempt = playInner({ port: layers.socketPort, privateKey: layers.privateKey, claims: claims => ({ ...claims, ...change }) })
      await expect(attempt).rejects.toThrow(/^AUTH/)
    }
  })

  test('a key that is not registered is refused, and the peer learns no reason', async () => {
    const stranger = privateKeyOf(await mint('stranger'))
    await expect(playInner({ port: layers.socketPort, privateKey: stranger })).rejects.toThrow(`AUTH: ${ERRORS.AUTH.text}`)
    expect(layers.outerLogs.filter(({ code }) => code === 'AUTH').at(-1)!.reason).toMatch(/not registered/)
  })
})

describe('keys', () => {
  test('W12: a key that is bound to an identifier can claim no other', async () => {
    const [hr, shop] = [await mint('hr-lan'), await mint('shop-lan')]
    const { layers } = await startWithKeys({ hr, shop })
    await playInner({ port: layers.socketPort, privateKey: privateKeyOf(hr), identifier: 'hr-lan' })
    await expect(playInner({ port: layers.socketPort, privateKey: privateKeyOf(shop), identifier: 'hr-lan' })).rejects.toThrow(/^AUTH/)
    expect(layers.outer.registry.connections.map(({ identifier }) => identifier)).toEqual(['hr-lan'])
  })

  test('a key that is removed ends its sessions within 2 s, and no others', async () => {
    const [hr, shop] = [await mint('hr-lan'), await mint('shop-lan')]
    const { layers, directory } = await startWithKeys({ hr, shop })
    const [leaving] = [
      await playInner({ port: layers.socketPort, privateKey: privateKeyOf(hr), identifier: 'hr-lan' }),
      await playInner({ port: layers.socketPort, privateKey: privateKeyOf(shop), identifier: 'shop-lan' }),
    ]
    await layers.connected(2)
    writeFileSync(join(directory, 'hr.crt'), shop.certificatePem)
    await layers.connected(1)
    await until(() => leaving.ended !== undefined)
    expect(layers.outer.registry.connections.map(({ identifier }) => identifier)).toEqual(['shop-lan'])
    await expect(playInner({ port: layers.socketPort, privateKey: privateKeyOf(hr), identifier: 'hr-lan' })).rejects.toThrow(/^AUTH/)
  })
})

describe('streams', () => {
  test('W13: an inner layer that names a stream of another one ends itself, and the answer is the real one', async () => {
    const origin = await startRawOrigin(() => undefined)
    const layers = await startLayers({
      origin: origin.port,
      targets: 'targets:\n  "*": {protocol: http, hostname: 127.0.0.1, port: {port}, identifier: honest}\n',
      inner: { identifier: 'honest' },
    })
    const running = exchange(layers.port)
    await until(() => origin.hits === 1)
    for (const stream of [1, 2, 3, 0x7fff_fffe]) {
      const evil = await playInner({ port: layers.socketPort, privateKey: layers.privateKey, identifier: 'evil' })
      evil.answer(stream, 200, 'stolen')
      await until(() => evil.ended !== undefined)
    }
    origin.last.connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal')
    expect((await running).body.toString()).toBe('real')
    await quiet(layers)
  })

  test('a RESET with a code that is no answer, or unknown, is 502 or 500, never silence', async () => {
    const layers = await startLayers({ inners: 0 })
    for (const code of [22, 23, 24, 25, 26, 27, 28, 99, 0xffff_ffff, 4]) {
      const evil = await playInner({
        port: layers.socketPort,
        privateKey: layers.privateKey,
        onFrame: ({ type, stream }, self) => {
          if (type === FrameType.OPEN) self.send(FrameType.RESET, 0, stream, encodeReset(code, 'because'))
        },
      })
      const { status } = await within(exchange(layers.port, { method: 'POST', body: 'x' }), `an answer to RESET ${code}`)
      expect([500, 502, 503]).toContain(status)
      evil.destroy()
      await layers.connected(0)
    }
  })
})

describe('the socket port', () => {
  test('shows health and readiness, and nothing else', async () => {
    const layers = await startLayers({ inners: 0 })
    const page = async (path: string): Promise<unknown> => {
      const { status, body } = await exchange(layers.socketPort, { path })
      return [status, body.toString().trim()]
    }
    expect(await page('/healthz')).toEqual([200, '{"status":"ok"}'])
    expect(await page('/readyz')).toEqual([503, '{"status":"not ready","reasons":["no inner layer is connected"]}'])
    await layers.addInner()
    expect(await page('/readyz')).toEqual([200, '{"status":"ready","reasons":[]}'])
    expect(await page('/admin')).toEqual([404, expect.stringContaining('socket port')])
  })

  test('refuses browsers and polling, at once', async () => {
    const layers = await startLayers({ inners: 0 })
    expect(statusOf(await upgrade(layers.socketPort, { lines: ['Origin: http://evil.test'] }))).toBe(400)
    expect(statusOf(await upgrade(layers.socketPort, { lines: ['Origin: null'] }))).toBe(400)
    for (const method of ['GET', 'POST']) {
      const poll = await rawRequest(
        layers.socketPort,
        `${method} /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      )
      expect(poll.text).toMatch(/^HTTP\/1\.1 400 /)
    }
    expect(layers.outer.registry.connections).toEqual([])
  })

  const openOf = (connections: readonly RawConnection[]): number =>
    connections.filter(connection => statusOf(connection) === 101 && connection.peerClose === 'no').length

  test('W14: has five unproven connections of one address at most, whatever they have sent so far', async () => {
    const layers = await startLayers({ inners: 0 })
    const silent = await Promise.all(Array.from({ length: 12 }, () => upgrade(layers.socketPort)))
    expect(openOf(silent)).toBeLessThanOrEqual(5)
    // Another address is not affected, and a place becomes free when its holder leaves.
    expect(statusOf(await upgrade(layers.socketPort, { localAddress: '127.0.0.2' }))).toBe(101)
    for (const connection of silent) connection.destroy()
    await until(async () => statusOf(await upgrade(layers.socketPort)) === 101)
  })

  test('W14: has 512 unproven connections at most, and strangers in any number that only wait keep no inner layer out', async () => {
    const layers = await startLayers({ inners: 0 })
    let isOver = false
    const silent: RawConnection[] = []
    /** Comes back as soon as it was cut. */
    const stay = async (localAddress: string): Promise<void> => {
      while (!isOver) {
        const connection = await upgrade(layers.socketPort, { localAddress }).catch(() => undefined)
        if (connection === undefined) continue
        silent.push(connection)
        await connection.closed
      }
    }
    const addresses = Array.from({ length: 130 }, (_, i) => `127.1.${i % 10}.${i + 1}`)
    const strangers = Promise.all(addresses.flatMap(address => Array.from({ length: 5 }, () => stay(address))))
    await until(() => openOf(silent) >= 500)
    const inner = await layers.addInner()
    await until(() => inner.connectionCount === 1)
    expect(openOf(silent)).toBeLessThanOrEqual(512)
    isOver = true
    for (const connection of silent) connection.destroy()
    await layers.close()
    await strangers
  })

  test('ends what has not proven itself within 5 s', async () => {
    const layers = await startLayers({ inners: 0 })
    const connection = await upgrade(layers.socketPort)
    const greeted = await upgrade(layers.socketPort)
    // A masked text frame with the CONNECT packet of socket.io: it gets a HELLO, and then says nothing.
    const packet = Buffer.from('4{"type":0,"nsp":"/"}')
    greeted.write(Buffer.concat([Buffer.from([0x81, 0x80 | packet.length, 0, 0, 0, 0]), packet]))
    await greeted.read(/nonce/)
    await within(Promise.all([connection.closed, greeted.closed]), 'both to be closed')
  })

  test('F23 (fault): thirty inner layers that come back at once all get in', async () => {
    const origin = await startRawOrigin()
    const layers = await startLayers({ origin: origin.port, inners: 0 })
    const relay = await startRelay({ target: { host: '127.0.0.1', port: layers.socketPort } })
    for (let i = 0; i < 30; i++) await layers.addInner({ identifier: `inner-${i}`, outerLayers: [`ws://127.0.0.1:${relay.port}`] })
    relay.cut()
    await until(() => layers.outer.registry.connections.length < 30)
    await layers.connected(30)
    expect((await exchange(layers.port)).status).toBe(200)
  })

  test('survives garbage of every kind', async () => {
    const layers = await startLayers()
    const sockets: Socket[] = []
    for (const bytes of [
      '\0\0\0\0',
      'GET / HTTP/9.9\r\n\r\n',
      'x'.repeat(100_000),
      'POST /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n',
    ]) {
      const socket = connect(layers.socketPort, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(bytes)
      sockets.push(socket)
    }
    const framed = await upgrade(layers.socketPort)
    framed.write(Buffer.from([0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]))
    await framed.closed
    expect((await exchange(layers.socketPort, { path: '/healthz' })).status).toBe(200)
    expect(layers.outer.registry.connections.length).toBe(1)
    for (const socket of sockets) socket.destroy()
  })
})
