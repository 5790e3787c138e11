import { VERSION } from '../version.ts'
import { EventLoopWatch } from '../telemetry/event-loop.ts'
import type { Log } from '../telemetry/log.ts'
import type { EventBook } from '../events/event-book.ts'
import { checkAdminHost } from './admin-host.ts'
import type { AdminOptions, AdminServer } from './admin-server.ts'
import { numberIn, type AdminCall, type RequestAnswerer } from './calls.ts'
import type { Exposition, MetricSource } from './exposition.ts'
import { encodeReading, type Pulse } from './pulse.ts'
import type { Readiness } from './health.ts'
import { MAX_MINUTES, MinuteLog, type Reading } from './minutes.ts'
import type { LayerStatus, OwnStatus } from './status.ts'

export type { AdminOptions } from './admin-server.ts'

/** The parts of an admin port that differ from layer to layer. */
export interface AdminContext {
  /** Is the layer ready, but for its event loop? */
  readonly readiness: () => Readiness
  readonly status: () => OwnStatus
  readonly metrics: readonly MetricSource[]
  /** The book of events; absent: this layer tells nothing. */
  readonly events?: EventBook
  /** The numbers that are remembered by minute. */
  readonly reading: () => Reading
  /** Calls of this layer; what they change is at stake. */
  readonly calls?: readonly AdminCall[]
  /** Other parts of the port, such as an inspector. */
  readonly others?: readonly RequestAnswerer[]
  /** Their names, for the console. */
  readonly features?: readonly string[]
  readonly log: Log
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

/** The operator's view of one layer: watches the event loop in any case, opens the admin port when it is asked for. */
export class Admin {
  readonly #watch: EventLoopWatch
  #minutes: MinuteLog | undefined
  #server: AdminServer | undefined
  #isClosed = false
  readonly #startedMs: number
  readonly #since: string
  #port = 0

  /** @throws GatewayError USAGE for an address that others can reach without a password */
  constructor(
    private readonly options: AdminOptions | undefined,
    private readonly context: AdminContext,
  ) {
    const { log, clock, nowMs } = context
    this.#startedMs = clock()
    this.#since = new Date(nowMs()).toISOString()
    this.#watch = new EventLoopWatch(log, { clock, nowMs })
    if (options !== undefined) checkAdminHost(options)
  }

  /** Is the process ready? */
  readonly readiness = (): Readiness => {
    const { reasons, degraded } = this.context.readiness()
    return { reasons: [...reasons, ...this.#watch.faults], degraded }
  }

  /** The admin port, 0 when there is none. */
  get port(): number {
    return this.#port
  }

  /** Starts to watch and opens the port. @throws GatewayError LISTEN_FAILED */
  async start(): Promise<void> {
    if (this.options !== undefined) this.#port = await this.#open(this.options)
    if (!this.#isClosed) this.#watch.start()
  }

  /** Closes the port. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#watch.stop()
    this.#minutes?.stop()
    await this.#server?.close()
  }

  /** Loads what the port needs together with it: half of the start of a process that has none. */
  async #open(options: AdminOptions): Promise<number> {
    const { reading, nowMs, log, calls = [], clock, events } = this.context
    const others = [...(this.context.others ?? []), ...(options.others ?? [])]
    const features = [...(this.context.features ?? []), ...(options.features ?? []), ...(events === undefined ? [] : ['events'])]
    const [{ AdminServer }, { createExposition }] = await Promise.all([import('./admin-server.ts'), import('./exposition.ts')])
    if (this.#isClosed) return 0
    const metrics = createExposition([...this.context.metrics, ...this.#ownMetrics()])
    const minutes = new MinuteLog(reading, nowMs, log)
    this.#minutes = minutes
    minutes.start()
    const history: AdminCall = {
      method: 'GET',
      path: 'minutes',
      answer: ({ query }) => minutes.latest(numberIn(query, 'last', { usual: 60, max: MAX_MINUTES })),
    }
    const pages = {
      readiness: this.readiness,
      status: () => this.status(),
      metrics,
      events,
      calls: [history, ...calls, ...(options.calls ?? []), ...(options.path === undefined ? [] : this.#callsOfPrimary(metrics))],
      others,
      features,
      clock,
    }
    this.#server = new AdminServer(options, pages)
    return this.#server.start()
  }

  /** The numbers as they are, for the primary process, which puts those of all its workers together. */
  #callsOfPrimary(metrics: Exposition): readonly AdminCall[] {
    const { reading } = this.context
    return [
      { method: 'GET', path: 'worker/metrics', answer: () => metrics.values() },
      { method: 'GET', path: 'worker/pulse', answer: (): Pulse => ({ readiness: this.readiness(), reading: encodeReading(reading()) }) },
    ]
  }

  /** The state of the layer at the moment. */
  status(): LayerStatus {
    const { clock, status } = this.context
    const { reasons, degraded } = this.readiness()
    const { delayP99Ms, stallCount, lastStall } = this.#watch
    return {
      ...status(),
      version: VERSION,
      since: this.#since,
      uptimeSeconds: Math.floor((clock() - this.#startedMs) / 1000),
      ready: reasons.length === 0,
      reasons,
      degraded,
      eventLoop: {
        delayP99Ms,
        stalls: stallCount,
        lastStall: lastStall === undefined ? null : { ms: lastStall.ms, at: new Date(lastStall.atMs).toISOString() },
      },
    }
  }

  #ownMetrics(): MetricSource[] {
    return [
      {
        name: 'socket_gateway_info',
        help: 'Release of the gateway, always 1.',
        type: 'gauge',
        across: 'max',
        samples: () => [{ labels: { version: VERSION, layer: this.context.status().layer }, value: 1 }],
      },
      {
        name: 'socket_gateway_ready',
        help: 'Whether /readyz says 200.',
        type: 'gauge',
        across: 'min',
        samples: () => [{ value: this.readiness().reasons.length === 0 ? 1 : 0 }],
      },
      {
        name: 'socket_gateway_degraded',
        help: 'Things that are not as they should be, while everything else is served (`degraded` of /readyz).',
        type: 'gauge',
        across: 'max',
        samples: () => [{ value: this.readiness().degraded.length }],
      },
      {
        name: 'socket_gateway_event_loop_delay_seconds',
        help: 'How late 99 of 100 timers of the event loop were at most during the last five seconds.',
        type: 'gauge',
        across: 'max',
        samples: () => [{ value: this.#watch.delayP99Ms / 1000 }],
      },
      {
        name: 'socket_gateway_event_loop_stalls_total',
        help: 'Times in which the event loop stood still for a second or more.',
        type: 'counter',
        samples: () => [{ value: this.#watch.stallCount }],
      },
    ]
  }
}
