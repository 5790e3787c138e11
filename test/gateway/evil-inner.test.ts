/** An inner layer that is broken or taken: whatever it answers, nothing splits and nothing crashes. */
import { beforeAll, describe, expect, test } from '@jest/globals'
import { encodeFields } from '../../src/payload/byte-codec.ts'
import { encodeResponseHead } from '../../src/payload/head-codec.ts'
import { NO_BODY, STREAM_BODY, type ResponseHead } from '../../src/http/message.ts'
import { connectEvilInner, type Script } from '../support/evil.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { get, head, lastGet } from '../support/message.ts'
import { RawConnection, rawRequest, type RawAnswer } from '../support/raw-client.ts'

const response = (parts: Partial<ResponseHead> = {}): Buffer =>
  encodeResponseHead({ status: 200, reason: 'OK', body: STREAM_BODY, fields: [], ...parts })

describe('an evil inner layer', () => {
  let layers: Layers
  let script: Script

  beforeAll(async () => {
    layers = await startLayers({ inners: 0 })
    await connectEvilInner(layers, (stream, request) => script(stream, request))
  })

  const answerOf = async (evil: Script, raw = lastGet('/')): Promise<RawAnswer> => {
    script = evil
    const answer = await rawRequest(layers.port, raw)
    // The outer layer lives, and so does the session: an honest answer still passes.
    script = stream => {
      stream.sendHead(response({ body: { kind: 'length', length: 2 } }))
      stream.write(Buffer.from('ok'))
      stream.end()
    }
    expect((await rawRequest(layers.port, lastGet('/after'))).text).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*ok$/)
    expect(layers.outerLogs.filter(record => record.level === 'error')).toEqual([])
    return answer
  }

  const expect502 = async (evil: Script, raw?: string): Promise<void> => {
    const answer = await answerOf(evil, raw)
    expect(answer.text).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/)
    expect(answer.text.match(/HTTP\/1\.1/g)).toHaveLength(1)
    expect(answer.text).not.toMatch(/injected/i)
  }

  test.each<readonly [string, readonly string[]]>([
    ['a value with CRLF', ['X-A', 'a\r\nInjected: x']],
    ['a value with LF', ['X-A', 'a\nInjected: x']],
    ['a value with CR', ['X-A', 'a\rInjected: x']],
    ['a value with NUL', ['X-A', 'injected\0']],
    ['a name with CRLF', ['X-A: a\r\nInjected', 'x']],
    ['a name with a colon', ['X-A:Injected', 'x']],
    ['a name with a space', ['X-A Injected', 'x']],
    ['an empty name', ['', 'injected']],
    ['a cookie that splits', ['Set-Cookie', 'a=b; Domain=127.0.0.1\r\nInjected: x']],
    ['a Location that splits', ['Location', 'http://127.0.0.1:9/\r\nInjected: x']],
  ])('H13: %s is 502', async (_name, fields) => {
    await expect502(stream => {
      stream.sendHead(response({ fields }))
      stream.end()
    })
  })

  test.each(['a\r\nInjected: x', 'a\nInjected: x', 'injected\0', 'injected\x7f'])('H13: the reason %j is 502', async reason => {
    await expect502(stream => {
      stream.sendHead(response({ reason }))
      stream.end()
    })
  })

  test.each(['a\r\nInjected: x', 'a\nb'])('H13: an interim head with the value %j is 502', async value => {
    await expect502(stream => {
      stream.sendHead(response({ status: 103, body: NO_BODY, fields: ['Link', value] }), { info: true })
      stream.sendHead(response(), { end: true })
    })
  })

  test.each([0, 1, 99, 100, 101, 103, 199, 600, 999, 65_535])('F18: the status %d in a final head is 502', async status => {
    await expect502(stream => {
      stream.sendHead(response({ status }))
      stream.end()
    })
  })

  test.each([0, 99, 101, 200, 404, 600])('F18: the status %d in an interim head is 502', async status => {
    await expect502(stream => stream.sendHead(response({ status, body: NO_BODY }), { info: true }))
  })

  test('H13: framing fields of an inner layer never reach the client', async () => {
    const answer = await answerOf(stream => {
      stream.sendHead(
        response({ fields: ['Content-Length', '1', 'Transfer-Encoding', 'chunked', 'Connection', 'keep-alive', 'content-length', '7'] }),
      )
      stream.write(Buffer.from('hello'))
      stream.end()
    })
    expect(answer.text.match(/content-length/gi)).toBeNull()
    expect(answer.text.match(/transfer-encoding: chunked/gi)).toHaveLength(1)
    expect(answer.text).toMatch(/\r\nConnection: close\r\n/)
  })

  test.each<readonly [string, Script]>([
    ['DATA before a head', stream => stream.write(Buffer.from('injected'))],
    ['an end without a head', stream => stream.end()],
    ['trailers without a head', stream => stream.end(encodeFields(['X-T', '1']))],
    ['a head that is no head', stream => stream.sendHead(Buffer.from('injected'))],
    ['an empty head', stream => stream.sendHead(Buffer.alloc(0))],
    ['a head with bytes behind it', stream => stream.sendHead(Buffer.concat([response(), Buffer.from('injected')]))],
    ['a reset', stream => stream.reset('ORIGIN_CLOSED', 'injected')],
    ['a reset with a client code', stream => stream.reset('PROTOCOL', 'injected')],
  ])('H13: %s is 502', async (_name, evil) => expect502(evil))

  test('H13: a second head cuts the answer', async () => {
    const answer = await answerOf(stream => {
      stream.sendHead(response())
      stream.sendHead(response({ fields: ['Injected', 'x'] }))
      stream.end()
    })
    expect(answer.text).not.toMatch(/injected/i)
    expect(answer.text).not.toMatch(/0\r\n\r\n$/)
  })

  test('H13: an interim head behind the final one cuts the answer', async () => {
    const answer = await answerOf(stream => {
      stream.sendHead(response())
      stream.sendHead(response({ status: 103, body: NO_BODY, fields: ['Injected', 'x'] }), { info: true })
      stream.end()
    })
    expect(answer.text).not.toMatch(/injected/i)
    expect(answer.text).not.toMatch(/0\r\n\r\n$/)
  })

  test('F4: more bytes than announced never become another answer', async () => {
    const connection = await RawConnection.open(layers.port)
    script = stream => {
      stream.sendHead(response({ body: { kind: 'length', length: 5 } }))
      stream.write(Buffer.from('helloHTTP/1.1 200 OK\r\nInjected: x\r\n\r\n'))
      stream.end()
    }
    connection.write(get('/first') + get('/second'))
    await connection.closed
    expect(connection.text).not.toMatch(/injected/i)
    expect(connection.text.match(/HTTP\/1\.1/g)?.length ?? 0).toBeLessThanOrEqual(1)
  })

  test('F4: fewer bytes than announced are a cut', async () => {
    const answer = await answerOf(stream => {
      stream.sendHead(response({ body: { kind: 'length', length: 10 } }))
      stream.write(Buffer.from('hello'))
      stream.end()
    })
    expect(answer.text).toMatch(/\r\nContent-Length: 10\r\n[^]*\r\n\r\nhello$/)
  })

  test('F5: DATA for HEAD is swallowed, and the next answer on the connection is clean', async () => {
    const connection = await RawConnection.open(layers.port)
    script = stream => {
      stream.sendHead(response({ body: { kind: 'length', length: 5 } }))
      stream.write(Buffer.from('hello'))
      stream.end()
    }
    connection.write(head('HEAD / HTTP/1.1', 'Host: a.test') + get('/next'))
    const first = await connection.readResponse('HEAD')
    expect(first.status).toBe(200)
    expect((await connection.readResponse()).body.toString()).toBe('hello')
  })

  test('F6: DATA for 204 is swallowed, and the next answer on the connection is clean', async () => {
    const connection = await RawConnection.open(layers.port)
    script = (stream, { path }) => {
      stream.sendHead(response(path === '/' ? { status: 204 } : { body: { kind: 'length', length: 2 } }))
      stream.write(Buffer.from('ab'))
      stream.end()
    }
    connection.write(get('/') + get('/next'))
    expect((await connection.readResponse()).status).toBe(204)
    expect((await connection.readResponse()).body.toString()).toBe('ab')
  })

  test('H4: trailers that split are a cut, and no fault of ours', async () => {
    for (const fields of [
      ['X-T', 'a\r\nInjected: x'],
      ['X-T\r\nInjected', 'x'],
      ['', 'x'],
    ]) {
      const answer = await answerOf(stream => {
        stream.sendHead(response())
        stream.write(Buffer.from('hello'))
        stream.end(encodeFields(fields))
      })
      expect(answer.text).not.toMatch(/injected/i)
      expect(answer.text).not.toMatch(/0\r\n\r\n$/)
    }
  })

  test('F8: interim heads without end are 502', async () => {
    const answer = await answerOf(stream => {
      for (let i = 0; i < 1_000; i++) stream.sendHead(response({ status: 103, body: NO_BODY }), { info: true })
    })
    expect(answer.text.match(/HTTP\/1\.1 103/g)!.length).toBeLessThanOrEqual(8)
    expect(answer.text).toMatch(/HTTP\/1\.1 502 /)
  })

  test('W13: an inner layer cannot answer a stream that was given to another one', async () => {
    const own = await startLayers({
      inners: 0,
      targets: 'targets:\n  "*": {protocol: http, hostname: 127.0.0.1, port: 9, identifier: [slow, evil]}\n',
    })
    const slow = await connectEvilInner(own, () => undefined, 'slow')
    const connection = await RawConnection.open(own.port)
    connection.write(lastGet('/'))
    const evil = await connectEvilInner(own, () => undefined, 'evil')
    // The ids of streams belong to their session: this one was never opened to the evil one, which loses its session for it.
    const { encodeFrame, FrameType } = await import('../../src/wire/frame.ts')
    const { link } = evil as unknown as { link: { send(message: Uint8Array): void } }
    link.send(encodeFrame(FrameType.RESPONSE, 0, 1, response({ fields: ['Injected', 'x'] })))
    await own.connected(1)
    expect(connection.text).toBe('')
    slow.destroy('GOING_AWAY', 'enough')
    expect(await connection.read(/HTTP\/1\.1 502 /)).not.toMatch(/injected/i)
  })

  test('W15: a frame that makes no sense ends its session, never the process', async () => {
    const own = await startLayers({ inners: 0 })
    for (const message of [Buffer.from('null'), Buffer.alloc(0), Buffer.alloc(9, 0xff), Buffer.alloc(100_000, 7)]) {
      const evil = await connectEvilInner(own, () => undefined)
      const { link } = evil as unknown as { link: { send(message: Uint8Array): void; destroy(): void } }
      link.send(message)
      if (message.length === 0) link.destroy()
      await own.connected(0)
    }
    expect((await rawRequest(own.port, lastGet('/'))).text).toMatch(/^HTTP\/1\.1 502 /)
  })
})
