import type { Duplex } from 'node:stream'
import type { ErrorCode } from '../../errors.ts'
import type { RequestHead } from '../../http/message.ts'
import { guarded } from '../../net/guard.ts'
import { originFailure } from '../../origin/origin-failure.ts'
import type { OriginCall, OriginDrivers, OriginEvents, RawFields } from '../../origin/origin-exchange.ts'
import { requestStart, type OriginWay } from '../../tap/origin-way.ts'
import type { ExchangeTap, Taps } from '../../tap/tap.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import type { Replayer, ReplayRequest, ReplayResult } from './replay.ts'

/** The longest that an answer may take, milliseconds, and the most of it that is waited for. */
const MAX_MS = 120_000
const MAX_BYTES = 67_108_864

/** Sends requests to their origins, within the allow-list: there is no outer layer on the way, and none of its rules. */
export class OriginReplayer implements Replayer {
  constructor(
    private readonly drivers: OriginDrivers,
    private readonly taps: Taps,
    /** Milliseconds, rising. */
    private readonly clock: () => number,
  ) {}

  send(request: ReplayRequest, { start }: ExchangeRecord): Promise<ReplayResult> {
    const way = start.way as OriginWay
    const head = headOf(request, way, start.authority)
    const tap = this.taps.open({ ...requestStart(head, way.profile), replayOf: request.replayOf })
    const { body, signal } = request
    return new Promise(resolve => new OriginReplay(this.drivers, { head, way, body, signal }, tap, this.clock, resolve).start())
  }
}

function headOf({ method, path, fields, body }: ReplayRequest, { protocol, hostname, port }: OriginWay, authority: string): RequestHead {
  const own: string[] = []
  let host = authority
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.toLowerCase() === 'host') host = fields[i + 1]!
    else own.push(fields[i]!, fields[i + 1]!)
  }
  return {
    protocol,
    hostname,
    port,
    method,
    path,
    host,
    body: body === undefined ? { kind: 'none' } : { kind: 'length', length: body.length },
    expectsContinue: false,
    upgrade: '',
    profile: 0,
    fields: own,
  }
}

class OriginReplay implements OriginEvents {
  readonly #startedMs: number
  #call: OriginCall | undefined
  #timer: NodeJS.Timeout | undefined
  #status: number | null = null
  #bytes = 0
  #isOver = false
  readonly #onAbort = guarded(
    thrown => this.failed(thrown),
    () => this.#end('CANCELLED', 'whoever wanted it sent has left'),
  )

  constructor(
    private readonly drivers: OriginDrivers,
    private readonly what: {
      readonly head: RequestHead
      readonly way: OriginWay
      readonly body: Buffer | undefined
      readonly signal: AbortSignal | undefined
    },
    private readonly tap: ExchangeTap | undefined,
    private readonly clock: () => number,
    private readonly done: (result: ReplayResult) => void,
  ) {
    this.#startedMs = clock()
  }

  start(): void {
    const { head, way, body, signal } = this.what
    const fail = (thrown: unknown): void => this.failed(thrown)
    this.#timer = setTimeout(
      guarded(fail, () => this.#end('ORIGIN_TIMEOUT', 'the answer was not over in time')),
      MAX_MS,
    ).unref()
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    guarded(fail, () => {
      if (body !== undefined) this.tap?.sent(body)
      this.tap?.sentEnd([])
      const send = way.profile?.http2 === true ? this.drivers.http2.bind(this.drivers) : this.drivers.http1.bind(this.drivers)
      this.#call = send({ head, profile: way.profile, body: body ?? null }, this)
      if (this.#isOver) this.#call.abort()
    })()
  }

  connected(): void {
    this.tap?.mark('connected')
  }

  interim(status: number, reason: string, fields: RawFields): void {
    this.tap?.interim(status, reason, fields)
  }

  head(status: number, reason: string, fields: RawFields, isWhole = false): void {
    this.#status = status
    this.tap?.head(status, reason, fields)
    if (isWhole) this.end([])
  }

  switched(_reason: string, _fields: RawFields, socket: Duplex): void {
    socket.destroy()
    this.#end('ORIGIN_BAD_RESPONSE', 'the origin has switched protocols')
  }

  data(chunk: Buffer): boolean {
    this.tap?.received(chunk)
    this.#bytes += chunk.length
    if (this.#bytes > MAX_BYTES) this.#end('CANCELLED', 'the answer is larger than is waited for')
    return true
  }

  end(trailers: RawFields): void {
    this.tap?.receivedEnd(trailers)
    this.#end()
  }

  failed(thrown: unknown): void {
    const { code, message } = originFailure(thrown)
    this.#end(code, message)
  }

  #end(error?: ErrorCode, reason?: string): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.what.signal?.removeEventListener('abort', this.#onAbort)
    if (error !== undefined) this.#call?.abort()
    this.tap?.end({ error, reason })
    this.done({ id: this.tap?.id ?? null, status: this.#status, durationMs: this.clock() - this.#startedMs, error: error ?? null })
  }
}
