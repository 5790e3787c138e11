/** Requests to origins without any layer around them. */
import type { Duplex } from 'node:stream'
import { AllowList } from '../../src/origin/allow-list.ts'
import { NameLookup, type Resolve } from '../../src/origin/name-lookup.ts'
import { Origins, type OriginsOptions } from '../../src/origin/origin-drivers.ts'
import type { OriginCall, OriginEvents } from '../../src/origin/origin-exchange.ts'
import { originFailure } from '../../src/origin/origin-failure.ts'
import { OriginPolicy } from '../../src/origin/origin-policy.ts'
import type { RequestHead } from '../../src/http/message.ts'
import type { OriginProfile } from '../../src/payload/origin-profile.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { requestHead } from '../support/evil.ts'
import { until } from '../support/wait.ts'

/** Everything that a driver has reported of one request. */
export class Told implements OriginEvents {
  readonly seen: string[] = []
  readonly interims: number[] = []
  readonly chunks: Buffer[] = []
  status = 0
  reason = ''
  fields: readonly string[] = []
  trailers: readonly string[] | undefined
  failure: { readonly code: string; readonly message: string } | undefined
  socket: Duplex | undefined
  /** False: asks to pause after each piece. */
  wants = true
  /** Name of the event that throws. */
  throwsAt = ''
  call: OriginCall | undefined

  #see(event: string): void {
    this.seen.push(event)
    if (event === this.throwsAt) throw new TypeError(`a fault in ${event}`)
  }

  connected(): void {
    this.#see('connected')
  }

  interim(status: number): void {
    this.interims.push(status)
    this.#see('interim')
  }

  head(status: number, reason: string, fields: readonly string[]): void {
    this.status = status
    this.reason = reason
    this.fields = fields
    this.#see('head')
  }

  switched(_reason: string, _fields: readonly string[], socket: Duplex): void {
    this.socket = socket
    this.#see('switched')
  }

  data(chunk: Buffer, isBorrowed = false): boolean {
    this.chunks.push(isBorrowed ? Buffer.from(chunk) : chunk)
    this.#see('data')
    return this.wants
  }

  end(trailers: readonly string[]): void {
    this.trailers = trailers
    this.#see('end')
  }

  failed(thrown: unknown): void {
    this.failure = originFailure(thrown)
    this.#see('failed')
  }

  get bytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0)
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  /** Resolves once it has ended in one way or the other. */
  async over(): Promise<this> {
    await until(() => this.trailers !== undefined || this.failure !== undefined || this.socket !== undefined, {
      what: 'the end of a request',
    })
    return this
  }
}

/** What makes the requests of a test. */
export interface Asked {
  readonly origins: Origins
  ask(
    head: Partial<RequestHead>,
    options?: {
      readonly profile?: OriginProfile
      readonly body?: Buffer | null
      readonly told?: Told
      readonly driver?: 'http1' | 'http2'
    },
  ): Told
}

/** Drivers that may reach every host, with a clock that a test may set. */
export function startOrigins(options: Partial<OriginsOptions> & { readonly resolve?: Resolve } = {}): Asked {
  const clock = options.clock ?? ((): number => performance.now())
  const policy = new OriginPolicy(new AllowList([]), new NameLookup(clock, options.resolve))
  const origins = new Origins({ policy, clock, ...options })
  onCleanUp(() => origins.close())
  return {
    origins,
    ask: (head, { profile, body = null, told = new Told(), driver = 'http1' } = {}) => {
      told.call = origins[driver]({ head: requestHead(head), profile, body }, told)
      return told
    },
  }
}
