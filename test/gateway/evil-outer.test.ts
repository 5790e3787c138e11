/** An outer layer that is broken or taken: whatever it asks for, nothing is dialled that is not allowed, nothing splits, nothing crashes. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { encodeFields } from '../../src/payload/byte-codec.ts'
import { decodeResponseHead, encodeRequestHead } from '../../src/payload/head-codec.ts'
import { encodeNote } from '../../src/payload/origin-profile.ts'
import { STREAM_BODY } from '../../src/http/message.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import { createInnerLayer } from '../../src/inner/inner-layer.ts'
import type { Session } from '../../src/mux/session.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { deaf, exchange, requestHead, startEvilOuter } from '../support/evil.ts'
import { captureLog, privateKeyOf, testKeyPair, type LogRecord } from '../support/layers.ts'
import { get } from '../support/message.ts'
import { startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'

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
        allowList: new AllowList([`127.0.0.1:${origin.port}`, 'ok.test:*']),
        drainTimeoutMs: 1_000,
      },
      log,
    )
    onCleanUp(() => inner.destroy())
    await inner.start()
    session = await outer.session
  })
  beforeEach(() => origin.clear())

  const ask = (parts: Parameters<typeof requestHead>[0], body?: string): ReturnType<typeof exchange> =>
    exchange(session, requestHead({ port: origin.port, ...parts }), body)

  const expectAlive = async (): Promise<void> => {
    const { end, heads } = await ask({})
    expect(end).toBe('end')
    expect(decodeResponseHead(heads[0]!).status).toBe(200)
    expect(innerLogs.filter(record => record.level === 'error')).toEqual([])
  }

  test.each<readonly [string, number]>([
    ['169.254.169.254', 80],
    ['[::ffff:169.254.169.254]', 80],
    ['127.0.0.1', 22],
    ['127.1', 80],
    ['0x7f.1', 80],
    ['localhost', 22],
    ['metadata.google.internal', 80],
    ['::1', 80],
    ['127.0.0.1:80@example.com', 80],
    ['ok.test/..', 80],
    ['', 80],
  ])('T13: %s:%d is refused and not dialled', async (hostname, port) => {
    for (const fields of [[], ['TE', 'trailers']]) {
      const { end } = await ask({ hostname, port, fields })
      expect(end).toMatch(/^ORIGIN_(?:FORBIDDEN|BAD_REQUEST)$/)
    }
    expect(origin.connections).toHaveLength(0)
    await expectAlive()
  })

  test.each(['CONNECT', 'TRACE', 'GET /x HTTP/1.1\r\nX', '', 'GE T', 'get\0'])('T6: the method %j is refused', async method => {
    for (const fields of [[], ['TE', 'trailers']]) {
      const { end } = await ask({ method, fields })
      expect(end).toBe('ORIGIN_BAD_REQUEST')
    }
    expect(origin.hits).toBe(0)
    await expectAlive()
  })

  test.each(['', 'x', '/a b', '/a\r\nX: y', '/\0', 'http://other.test/', '*'])(
    'T4: the path %j is refused or sent as it is, never split',
    async path => {
      for (const fields of [[], ['TE', 'trailers']]) await ask({ path, fields })
      for (const request of origin.requests) expect(request.values('x')).toEqual([])
      expect(origin.faults).toEqual([])
      await expectAlive()
    },
  )

  test.each<readonly [string, readonly string[]]>([
    ['CRLF in a value', ['X-A', 'a\r\nInjected: x']],
    ['CRLF in a name', ['X-A: a\r\nInjected', 'x']],
    ['an empty name', ['', 'x']],
    ['NUL in a value', ['X-A', 'a\0']],
  ])('H13: %s is refused', async (_name, fields) => {
    for (const more of [[], ['TE', 'trailers']]) {
      const { end } = await ask({ fields: [...fields, ...more] })
      expect(end).toBe('ORIGIN_BAD_REQUEST')
    }
    expect(origin.hits).toBe(0)
    await expectAlive()
  })

  test('H13: a Host that splits is refused', async () => {
    for (const fields of [[], ['TE', 'trailers']]) expect((await ask({ host: 'a\r\nInjected: x', fields })).end).toBe('ORIGIN_BAD_REQUEST')
    expect(origin.hits).toBe(0)
    await expectAlive()
  })

  test('F2: framing fields of an outer layer are not believed: the body is framed by what the head says of it', async () => {
    const fields = [
      'Content-Length',
      '0',
      'Transfer-Encoding',
      'chunked',
      'Connection',
      'Upgrade',
      'Upgrade',
      'websocket',
      'Expect',
      '100-continue',
      'Host',
      'b',
    ]
    for (const more of [[], ['TE', 'trailers']]) {
      origin.clear()
      await ask({ method: 'GET', fields: [...fields, ...more], body: { kind: 'length', length: 5 } }, 'abcde')
      expect(origin.faults).toEqual([])
      expect(origin.hits).toBe(1)
      expect(origin.last.body.toString()).toBe('abcde')
      expect(origin.last.values('host')).toEqual(['origin.test'])
      expect(origin.last.values('upgrade')).toEqual([])
    }
  })

  test.each(['GET', 'POST', 'PUT', 'DELETE'])(
    'F2: a %s whose body is longer or shorter than it says never becomes two requests',
    async method => {
      const body = `abcde${get('/smuggled')}`
      for (const length of [5, 0, body.length + 1]) {
        for (const fields of [[], ['TE', 'trailers']]) {
          origin.clear()
          expect((await ask({ method, fields, body: { kind: 'length', length } }, body)).end).toBe('BODY_MISMATCH')
          await expectAlive()
          expect(origin.requests.map(request => request.target)).not.toContain('/smuggled')
          expect(origin.requests.filter(request => request.isComplete && request.target === '/' && request.bodyBytes > 0)).toHaveLength(0)
        }
      }
      await expectAlive()
    },
  )

  test('F2: a body for a request that has none is refused', async () => {
    const { end } = await ask({ method: 'POST' }, get('/smuggled'))
    expect(end).toBe('PROTOCOL')
    expect(origin.requests.map(request => request.target)).not.toContain('/smuggled')
    await expectAlive()
  })

  test('H4: trailers that split are refused', async () => {
    const stream = session.open(
      encodeRequestHead(requestHead({ port: origin.port, method: 'POST', body: STREAM_BODY, fields: ['Trailer', 'X-T'] })),
      deaf,
    )
    stream.write(Buffer.from('hello'))
    stream.end(encodeFields(['X-T', 'a\r\nInjected: x']))
    await expectAlive()
    expect(origin.connections.map(connection => connection.text).join()).not.toContain('Injected')
  })

  test('H13: what splits in a list of fields is the failure of the requests that name it', async () => {
    const fields = ['X-A', 'a\r\nInjected: x']
    session.note(encodeNote({ note: 'fields', number: 1, fields } as { note: string }))
    const reference = Buffer.from([0, 0, 0, 1]).toString('latin1')
    const payload = encodeRequestHead(requestHead({ port: origin.port }), undefined, reference)
    for (let i = 0; i < 2; i++) expect((await exchange(session, payload)).end).toBe('ORIGIN_BAD_REQUEST')
    const unknown = encodeRequestHead(requestHead({ port: origin.port }), undefined, reference.replace('\u0001', '\u0002'))
    expect((await exchange(session, unknown)).end).toBe('PROTOCOL')
    expect(origin.hits).toBe(0)
    await expectAlive()
  })

  test('a head that is no head is refused', async () => {
    for (const payload of [Buffer.alloc(0), Buffer.from('GET / HTTP/1.1'), Buffer.alloc(64, 0xff)]) {
      expect((await exchange(session, payload)).end).toBe('PROTOCOL')
    }
    await expectAlive()
  })
})
