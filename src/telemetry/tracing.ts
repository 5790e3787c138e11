import type * as OpenTelemetry from '@opentelemetry/api'
import type { Context, Span, Tracer } from '@opentelemetry/api'
import { lazily } from '../lazily.ts'

const openTelemetry = lazily<typeof OpenTelemetry>('@opentelemetry/api')
/** Where the API of OpenTelemetry keeps what an SDK has registered, so that all copies of it in a process find the same. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** The facts of a request when its span begins. */
export interface SpanStart {
  readonly method: string
  /** Its fields, names and values by turns: where the trace comes from. */
  readonly fields: readonly string[]
  readonly attributes: Readonly<Record<string, string | number>>
}

/** The facts of its end. */
export interface SpanEnd {
  /** 0: there was no answer. */
  readonly status: number
  /** Code of an error of ours. */
  readonly error: string | undefined
  readonly attributes?: Readonly<Record<string, string | number | undefined>>
}

/** The part of a trace that one request is. */
export interface RequestSpan {
  /** `fields` with this span as the parent of what comes next. */
  inject(fields: readonly string[]): string[]
  end(facts: SpanEnd): void
}

/** Begins a span for each request. */
export interface Tracing {
  start(facts: SpanStart): RequestSpan
}

/** Methods that may be part of the name of a span; any other word was made up by a client. */
const KNOWN = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/**
 * Spans for every request, when a process has an SDK of OpenTelemetry (`node --import ./otel.mjs …`), which decides where they go.
 * @returns undefined when there is none: then `traceparent` and `tracestate` pass like any field, and nothing is done for a request
 */
export function createTracing(layer: 'outer' | 'inner', version: string): Tracing | undefined {
  if (!(REGISTERED in globalThis)) return undefined
  const { ProxyTracerProvider, SpanKind, trace } = openTelemetry()
  const provider = trace.getTracerProvider()
  // A proxy that stands for nothing is what the API gives without an SDK.
  if (provider instanceof ProxyTracerProvider && provider.getDelegateTracer('socket-gateway') === undefined) return undefined
  const tracer = provider.getTracer('socket-gateway', version)
  // Which half of the way: the outer layer serves clients, the inner layer is a client of origins.
  const kind = layer === 'outer' ? SpanKind.SERVER : SpanKind.CLIENT
  return { start: facts => new TracedRequest(tracer, kind, facts) }
}

class TracedRequest implements RequestSpan {
  readonly #span: Span
  readonly #context: Context

  constructor(tracer: Tracer, kind: OpenTelemetry.SpanKind, { method, fields, attributes }: SpanStart) {
    const { context, propagation, ROOT_CONTEXT, trace } = openTelemetry()
    const active = context.active()
    // An instrumentation of node:http, where there is one, has read the fields already.
    const parent = trace.getSpan(active) === undefined ? propagation.extract(ROOT_CONTEXT, fields, GETTER) : active
    const name = KNOWN.has(method) ? method : 'HTTP'
    this.#span = tracer.startSpan(
      name,
      { kind, attributes: { 'http.request.method': KNOWN.has(method) ? method : '_OTHER', ...attributes } },
      parent,
    )
    this.#context = trace.setSpan(parent, this.#span)
  }

  inject(fields: readonly string[]): string[] {
    const { isSpanContextValid, propagation } = openTelemetry()
    if (!isSpanContextValid(this.#span.spanContext())) return [...fields]
    const carrier: Record<string, string> = {}
    propagation.inject(this.#context, carrier)
    const set = new Set(Object.keys(carrier).map(name => name.toLowerCase()))
    const kept: string[] = []
    for (let i = 0; i < fields.length; i += 2) if (!set.has(fields[i]!.toLowerCase())) kept.push(fields[i]!, fields[i + 1]!)
    for (const [name, value] of Object.entries(carrier)) kept.push(name, value)
    return kept
  }

  end({ status, error, attributes = {} }: SpanEnd): void {
    const span = this.#span
    if (status > 0) span.setAttribute('http.response.status_code', status)
    for (const [name, value] of Object.entries(attributes)) if (value !== undefined) span.setAttribute(name, value)
    if (error !== undefined) span.setAttribute('error.type', error)
    if (error !== undefined || status >= 500) span.setStatus({ code: openTelemetry().SpanStatusCode.ERROR })
    span.end()
  }
}

/** Reads fields as they stand in a list, the first of each name. */
const GETTER = {
  keys: (fields: readonly string[]): string[] => fields.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase()),
  get: (fields: readonly string[], key: string): string | undefined => {
    for (let i = 0; i < fields.length; i += 2) if (fields[i]!.toLowerCase() === key) return fields[i + 1]
    return undefined
  },
}
