import type { Dialer } from './dial.ts'
import { Http1Call } from './http1-call.ts'
import { Http1Pool } from './http1-pool.ts'
import { Http2Origins } from './http2-origin.ts'
import type { OriginCall, OriginDrivers, OriginEvents, OriginRequest } from './origin-exchange.ts'
import type { OriginPolicy } from './origin-policy.ts'
import { tlsMaterialFor } from './origin-tls.ts'
import { evictIdle } from './evict-idle.ts'

const MAX_POOLS = 256
/** As many as Node reads at a time. */
const READ_BYTES = 65_536
/** A kept connection gets no new request after this time, milliseconds; what is under way on it goes on. */
const MAX_AGE_MS = 60_000

/** Options for making requests to origins. */
export interface OriginsOptions {
  readonly policy: OriginPolicy
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Another way to the origins than sockets of this machine. */
  readonly dialer?: Dialer
  readonly maxAgeMs?: number
}

/** Requests to origins that the allow-list permits, judged by name before the dial and by address when the name is resolved. */
export class Origins implements OriginDrivers {
  readonly #pools = new Map<string, Http1Pool>()
  readonly #http2: Http2Origins
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BYTES)

  constructor(private readonly options: OriginsOptions) {
    const { policy, clock, maxAgeMs = MAX_AGE_MS, dialer } = options
    this.#http2 = new Http2Origins(policy, clock, maxAgeMs, dialer)
  }

  http1(request: OriginRequest, events: OriginEvents): OriginCall {
    const call = new Http1Call(this.#pool(request), request, events)
    call.start()
    return call
  }

  http2(request: OriginRequest, events: OriginEvents): OriginCall {
    return this.#http2.request(request, events)
  }

  /** Ends every connection. */
  close(): void {
    this.#http2.close()
    for (const pool of this.#pools.values()) pool.destroy()
    this.#pools.clear()
  }

  #pool({ head: { protocol, hostname, port, host }, profile }: OriginRequest): Http1Pool {
    const { policy, clock, dialer, maxAgeMs = MAX_AGE_MS } = this.options
    const tls = tlsMaterialFor(protocol === 'https' ? profile?.tls : undefined, host)
    const connectMs = profile?.timeouts?.connectMs
    const key = `${protocol} ${hostname} ${port} ${connectMs ?? ''} ${tls.key}`
    const known = this.#pools.get(key)
    if (known !== undefined) return known // the allow-list said yes when it was made
    policy.check({ hostname, port })
    evictIdle(this.#pools, MAX_POOLS)
    const lookup = policy.lookup(port)
    const address = { protocol, hostname, port, tls, alpn: ['http/1.1'], connectMs, lookup, dialer }
    const pool = new Http1Pool({ ...address, maxAgeMs, readBuffer: this.#readBuffer, clock })
    this.#pools.set(key, pool)
    return pool
  }
}
