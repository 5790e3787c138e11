import { describe, expect, test } from '@jest/globals'
import type { ErrorCode } from '../../src/errors.ts'
import { encodeTcpHead, KIND_TCP } from '../../src/payload/tcp-head.ts'
import { AllowList } from '../../src/origin/allow-list.ts'
import type { InnerConnection } from '../../src/outer/inner-layers/registry.ts'
import type { CarrierStream } from '../../src/outer/inner-layers/carrier.ts'
import type { StreamHandler } from '../../src/mux/stream.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { freePort } from '../support/ports.ts'
import { echo, startTcpOrigin } from '../support/tcp-origin.ts'
import { until } from '../support/wait.ts'

/** A stream as an outer layer opens it, and all that comes back. */
class Opened implements StreamHandler {
  heads = 0
  text = ''
  isEnded = false
  reset: { readonly code: ErrorCode; readonly reason: string } | undefined
  readonly stream: CarrierStream

  constructor(layers: Layers, payload: Buffer) {
    this.stream = (layers.outer.registry.pick({ identifiers: undefined }) as InnerConnection).session.open(payload, this)
  }

  onHead(): void {
    this.heads++
  }

  onData(chunk: Buffer): void {
    this.text += chunk.toString('latin1')
    this.stream.consumed(chunk.length)
  }

  onTrailers(): void {
    throw new Error('trailers')
  }

  onEnd(): void {
    this.isEnded = true
  }

  onReset(code: ErrorCode, reason: string): void {
    this.reset = { code, reason }
  }

  onWritable(): void {}
}

const openTo = (layers: Layers, hostname: string, port: number): Opened => new Opened(layers, encodeTcpHead({ hostname, port }))

describe('a TCP stream at the inner layer', () => {
  test('is joined to the origin, says so once, and each half ends on its own', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startLayers()
    const opened = openTo(layers, '127.0.0.1', origin.port)
    opened.stream.write(Buffer.from('sent before anybody was connected'))
    await until(() => opened.text !== '')
    expect(opened).toMatchObject({ heads: 1, text: 'sent before anybody was connected', isEnded: false })
    opened.stream.end()
    await until(() => opened.isEnded && origin.sockets.length === 0)
    await until(() => layers.inner.streamCount === 0)
    expect(opened).toMatchObject({ heads: 1, reset: undefined })
  })

  test('is joined by name', async () => {
    const origin = await startTcpOrigin(socket => socket.end('by name'))
    const opened = openTo(await startLayers(), 'localhost', origin.port)
    opened.stream.end()
    await until(() => opened.isEnded)
    expect(opened.text).toBe('by name')
  })

  test.each<[ErrorCode, string, string[]]>([
    ['ORIGIN_REFUSED', '127.0.0.1', []],
    ['ORIGIN_DNS', 'no-such-host.invalid', []],
    ['ORIGIN_FORBIDDEN', '127.0.0.1', ['10.0.0.0/8:*']],
    ['ORIGIN_FORBIDDEN', 'localhost', ['10.0.0.0/8:*']],
    ['ORIGIN_FORBIDDEN', '169.254.169.254', []],
  ])('is refused with %s for %s when %j is allowed, and the log of the inner layer says so', async (code, hostname, allowed) => {
    const layers = await startLayers({ inner: { allowList: new AllowList(allowed) } })
    const opened = openTo(layers, hostname, await freePort())
    await until(() => opened.reset)
    expect(opened).toMatchObject({ heads: 0, text: '', reset: { code } })
    expect(layers.innerLogs.filter(({ level }) => level === 'warn')).toContainEqual(expect.objectContaining({ code }))
  })

  test('is reset when the origin is, and resets the origin when it is', async () => {
    const origin = await startTcpOrigin(socket => socket.once('data', () => socket.resetAndDestroy()))
    const layers = await startLayers()
    const first = openTo(layers, '127.0.0.1', origin.port)
    first.stream.write(Buffer.from('die'))
    await until(() => first.reset)
    expect(first.reset?.code).toBe('ORIGIN_CLOSED')

    const second = openTo(layers, '127.0.0.1', origin.port)
    await until(() => second.heads === 1 && origin.sockets.length === 1)
    const errors: string[] = []
    origin.sockets[0]!.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''))
    second.stream.reset('CANCELLED')
    await until(() => origin.sockets.length === 0)
    expect(errors).toEqual(['ECONNRESET'])
  })

  test('given up while the origin is dialled leaves no dial behind', async () => {
    const origin = await startTcpOrigin(echo)
    const layers = await startLayers()
    // Both frames come in one message, so that the dial has just begun.
    openTo(layers, 'localhost', origin.port).stream.reset('CANCELLED')
    openTo(layers, '127.0.0.1', origin.port).stream.reset('CANCELLED')
    const last = openTo(layers, '127.0.0.1', origin.port)
    await until(() => last.heads === 1)
    await until(() => layers.inner.streamCount === 1 && origin.sockets.length === 1)
    await until(() => !process.getActiveResourcesInfo().some(name => name === 'TCPConnectWrap' || name === 'GetAddrInfoReqWrap'))
  })

  test.each([
    ['an unknown kind', Buffer.from([KIND_TCP + 1, 0])],
    ['a head cut short', Buffer.from([KIND_TCP])],
  ])('of %s is refused, and the session goes on', async (_what, payload) => {
    const layers = await startLayers()
    const opened = new Opened(layers, payload)
    await until(() => opened.reset)
    expect(opened.reset?.code).toBe('PROTOCOL')
    expect(layers.inner.connectionCount).toBe(1)
  })
})
