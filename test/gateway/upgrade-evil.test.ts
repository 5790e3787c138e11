/** Switching protocols between layers of which one is broken or taken. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { encodeFields } from '../../src/payload/byte-codec.ts'
import { decodeResponseHead, encodeResponseHead } from '../../src/payload/head-codec.ts'
import { NO_BODY, type ResponseHead } from '../../src/http/message.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { createInnerLayer } from '../../src/inner/inner-layer.ts'
import type { Session } from '../../src/mux/session.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { connectEvilInner, deaf, exchange, requestHead, startEvilOuter, type Script } from '../support/evil.ts'
import { encodeRequestHead } from '../../src/payload/head-codec.ts'
import { captureLog, privateKeyOf, startLayers, testKeyPair, type Layers, type LogRecord } from '../support/layers.ts'
import { get } from '../support/message.ts'
import { quiet } from '../support/quiet.ts'
import { RawConnection } from '../support/raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { echoOrigin, upgradeRequest } from '../support/upgrade.ts'
import { until } from '../support/wait.ts'

const switching = (parts: Partial<ResponseHead> = {}): Buffer =>
  encodeResponseHead({ status: 101, reason: 'Switching Protocols', body: NO_BODY, fields: ['Upgrade', 'websocket'], ...parts })

describe('an evil inner layer', () => {
  let layers: Layers
  let script: Script

  beforeAll(async () => {
    layers = await startLayers({ inners: 0 })
    await connectEvilInner(layers, (stream, request) => script(stream, request))
  })

  const ask = async (evil: Script, request = upgradeRequest()): Promise<RawConnection> => {
    script = evil
    const connection = await RawConnection.open(layers.port)
    return connection.write(request)
  }

  const expectAlive = async (): Promise<void> => {
    await quiet(layers)
    expect(layers.outerLogs.filter(record => record.level === 'error')).toEqual([])
    expect(layers.outer.registry.connections).toHaveLength(1)
  }

  test.each<readonly [string, Buffer, string]>([
    ['a switch that nobody asked for', switching(), get('/')],
    ['a switch to another protocol', switching({ fields: ['Upgrade', 'foo'] }), upgradeRequest()],
    ['a switch to two protocols', switching({ fields: ['Upgrade', 'websocket', 'Upgrade', 'foo'] }), upgradeRequest()],
    ['a value that splits', switching({ fields: ['Upgrade', 'websocket', 'X-A', 'a\r\nInjected: x'] }), upgradeRequest()],
    ['a name that splits', switching({ fields: ['Upgrade', 'websocket', 'X-A: a\r\nInjected', 'x'] }), upgradeRequest()],
    ['a reason that splits', switching({ reason: 'OK\r\nInjected: x' }), upgradeRequest()],
  ])('H13: %s is 502', async (_what, head, request) => {
    const connection = await ask(stream => stream.sendHead(head), request)
    const response = await connection.readResponse()
    expect(response.status).toBe(502)
    expect(response.body.toString()).toContain('ORIGIN_BAD_RESPONSE')
    expect(response.lines.join()).not.toMatch(/injected/i)
    connection.destroy()
    await expectAlive()
  })

  test('H13: a switch as an interim answer is 502', async () => {
    const connection = await ask(stream => stream.sendHead(switching(), { info: true }))
    expect((await connection.readResponse()).status).toBe(502)
    connection.destroy()
    await expectAlive()
  })

  test('H13: fields that frame a message end here, and so does Keep-Alive', async () => {
    const fields = [
      'Upgrade',
      'websocket',
      'Content-Length',
      '5',
      'Transfer-Encoding',
      'chunked',
      'Keep-Alive',
      'x',
      'Connection',
      'X-B',
      'X-B',
      'gone',
    ]
    const connection = await ask(stream => stream.sendHead(switching({ fields })))
    expect(await connection.read('\r\n\r\n')).toBe('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    connection.reset()
  })

  test.each<readonly [string, Script]>([
    ['a second head', stream => stream.sendHead(switching())],
    ['trailers', stream => stream.end(encodeFields(['X-T', 'x']))],
    ['a reset', stream => stream.reset('ORIGIN_CLOSED', 'gone')],
    ['a reset with a code that is none', stream => stream.reset('AUTH', 'gone')],
  ])('H13: %s behind the switch is a reset for the client', async (_what, then) => {
    let begin = (): void => undefined
    const connection = await ask((stream, request) => {
      stream.sendHead(switching())
      begin = () => then(stream, request)
    })
    await connection.read('\r\n\r\n')
    begin()
    expect(await connection.closed).toBe('rst')
    await expectAlive()
  })

  test('H13: a switch that ends its half at once leaves the other one open', async () => {
    const received: string[] = []
    const connection = await ask(stream => {
      stream.sendHead(switching(), { end: true })
      stream.handler = { ...deaf, onData: bytes => void received.push(bytes.toString()) }
    })
    await connection.read('\r\n\r\n')
    expect(await connection.closed).toBe('fin')
    connection.write('still here')
    await until(() => received.join('') === 'still here')
    connection.reset()
    await expectAlive()
  })
})

describe('an evil outer layer', () => {
  let origin: RawOrigin
  let session: Session
  let innerLogs: readonly LogRecord[]

  beforeAll(async () => {
    origin = await startRawOrigin()
    const outer = await startEvilOuter()
    const log = captureLog()
    innerLogs = log.records
    const inner = createInnerLayer(
      {
        privateKey: privateKeyOf(await testKeyPair()),
        outerLayers: [outer.url],
        identifier: 'inner-layer',
        connections: 1,
        allowList: new AllowList([`127.0.0.1:${origin.port}`]),
        drainTimeoutMs: 1_000,
      },
      log,
    )
    onCleanUp(() => inner.destroy())
    await inner.start()
    session = await outer.session
  })
  beforeEach(() => origin.clear())

  const expectAlive = async (): Promise<void> => {
    await until(() => session.streamCount === 0)
    const { end, heads } = await exchange(session, requestHead({ port: origin.port }))
    expect(end).toBe('end')
    expect(decodeResponseHead(heads[0]!).status).toBe(200)
    expect(innerLogs.filter(record => record.level === 'error')).toEqual([])
  }

  test('T13: an upgrade at an origin that is not allowed is refused and not dialled', async () => {
    for (const [hostname, port] of [
      ['127.0.0.1', 22],
      ['169.254.169.254', 80],
    ] as const) {
      expect((await exchange(session, requestHead({ hostname, port, upgrade: 'websocket' }))).end).toBe('ORIGIN_FORBIDDEN')
    }
    expect(origin.connections).toHaveLength(0)
    await expectAlive()
  })

  test.each(['websocket\r\nInjected: x', 'web\nsocket', '\0'])('H13: the protocol %j is refused', async upgrade => {
    expect((await exchange(session, requestHead({ port: origin.port, upgrade }))).end).toBe('ORIGIN_BAD_REQUEST')
    expect(origin.hits).toBe(0)
    await expectAlive()
  })

  test('bytes before the switch are a fault of the peer, and end the stream alone', async () => {
    origin.handle(() => undefined)
    const { end } = await exchange(session, requestHead({ port: origin.port, upgrade: 'websocket' }), 'early')
    expect(end).toBe('PROTOCOL')
    // It may not even have been dialled yet.
    await until(() => origin.requests.every(({ connection }) => connection.socket.destroyed))
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    await expectAlive()
  })

  test('a half that ends before the switch ends at the origin behind it', async () => {
    origin.handle(echoOrigin)
    const { end, heads } = await exchange(session, requestHead({ port: origin.port, upgrade: 'websocket' }), '')
    expect(decodeResponseHead(heads[0]!).status).toBe(101)
    expect(end).toBe('end')
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    await expectAlive()
  })

  test('a reset while the origin has not answered ends the request there', async () => {
    origin.handle(() => undefined)
    const stream = session.open(encodeRequestHead(requestHead({ port: origin.port, upgrade: 'websocket' })), deaf)
    await until(() => origin.hits === 1)
    stream.reset('CANCELLED', 'enough')
    await until(() => origin.last.connection.socket.destroyed)
    origin.handle((_request, socket) => void socket.write(rawResponse(200, 'ok')))
    await expectAlive()
  })
})
