/** The visitors of a socket, as NDJSON, from the API to the client. */
import { once as onceOf, EventEmitter } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import type { LogFeed, LogLine } from '../../src/api/api-options.ts'
import { parseServerUrl } from '../../src/client/server-url.ts'
import { ServiceClient } from '../../src/client/service-client.ts'
import { type GatewayError } from '../../src/errors.ts'
import { ServiceError } from '../../src/service/input/service-error.ts'
import { startApi, type RunningApi } from '../support/api.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { once, until } from '../support/wait.ts'

/** A feed whose lines a test gives. */
class Feed implements LogFeed {
  readonly events = new EventEmitter()
  watched = 0
  ended = 0
  given = 0
  refuses: GatewayError | undefined

  async watch(_actor: unknown, _socketId: string, signal: AbortSignal): Promise<AsyncIterable<LogLine>> {
    if (this.refuses !== undefined) throw this.refuses
    this.watched++
    return this.#lines(signal)
  }

  async *#lines(signal: AbortSignal): AsyncGenerator<LogLine> {
    try {
      for (;;) {
        const [line] = (await onceOf(this.events, 'line', { signal })) as [LogLine | undefined]
        if (line === undefined) return
        this.given++
        yield line
      }
    } finally {
      this.ended++
    }
  }
}

const start = async (keepAliveMs = 20): Promise<{ api: RunningApi; feed: Feed; client: ServiceClient; id: string }> => {
  const feed = new Feed()
  const api = await startApi({ logs: feed, keepAliveMs })
  const client = new ServiceClient({ server: parseServerUrl(api.url), env: {}, token: () => api.tokens.ada })
  return { api, feed, client, id: (await client.createSocket({ name: 'demo' })).id }
}

describe('the log of a socket', () => {
  test('comes line by line, and ends with the feed', async () => {
    const { feed, client, id } = await start()
    const lines = client.log(id)
    const first = lines.next()
    await until(() => feed.events.listenerCount('line') > 0)
    feed.events.emit('line', { text: 'GET / "ü"', status: 200, at: 1_795_836_000_000.25 })
    expect(await first).toEqual({ done: false, value: { text: 'GET / "ü"', status: 200, at: '2026-11-28T03:20:00.000Z' } })
    const last = lines.next()
    await until(() => feed.events.listenerCount('line') > 0)
    feed.events.emit('line')
    expect(await last).toEqual({ done: true, value: undefined })
    expect(feed.ended).toBe(1)
  })

  test('ends when the session of its reader has', async () => {
    const { api, feed, client, id } = await start()
    const reading = client.log(id).next()
    await until(() => feed.watched === 1)
    const { status } = await fetch(`${api.url}/api/v1/sessions`, {
      method: 'DELETE',
      headers: { Authorization: `Bearer ${api.tokens.ada}` },
    })
    expect(status).toBe(204)
    expect((await reading).done).toBe(true)
    await until(() => feed.ended === 1)
  })

  test('ends at the feed when the reader stops, and when its signal says so', async () => {
    const { feed, client, id } = await start()
    const stop = new AbortController()
    const reading = client.log(id, stop.signal).next()
    await until(() => feed.watched === 1)
    stop.abort()
    expect((await reading).done).toBe(true)
    await until(() => feed.ended === 1)

    const lines = client.log(id)
    const first = lines.next()
    await until(() => feed.events.listenerCount('line') > 0)
    feed.events.emit('line', { text: 'x' })
    await first
    await lines.return()
    await until(() => feed.ended === 2)
  })

  test('has an empty line now and then while nothing happens, which the client does not show', async () => {
    const { api, feed, id } = await start(1)
    const answer = await fetch(`${api.url}/api/v1/sockets/${id}/log`, { headers: { Authorization: `Bearer ${api.tokens.ada}` } })
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8')
    let text = ''
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      if (text.endsWith('\n\n')) feed.events.emit('line', { text: 'x' })
      if (text.includes('x')) break
    }
    expect(text).toMatch(/^\n+\{"text":"x"\}\n/)
  })

  test('of no socket, of somebody else, or for one watcher too many is refused as any call', async () => {
    const { api, feed, client, id } = await start()
    expect((await api.v1('GET', `/sockets/${id}/log`, { token: 'bob' })).status).toBe(404)
    const head = await api.v1('HEAD', `/sockets/${id}/log`)
    expect([head.status, head.headers.get('allow')]).toEqual([405, 'GET, OPTIONS'])
    expect(feed.watched).toBe(0)
    feed.refuses = new ServiceError('LIMIT_REACHED', 'Three watch it already.')
    await expect(client.log(id).next()).rejects.toMatchObject({ code: 'LIMIT_REACHED', status: 403, message: 'Three watch it already.' })
    const without = await startApi()
    const { id: other } = (await without.v1('POST', '/sockets', { body: { name: 'x' } })).json as { id: string }
    expect((await without.v1('GET', `/sockets/${other}/log`)).status).toBe(404)
  })

  test('a reader that stands still holds back the feed and not memory', async () => {
    const { api, feed, id } = await start(60_000)
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    onCleanUp(() => socket.destroy())
    socket.write(`GET /api/v1/sockets/${id}/log HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${api.tokens.ada}\r\n\r\n`)
    await once(socket, 'data')
    socket.pause()
    await until(() => feed.events.listenerCount('line') > 0)
    const text = 'x'.repeat(64 * 1024)
    // A line is taken only when the one before has left: then nobody listens any more.
    let isStuck = false
    for (let i = 0; i < 2_000 && !isStuck; i++) {
      const given = feed.given
      feed.events.emit('line', { text })
      await new Promise(resolve => setImmediate(resolve))
      isStuck = feed.given === given && feed.events.listenerCount('line') === 0
    }
    expect(isStuck).toBe(true)
    expect(feed.given).toBeGreaterThan(1)
    socket.destroy()
    await until(() => feed.ended === 1)
  })

  test('a connection that is lost is SERVICE_UNREACHABLE for whoever reads', async () => {
    const server = createServer((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
      res.write('{"text":"one"}\nno JSON\n7\n{"no":"text"}\n', () => setImmediate(() => res.destroy()))
    })
    const client = new ServiceClient({ server: parseServerUrl(`http://127.0.0.1:${await listen(server)}`), env: {} })
    const seen: string[] = []
    const reading = (async () => {
      for await (const { text } of client.log('x')) seen.push(text)
    })()
    await expect(reading).rejects.toMatchObject({
      code: 'SERVICE_UNREACHABLE',
      message: expect.stringContaining('the connection was lost'),
    })
    expect(seen).toEqual(['one'])
  })
})
