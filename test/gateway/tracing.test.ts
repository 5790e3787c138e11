/** Traces: what passes, what is continued when an SDK of OpenTelemetry is there, and Server-Timing. */
import { propagation, trace } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createTracing } from '../../src/telemetry/tracing.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { freePort } from '../support/ports.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from '../support/raw-origin.ts'
import { until } from '../support/wait.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const headers = { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'rojo=00f067aa0ba902b7' }

describe('without an SDK', () => {
  test('nobody traces, and the fields of a trace pass as they are', async () => {
    expect(createTracing('outer', '1')).toBeUndefined()
    const origin = await startRawOrigin()
    const { port } = await startLayers({ origin: origin.port })
    await exchange(port, { headers })
    expect([origin.last.values('traceparent'), origin.last.values('tracestate')]).toEqual([[headers.traceparent], [headers.tracestate]])
    await exchange(port)
    expect(origin.last.values('traceparent')).toEqual([])
  })
})

describe('with an SDK', () => {
  const exporter = new InMemorySpanExporter()
  let origin: RawOrigin
  let layers: Layers
  beforeAll(async () => {
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
    propagation.setGlobalPropagator(new W3CTraceContextPropagator())
    origin = await startRawOrigin()
    const targets = `targets:
  a.test: {protocol: http, hostname: 127.0.0.1, port: ${origin.port}}
  b.test: {protocol: http, hostname: 127.0.0.1, port: ${await freePort()}}
`
    layers = await startLayers({ targets })
  })
  afterAll(() => {
    trace.disable()
    propagation.disable()
  })

  /** The spans of one request, the outer layer's first. */
  const spansOf = async (count: number): Promise<ReadableSpan[]> => {
    await until(() => exporter.getFinishedSpans().length === count)
    const spans = [...exporter.getFinishedSpans()].sort((a, b) => a.kind - b.kind)
    exporter.reset()
    return spans
  }

  test('a trace is continued: a span for each layer, and the origin sees the inner one', async () => {
    await exchange(layers.port, { host: 'a.test', path: '/x?token=secret', headers })
    const [outer, inner] = await spansOf(2)
    expect(outer).toMatchObject({ name: 'GET', parentSpanContext: { traceId: TRACE, spanId: PARENT } })
    expect(outer!.attributes).toMatchObject({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'http.route': 'a.test',
      'url.path': '/x',
      'client.address': '127.0.0.1',
      'socket_gateway.inner_layer': 'inner-layer',
    })
    expect(inner!.parentSpanContext?.spanId).toBe(outer!.spanContext().spanId)
    expect(inner!.attributes).toMatchObject({
      'server.address': '127.0.0.1',
      'server.port': origin.port,
      'url.path': '/x',
      'http.response.status_code': 200,
    })
    expect(origin.last.values('traceparent')).toEqual([`00-${TRACE}-${inner!.spanContext().spanId}-01`])
    expect(origin.last.values('tracestate')).toEqual([headers.tracestate])
    expect(JSON.stringify([outer!.attributes, inner!.attributes])).not.toContain('secret')
  })

  test('a request without a trace begins one', async () => {
    await exchange(layers.port, { host: 'a.test', method: 'POST', body: 'x' })
    const [outer, inner] = await spansOf(2)
    expect(outer!.parentSpanContext).toBeUndefined()
    expect(origin.last.values('traceparent')).toEqual([`00-${outer!.spanContext().traceId}-${inner!.spanContext().spanId}-01`])
  })

  test('an error has its code in both spans', async () => {
    await exchange(layers.port, { host: 'b.test' })
    const [outer, inner] = await spansOf(2)
    expect([outer!.attributes['error.type'], inner!.attributes['error.type']]).toEqual(['ORIGIN_REFUSED', 'ORIGIN_REFUSED'])
    expect([outer!.status.code, inner!.status.code]).toEqual([2, 2])
  })

  test('a request that is refused at the edge has a span, whatever its method is called', async () => {
    await exchange(layers.port, { host: 'nobody.test', method: 'PROPFIND' })
    const [outer] = await spansOf(1)
    expect(outer).toMatchObject({ name: 'HTTP', attributes: { 'http.request.method': '_OTHER', 'error.type': 'UNKNOWN_HOST' } })
  })

  test('a field of a trace that is none is replaced, and breaks nothing', async () => {
    const { status } = await exchange(layers.port, { host: 'a.test', headers: { traceparent: 'nonsense', tracestate: '=,=' } })
    expect(status).toBe(200)
    const [outer] = await spansOf(2)
    expect(origin.last.values('traceparent')).toEqual([expect.stringContaining(outer!.spanContext().traceId)])
  })
})

describe('Server-Timing', () => {
  const timesOf = (fields: readonly string[]): string[] => fields.join(', ').split(', ')

  test('is added on request, by both layers, beside that of the origin', async () => {
    const origin = await startRawOrigin((_request, socket) => void socket.write(rawResponse(200, 'ok', ['Server-Timing: db;dur=3'])))
    const { port } = await startLayers({ origin: origin.port, outer: { serverTiming: true } })
    for (let i = 0; i < 2; i++) {
      const { headers: answer } = await exchange(port)
      expect(timesOf([answer['server-timing'] as string])).toEqual([
        'db;dur=3',
        expect.stringMatching(/^connect;dur=\d+\.\d$/),
        expect.stringMatching(/^origin;dur=\d+\.\d$/),
        expect.stringMatching(/^edge;dur=\d+\.\d$/),
        expect.stringMatching(/^link;dur=\d+\.\d$/),
        expect.stringMatching(/^first-byte;dur=\d+\.\d$/),
      ])
    }
    // A connection of its own, by the other driver.
    const own = await exchange(port, { method: 'POST', body: 'x', headers: { te: 'trailers' } })
    expect(own.headers['server-timing']).toMatch(/connect;dur=.*first-byte;dur=/)
  })

  test('is not there otherwise', async () => {
    const origin = await startRawOrigin()
    const { port } = await startLayers({ origin: origin.port })
    expect((await exchange(port)).headers).not.toHaveProperty('server-timing')
  })
})
