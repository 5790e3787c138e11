import { rawRequest, RawConnection } from './raw-client.ts'
import { rawResponse, startRawOrigin } from './raw-origin.ts'
import { startRelay } from './relay.ts'
import { until } from './wait.ts'

describe('the raw origin', () => {
  test('records requests exactly as they came, in pieces of any size', async () => {
    const origin = await startRawOrigin()
    const relay = await startRelay({ target: { host: '127.0.0.1', port: origin.port }, splitAt: 1 })
    const client = await RawConnection.open(relay.port)
    client.write(
      'POST /a?b HTTP/1.1\r\nHOST: x\r\nX-A: 1\r\nx-a:\t2 \r\nTransfer-Encoding: chunked\r\n\r\n3;q=1\r\nabc\r\n0\r\nT: \xe9\r\n\r\n',
    )
    client.write('GET /second HTTP/1.1\r\nHost: y\r\n\r\n')
    expect((await client.readResponse()).body.toString()).toBe('ok')
    expect((await client.readResponse()).status).toBe(200)
    const [first, second] = origin.requests
    expect(first).toMatchObject({ method: 'POST', target: '/a?b', bodyBytes: 3, isComplete: true, trailers: [['T', '\xe9']] })
    expect(first!.body.toString()).toBe('abc')
    expect(first!.lines).toEqual(['HOST: x', 'X-A: 1', 'x-a:\t2 ', 'Transfer-Encoding: chunked'])
    expect(first!.values('x-a')).toEqual(['1', '2'])
    expect(second!.target).toBe('/second')
    expect(origin.connections).toHaveLength(1)
    expect(origin.connections[0]!.text).toContain('3;q=1\r\nabc')
    expect(origin.faults).toEqual([])
  })

  test.each([
    ['two framings', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n'],
    ['a bare LF', 'GET / HTTP/1.1\nHost: x\r\n\r\n'],
    ['a folded line', 'GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n'],
    ['white space before the colon', 'GET / HTTP/1.1\r\nA : b\r\n\r\n'],
    ['no HTTP', 'hello\r\n\r\n'],
  ])('finds fault with %s', async (_what, bytes) => {
    const origin = await startRawOrigin()
    await rawRequest(origin.port, bytes)
    expect(origin.faults).toHaveLength(1)
  })

  test('says when a request was cut off', async () => {
    const origin = await startRawOrigin()
    const client = await RawConnection.open(origin.port)
    client.write('POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc')
    await until(() => origin.requests[0]?.bodyBytes === 3)
    client.reset()
    await until(() => origin.last.isCut)
    expect(origin.connections[0]!.closed).toBe('rst')
    expect(origin.faults).toEqual([])
  })

  test('hands a socket over after an upgrade', async () => {
    const origin = await startRawOrigin((request, socket) => {
      const rest = request.takeOver()
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n')
      socket.write(rest)
      socket.pipe(socket)
    })
    const client = await RawConnection.open(origin.port)
    client.write('GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly')
    expect((await client.readResponse()).status).toBe(101)
    expect(await client.read('early')).toBe('early')
    client.write('late')
    expect(await client.read('late')).toBe('late')
  })
})

describe('the raw client', () => {
  test('tells an orderly end, a reset and an open connection apart', async () => {
    const origin = await startRawOrigin((request, socket) => {
      if (request.target === '/fin') socket.end('HTTP/1.1 200 OK\r\n\r\nbye')
      else if (request.target === '/rst') socket.resetAndDestroy()
      else socket.write(rawResponse(200, 'stay'))
    })
    const ask = (target: string) => `GET ${target} HTTP/1.1\r\n\r\n`
    expect(await rawRequest(origin.port, ask('/fin'))).toMatchObject({ text: 'HTTP/1.1 200 OK\r\n\r\nbye', closed: 'fin' })
    expect(await rawRequest(origin.port, ask('/rst'))).toMatchObject({ text: '', closed: 'rst' })
    expect(await rawRequest(origin.port, ask('/stay'), { until: 'idle' })).toMatchObject({ closed: 'no' })
    expect((await rawRequest(origin.port, ask('/stay'), { until: /stay/ })).closed).toBe('no')
    await expect(rawRequest(origin.port, ask('/stay'), { deadlineMs: 50 })).rejects.toThrow(/waited 50 ms for the peer to close; got "HTTP/)
  })

  test('reads responses with 1xx before and trailers after, and refuses a cut one', async () => {
    const origin = await startRawOrigin((request, socket) => {
      if (request.target === '/cut') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
      else
        socket.write(
          'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: 1\r\n\r\n',
        )
    })
    const client = await RawConnection.open(origin.port)
    client.write('GET / HTTP/1.1\r\n\r\n')
    const response = await client.readResponse()
    expect(response).toMatchObject({ status: 200, trailers: [['T', '1']], informational: [{ startLine: 'HTTP/1.1 103 Early Hints' }] })
    expect(response.body.toString()).toBe('hi')
    client.write('GET /cut HTTP/1.1\r\n\r\n')
    await expect(client.readResponse()).rejects.toThrow(/ended in state length/)
  })
})
