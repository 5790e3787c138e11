/** Section 1.4, U5 to U7: what becomes of the bytes and of both ends once protocols have been switched. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Socket } from 'node:net'
import { pattern } from '../link/pair.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { get, head, lastGet } from '../support/message.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection, rawRequest } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { echoOrigin, openUpgraded, switching, switchingOrigin, upgradeRequest } from '../support/upgrade.ts'
import { until } from '../support/wait.ts'

let origin: RawOrigin
let layers: Layers

beforeAll(async () => {
  origin = await startRawOrigin()
  layers = await startLayers({ origin: origin.port })
})
beforeEach(() => origin.clear())
// Also those of a test that has failed, which would make all after it fail.
afterEach(async () => {
  for (const connection of opened.splice(0)) connection.destroy()
  await quiet(layers)
})

/** The latest connection of the origin has ended. Others may be kept alive for ordinary requests. */
const hasLeft = (): boolean => origin.last.connection.socket.destroyed

const opened: RawConnection[] = []
const keep = (connection: RawConnection): RawConnection => {
  opened.push(connection)
  return connection
}
const openSwitched = async (request?: string): Promise<RawConnection> => keep(await openUpgraded(layers.port, request))
const open = async (): Promise<RawConnection> => keep(await RawConnection.open(layers.port))

/** Both ends of a connection that has switched. */
const openBoth = async (): Promise<{ client: RawConnection; socket: Socket }> => {
  let socket: Socket | undefined
  origin.handle(
    switchingOrigin((switched, early) => {
      socket = switched
      expect(early.length).toBe(0)
    }),
  )
  const client = await openSwitched()
  return { client, socket: await until(() => socket) }
}

describe('U5: bytes around the switch', () => {
  test('U5: bytes in the segment of the request head arrive after the switch, and those in the segment of the 101 as well', async () => {
    const seen: Buffer[] = []
    origin.handle((request, socket) => {
      expect(request.takeOver().length).toBe(0) // before the switch, they would be another request
      socket.on('data', (bytes: Buffer) => seen.push(bytes))
      socket.write(`${switching(request)}from the origin`)
    })
    const connection = await open()
    connection.write(`${upgradeRequest()}from the client`)
    await connection.read('\r\n\r\n')
    expect(await connection.read('from the origin')).toBe('from the origin')
    await until(() => Buffer.concat(seen).toString() === 'from the client')
  })

  test('U5: neither are those lost that come between the head and the switch, however many', async () => {
    const early = pattern(1_000_000, 4)
    let answer = (): void => undefined
    const seen: Buffer[] = []
    origin.handle((request, socket) => {
      request.takeOver()
      socket.on('data', (bytes: Buffer) => seen.push(bytes))
      answer = () => void socket.write(switching(request))
    })
    const connection = await open()
    connection.write(upgradeRequest())
    await until(() => origin.hits === 1)
    connection.write(early)
    await until(() => connection.socket.writableLength < 1_000_000)
    answer()
    await connection.read('\r\n\r\n')
    await until(() => Buffer.concat(seen).equals(early))
  })

  test('U5: a switch behind a request that is still answered waits for its turn', async () => {
    const body = pattern(4_000_000, 5)
    origin.handle((request, socket) => {
      if (request.target === '/') return echoOrigin(request, socket)
      socket.write(rawResponse(200, body))
    })
    const connection = await open()
    connection.freeze()
    connection.write(`${get('/large')}${upgradeRequest()}echo`)
    await until(() => origin.hits === 1)
    connection.thaw()
    expect((await connection.readResponse()).body.equals(body)).toBe(true)
    await connection.read('\r\n\r\n')
    expect(await connection.read('echo')).toBe('echo')
  })

  test('a client that leaves before the answer is gone for the origin as well', async () => {
    origin.handle(() => undefined)
    for (const leave of ['end', 'reset'] as const) {
      const connection = await open()
      const { hits } = origin
      connection.write(upgradeRequest())
      await until(() => origin.hits === hits + 1)
      connection[leave]()
      await until(hasLeft)
    }
  })

  test('a client that resets behind a CONNECT or an upgrade that waits takes nobody with it', async () => {
    origin.handle(() => undefined)
    for (const behind of [head('CONNECT a:1 HTTP/1.1', 'Host: a:1'), upgradeRequest('/behind')]) {
      const connection = await open()
      const hits = origin.hits
      connection.write(get('/slow') + behind)
      await until(() => origin.hits === hits + 1)
      connection.reset()
      await until(hasLeft)
    }
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'alive')))
    expect((await rawRequest(layers.port, lastGet('/'))).text).toContain('alive')
  })
})

describe('U6, U7: bytes and ends', () => {
  test('U6: 20 MB both ways at once, unchanged', async () => {
    const { client, socket } = await openBoth()
    const [up, down] = [pattern(20_000_000, 6), pattern(20_000_000, 7)]
    const seen: Buffer[] = []
    let seenBytes = 0
    socket.on('data', (bytes: Buffer) => {
      seen.push(bytes)
      seenBytes += bytes.length
    })
    client.write(up)
    socket.write(down)
    const got: Buffer[] = []
    let gotBytes = client.take(Infinity).length
    expect(gotBytes).toBe(0)
    client.socket.on('data', (bytes: Buffer) => {
      got.push(bytes)
      gotBytes += bytes.length
    })
    await until(() => seenBytes === up.length && gotBytes === down.length)
    expect(Buffer.concat(seen).equals(up)).toBe(true)
    expect(Buffer.concat(got).equals(down)).toBe(true)
  })

  test('U6: each half ends on its own, whoever ends first', async () => {
    for (const first of ['client', 'origin'] as const) {
      const { client, socket } = await openBoth()
      let text = ''
      let hasEnded = false
      socket.allowHalfOpen = true
      socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
      socket.on('end', () => (hasEnded = true))
      if (first === 'client') {
        client.write('last').end()
        await until(() => hasEnded && text === 'last')
        socket.write('still here')
        expect(await client.read('still here')).toBe('still here')
        socket.end('bye')
      } else {
        socket.end('last')
        await client.read('last')
        expect(await client.closed).toBe('fin')
        client.write('still here')
        await until(() => text === 'still here')
        client.end()
        await until(() => hasEnded)
      }
      expect(await client.closed).toBe('fin')
      await until(hasLeft)
    }
  })

  test.each(['client', 'origin'] as const)('U7: a reset of the %s is a reset at the other end', async who => {
    const { client, socket } = await openBoth()
    let error: NodeJS.ErrnoException | undefined
    socket.on('error', thrown => (error = thrown))
    if (who === 'client') {
      client.reset()
      await until(() => error?.code === 'ECONNRESET')
    } else {
      socket.resetAndDestroy()
      expect(await client.closed).toBe('rst')
    }
    await until(hasLeft)
    const line = await until(() =>
      layers.accessLog.find(({ status, error: code }) => status === 101 && code === (who === 'client' ? 'CANCELLED' : 'ORIGIN_CLOSED')),
    )
    expect(line.path).toBe('/')
  })

  test('is one line in the access log when it has ended, with its bytes and its time', async () => {
    const { client, socket } = await openBoth()
    const before = layers.accessLog.length
    client.write('12345')
    socket.write('1234567')
    await client.read('1234567')
    await until(() => socket.bytesRead > 0 && origin.last.connection.text.endsWith('12345'))
    expect(layers.accessLog.length).toBe(before)
    client.end()
    socket.end()
    const line = await layers.accessLine(before + 1)
    expect(line).toMatchObject({ status: 101, method: 'GET', bytesIn: 5, bytesOut: 7, identifier: 'inner-layer' })
    expect(line.error).toBeUndefined()
  })

  test('200 connections opened and closed leave nothing behind', async () => {
    origin.handle(echoOrigin)
    for (let round = 0; round < 4; round++) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => openSwitched()))
      await Promise.all(
        clients.map(async (client, i) => {
          client.write(`echo ${i};`)
          await client.read(`echo ${i};`)
          if (i % 3 === 0) client.reset()
          else if (i % 3 === 1) client.destroy()
          else {
            client.end()
            await client.closed
          }
        }),
      )
    }
    await quiet(layers)
    await until(hasLeft)
  })
})
