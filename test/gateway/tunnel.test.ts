/** Private access: /tunnel/HOST:PORT at both ports, what becomes of a connection, and `forward`. */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { hashToken, mintToken } from '../../src/identity/token.ts'
import { createTunnelProof } from '../../src/identity/tunnel-proof.ts'
import type { ForwarderOptions } from '../../src/tunnel/forwarder.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { listen } from '../support/ports.ts'
import { quiet } from '../support/quiet.ts'
import { echoServer, tcpConnect, tcpServer, type TcpServer } from '../support/tcp.ts'
import { ask, basic, bearer, hangUp, mintKey, startForward, token, tunnelsOf, type Forwarding } from '../support/tunnels.ts'
import { until } from '../support/wait.ts'

const key = mintKey()

let echo: TcpServer
let layers: Layers
const at = (port = echo.port): string => `/tunnel/127.0.0.1:${port}`

beforeAll(async () => {
  echo = await echoServer()
  layers = await startLayers({
    targets: tunnelsOf({
      [`127.0.0.1:${echo.port}`]: `{tokens: ["${hashToken(token)}"], publicKeys: [${key.kid}], maxConnections: 500}`,
      'other.lan:1': `{tokens: ["${hashToken(mintToken())}"]}`,
    }),
  })
})
afterAll(() => {
  hangUp()
  return quiet(layers)
})

const forward = (paths: readonly string[], more: Partial<ForwarderOptions> = {}, port = layers.port): Promise<Forwarding> =>
  startForward(port, paths, more)

const tunnelLine = (wanted: Readonly<Record<string, unknown>>): Promise<unknown> =>
  until(
    () => layers.outerLogs.find(line => line.msg === 'connection' && Object.entries(wanted).every(([name, value]) => line[name] === value)),
    {
      what: JSON.stringify(wanted),
    },
  )

describe('a tunnel', () => {
  test.each(['app', 'socket'])('opens at the %s port and carries bytes, each direction ending on its own', async which => {
    const { port } = await forward([at()], {}, which === 'app' ? layers.port : layers.socketPort)
    const near = await tcpConnect(port)
    const bytes = Buffer.alloc(3_000_000, 'x1y2')
    near.socket.end(bytes)
    expect((await near.ended(20_000)).equals(bytes)).toBe(true)
    await tunnelLine({
      target: `127.0.0.1:${echo.port}`,
      bytesIn: 3_000_000,
      bytesOut: 3_000_000,
      identifier: 'inner-layer',
      client: '127.0.0.1',
    })
  })

  test('opens for the real sokken client, which has no half-close, with a token in its URL', async () => {
    const peer = await ask(layers.port, at(), basic('any', token))
    expect([peer.status, peer.field('Sec-WebSocket-Protocol'), peer.field('Sec-WebSocket-Extensions')]).toEqual([101, 'sokken', undefined])
    peer.binary('hello')
    await until(() => peer.bytes.toString() === 'hello')
    peer.sendClose(1000)
    expect(await peer.closeFrame()).toEqual({ code: 1000, reason: '' })
    await peer.gone()
    await until(() => layers.outer.openTunnels === 0)
  })

  test('does not wait for ever for a service that goes on after an end of both', async () => {
    const far = await tcpServer()
    const own = await startLayers({ targets: tunnelsOf({ [`127.0.0.1:${far.port}`]: `{tokens: ["${hashToken(token)}"]}` }) })
    const peer = await ask(own.port, at(far.port), bearer(token))
    expect(peer.status).toBe(101)
    peer.sendClose(1000)
    await (await far.end()).ended()
    await until(() => own.outer.openTunnels === 0)
    await quiet(own)
  })

  test('is there as soon as the targets file has it, and gone as soon as it has not', async () => {
    const own = await startLayers({ targets: tunnelsOf({}).replace('tunnels:\n', '') })
    // Without tunnels the path is like any other: it goes to the target, whose origin is not there.
    expect((await ask(own.port, at(), bearer(token))).status).toBe(502)
    writeFileSync(own.targetsFile, tunnelsOf({ [`127.0.0.1:${echo.port}`]: `{tokens: ["${hashToken(token)}"]}` }))
    const open = await until(async () => {
      const attempt = await ask(own.port, at(), bearer(token))
      return attempt.status === 101 ? attempt : undefined
    })
    writeFileSync(own.targetsFile, tunnelsOf({ 'a.lan:1': `{tokens: ["${hashToken(token)}"]}` }))
    await until(async () => (await ask(own.port, at(), bearer(token))).status === 404)
    open.binary('still open')
    await until(() => open.bytes.toString() === 'still open')
  })

  test('is reset at both ends when the other end is', async () => {
    const far = await tcpServer()
    const own = await startLayers({ targets: tunnelsOf({ [`127.0.0.1:${far.port}`]: `{tokens: ["${hashToken(token)}"]}` }) })
    const { port } = await forward([at(far.port)], {}, own.port)
    const [first, second] = [await tcpConnect(port), await tcpConnect(port)]
    first.socket.write('1')
    await until(() => far.ends.find(end => end.text === '1'))
    second.socket.write('2')
    const ends = await Promise.all(['1', '2'].map(text => until(() => far.ends.find(end => end.text === text))))
    first.socket.resetAndDestroy()
    ends[1]!.socket.resetAndDestroy()
    await Promise.all([ends[0]!.gone(), second.gone()])
    expect([ends[0]!.error?.code, second.error?.code, second.hasEnded]).toEqual(['ECONNRESET', 'ECONNRESET', false])
    await quiet(own)
  })

  test('is cut when the link to the inner layer is lost, and a new connection finds the next one', async () => {
    const own = await startLayers({
      targets: tunnelsOf({ [`127.0.0.1:${echo.port}`]: `{tokens: ["${hashToken(token)}"]}` }),
      relay: {},
    })
    const { port, records } = await forward([at()], {}, own.port)
    const near = await tcpConnect(port)
    near.socket.write('hello')
    await near.received('hello')
    own.relay.cut()
    await near.gone()
    expect([near.hasEnded, near.error?.code]).toEqual([false, 'ECONNRESET'])
    await until(() => records.length === 1)
    expect(records[0]).toMatchObject({ error: 'TUNNEL_CLOSED', bytesIn: 5, bytesOut: 5 })
    await own.connected(1)
    const next = await tcpConnect(port)
    next.socket.end('again')
    expect((await next.ended(10_000)).toString()).toBe('again')
  })

  test('outlives a drain that is long enough, and is cut with 1012 by one that is not', async () => {
    for (const isLong of [true, false]) {
      const own = await startLayers({
        targets: tunnelsOf({ [`127.0.0.1:${echo.port}`]: `{tokens: ["${hashToken(token)}"]}` }),
        outer: { drainTimeoutMs: isLong ? 10_000 : 200 },
      })
      const peer = await ask(own.port, at(), bearer(token))
      const closing = own.outer.close()
      peer.binary('x')
      await until(() => peer.bytes.toString() === 'x' || peer.close !== undefined)
      if (isLong) {
        peer.sendClose(1000)
        await peer.closeFrame()
        await peer.gone()
      } else expect(await peer.closeFrame()).toEqual({ code: 1012, reason: 'the outer layer stops' })
      await closing
    }
  })

  test('holds back a service whose client does not read', async () => {
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
    const own = await startLayers({ targets: tunnelsOf({ [`127.0.0.1:${far.port}`]: `{tokens: ["${hashToken(token)}"]}` }) })
    const peer = await ask(own.port, at(far.port), bearer(token))
    peer.socket.pause()
    let last = -1
    await until(() => {
      const isStill = sent === last
      last = sent
      return isStill && sent > 0
    })
    expect(sent).toBeLessThan(64 * 1_048_576)
    peer.socket.destroy()
    await quiet(own)
  })
})

describe('forward', () => {
  test('asks before it opens its port, and says what is wrong', async () => {
    const refused = (path: string, authorization: string): Promise<unknown> => forward([path], { authorization: () => authorization })
    await expect(refused(at(), `Bearer ${mintToken()}`)).rejects.toMatchObject({
      code: 'TUNNEL_REFUSED',
      message: expect.stringMatching(/answered 401 Unauthorized: The tunnel needs credentials/),
    })
    await expect(refused('/tunnel/none.lan:9', `Bearer ${token}`)).rejects.toMatchObject({ status: 404 })
    await expect(refused('/tunnel/other.lan:1', `Bearer ${token}`)).rejects.toMatchObject({ status: 403 })
  })

  test('refuses a port that is in use, and leaves none open', async () => {
    const taken = await listen(createServer())
    const url = new URL(`ws://127.0.0.1:${layers.port}${at()}`)
    const forwards = [
      { listen: { host: '127.0.0.1', port: 0 }, url },
      { listen: { host: '127.0.0.1', port: taken }, url },
    ]
    await expect(forward([], { forwards })).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
  })

  test('waits for a gateway that is not there yet, and resets connections meanwhile', async () => {
    const { port, records } = await forward([at()], { dial: { timeoutMs: 60_000, agent: 'test' } }, 1)
    const near = await tcpConnect(port)
    await near.gone()
    expect(near.error?.code).toBe('ECONNRESET')
    await until(() => records.length === 1)
    expect(records[0]).toMatchObject({ error: 'TUNNEL_UNREACHABLE', reason: expect.stringContaining('ECONNREFUSED') })
  })

  test('sends pings while it has nothing to say, and outlives the time-out for dialling', async () => {
    const { port } = await forward([at()], { dial: { timeoutMs: 1_000, agent: 'test', pingMs: 20 } })
    const near = await tcpConnect(port)
    near.socket.write('x')
    await near.received('x')
    // Pings that were not understood would have ended it.
    const start = performance.now()
    await until(() => performance.now() - start > 1_200)
    near.socket.end('y')
    expect((await near.ended()).toString()).toBe('xy')
  })

  test('ends a thousand connections cleanly that end while their last bytes are under way', async () => {
    const { port, records } = await forward([at()])
    const one = async (): Promise<string> => {
      const near = await tcpConnect(port)
      near.socket.write('one')
      await near.received('one')
      near.socket.end('two')
      await until(() => near.hasEnded || near.socket.destroyed)
      return `${near.text} ${near.hasEnded}`
    }
    const outcomes: string[] = []
    const worker = async (): Promise<void> => {
      while (outcomes.length < 1_000) outcomes.push(await one())
    }
    await Promise.all(Array.from({ length: 50 }, worker))
    await until(() => records.length === outcomes.length)
    expect(records.filter(({ error }) => error !== undefined)).toEqual([])
    expect(new Set(outcomes)).toEqual(new Set(['onetwo true']))
  })

  test('gives every place back after 400 connections, 100 at a time', async () => {
    const { port, forwarder, records } = await forward([at()], {
      authorization: () => `Bearer ${createTunnelProof(key, { tunnel: at().slice(8), url: 'ws://gw', nowSeconds: Date.now() / 1000 })}`,
    })
    hangUp()
    await until(() => layers.outer.openTunnels === 0)
    let next = 0
    let answered = 0
    const one = async (index: number): Promise<void> => {
      const near = await tcpConnect(port)
      near.socket.write(`hello ${index}`)
      await until(() => near.text === `hello ${index}` || near.socket.destroyed)
      if (near.text === `hello ${index}`) answered++
      if (index % 3 === 0) near.socket.resetAndDestroy()
      else near.socket.end()
      await near.gone()
    }
    const worker = async (): Promise<void> => {
      while (next < 400) await one(next++)
    }
    await Promise.all(Array.from({ length: 100 }, worker))
    expect(answered).toBe(400)
    await until(() => forwarder.connections === 0 && layers.outer.openTunnels === 0)
    await quiet(layers)
    await until(() => records.length >= 400, { what: 'a line of each' })
    expect(records.length).toBe(400)
  })
})
