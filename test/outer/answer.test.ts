/** What node:http is asked to write for an answer. */
import { createServer, type Server } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { Answer } from '../../src/outer/exchange/answer.ts'
import { Http1EdgeRequest } from '../../src/outer/http-edge/http1-edge-request.ts'
import { listen } from '../support/ports.ts'
import { RawConnection } from '../support/raw-client.ts'
import { until } from '../support/wait.ts'

const HEAD = { status: 200, reason: 'OK', fields: ['Content-Length', '4'], hasBody: true, hasLength: true, length: 4 } as const

/** A server that answers each request with `give`; `flushed` counts heads that left alone. */
const startServer = async (give: (answer: Answer) => void): Promise<{ readonly port: number; readonly flushed: () => number }> => {
  let flushed = 0
  const server: Server = createServer((req, res) => {
    const flush = res.flushHeaders.bind(res)
    res.flushHeaders = () => {
      flushed++
      flush()
    }
    const call = new Http1EdgeRequest({ address: '127.0.0.1', isTrusted: false, scheme: 'http', localPort: 0 }, req, res)
    give(new Answer(call, () => performance.now()))
  })
  const port = await listen(server)
  return { port, flushed: () => flushed }
}

const ask = async (port: number): Promise<RawConnection> => {
  const client = await RawConnection.open(port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  return client
}

describe('the head of an answer', () => {
  test('leaves with the first of the body, although that comes in a later message of the same turn', async () => {
    const { port, flushed } = await startServer(answer => {
      answer.begin({ ...HEAD, fields: [...HEAD.fields] })
      queueMicrotask(() =>
        process.nextTick(() => {
          answer.data(Buffer.from('body'))
          answer.end()
        }),
      )
    })
    const client = await ask(port)
    await until(() => client.text.endsWith('\r\n\r\nbody'))
    expect(flushed()).toBe(0)
  })

  test('leaves alone when nothing follows', async () => {
    const { port, flushed } = await startServer(answer => answer.begin({ ...HEAD, fields: [...HEAD.fields] }))
    const client = await ask(port)
    await until(() => client.text.endsWith('\r\n\r\n'))
    expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(flushed()).toBe(1)
  })
})
