import { AdminServer, type AdminOptions } from '../../admin/admin-server.ts'
import { numberIn, type AdminCall, type CallFacts, type RequestAnswerer } from '../../admin/calls.ts'
import { mergeExpositions } from '../../admin/exposition.ts'
import type { Readiness } from '../../admin/health.ts'
import { MAX_MINUTES, MinuteLog } from '../../admin/minutes.ts'
import { decodeReading } from '../../admin/pulse.ts'
import type { LayerStatus, OuterStatus, WorkerStatus } from '../../admin/status.ts'
import { asGatewayError, GatewayError } from '../../errors.ts'
import type { EventBook } from '../../events/event-book.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Worker, WorkerPool } from '../worker-pool.ts'
import { askWorker, type WorkerQuestion } from './ask-worker.ts'
import { mergeStatus } from './merge-status.ts'
import { WorkerNumbers } from './worker-numbers.ts'

/** Options of the view. */
export interface PrimaryViewOptions {
  readonly admin: AdminOptions
  readonly pool: WorkerPool
  readonly count: number
  readonly events: EventBook
  readonly isStopping: () => boolean
  /** Is there a table of the operator, which can be explained? */
  readonly hasTable: boolean
  /** The fault that keeps the primary's own part from being whole; undefined: it is. */
  readonly fault: () => string | undefined
  /** Calls about what the primary has itself. */
  readonly calls: readonly AdminCall[]
  /** Further parts of the port, such as an inspector. */
  readonly others: readonly RequestAnswerer[]
  /** Names of these parts, for the console. */
  readonly features: readonly string[]
  readonly log: Log
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

/** The operator's view of an outer layer that is several processes: asks all of them, and answers as one. */
export class PrimaryView {
  readonly #numbers: WorkerNumbers
  readonly #minutes: MinuteLog
  readonly #server: AdminServer
  readonly #startedMs: number
  readonly #since: string

  /** @throws GatewayError USAGE for an address that others can reach without a password */
  constructor(private readonly options: PrimaryViewOptions) {
    const { admin, pool, events, log, clock, nowMs } = options
    this.#startedMs = clock()
    this.#since = new Date(nowMs()).toISOString()
    this.#numbers = new WorkerNumbers(() => pool.workers, log)
    this.#minutes = new MinuteLog(() => decodeReading(this.#numbers.reading), nowMs, log)
    this.#server = new AdminServer(admin, {
      readiness: this.#readiness,
      status: () => this.#status(),
      metrics: {
        read: async () => mergeExpositions(await this.#numbers.metrics()),
        values: async () => (await this.#numbers.metrics()).flat(),
      },
      events,
      calls: [...this.#calls, ...options.calls],
      others: options.others,
      features: [...(options.hasTable ? ['explain'] : []), ...options.features, 'events'],
      clock,
    })
  }

  /** Opens the admin port, and gives it. @throws GatewayError LISTEN_FAILED */
  start(): Promise<number> {
    this.#numbers.start()
    this.#minutes.start()
    return this.#server.start()
  }

  async close(): Promise<void> {
    this.#numbers.stop()
    this.#minutes.stop()
    await this.#server.close()
  }

  /** A worker has ended. */
  ended(worker: Worker): void {
    this.#numbers.ended(worker)
  }

  readonly #readiness = (): Readiness => {
    const { pool, count, isStopping } = this.options
    const { serving } = pool
    const known = serving.map(worker => this.#numbers.pulseOf(worker)?.readiness).filter(readiness => readiness !== undefined)
    const missing = count - new Set(serving.map(({ number }) => number)).size
    // What one of them is ready for, clients find: those that are not yet pass requests on.
    const isAnyReady = known.some(({ reasons }) => reasons.length === 0)
    const reasons = isAnyReady ? [] : [...new Set(known.flatMap(readiness => readiness.reasons))]
    if (isStopping()) reasons.unshift('shutting down')
    else if (known.length === 0) reasons.push('no worker is up')
    const own = this.options.fault()
    const degraded = [...new Set([...known.flatMap(readiness => readiness.degraded), ...(own === undefined ? [] : [own])])]
    if (missing > 0 && !isStopping()) degraded.push(`${missing} of ${count} workers are not up`)
    return { reasons, degraded }
  }

  async #status(): Promise<LayerStatus> {
    const { pool, clock } = this.options
    const answers = await this.#askAll({ path: '/status' }, pool.workers)
    const statuses = answers.map(({ answer }) => answer as OuterStatus)
    if (statuses.length === 0) throw new GatewayError('ADMIN_FAILED', 'no worker answers')
    const slowest = statuses.reduce(
      (worst, { eventLoop }) => (eventLoop.delayP99Ms > worst.delayP99Ms ? eventLoop : worst),
      statuses[0]!.eventLoop,
    )
    const lastStall = statuses
      .map(({ eventLoop }) => eventLoop.lastStall)
      .reduce((last, stall) => ((stall?.at ?? '') > (last?.at ?? '') ? stall : last), null)
    const { reasons, degraded } = this.#readiness()
    return {
      ...mergeStatus(
        statuses,
        pool.workers.map(worker => workerStatus(worker, answers.find(each => each.worker === worker)?.answer as OuterStatus | undefined)),
      ),
      version: statuses[0]!.version,
      since: this.#since,
      uptimeSeconds: Math.floor((clock() - this.#startedMs) / 1_000),
      ready: reasons.length === 0,
      reasons,
      degraded,
      eventLoop: { delayP99Ms: slowest.delayP99Ms, stalls: statuses.reduce((sum, { eventLoop }) => sum + eventLoop.stalls, 0), lastStall },
    }
  }

  get #calls(): readonly AdminCall[] {
    const { pool, count, log } = this.options
    return [
      {
        method: 'GET',
        path: 'minutes',
        answer: ({ query }) => this.#minutes.latest(numberIn(query, 'last', { usual: 60, max: MAX_MINUTES })),
      },
      ...(this.options.hasTable ? [this.#ofAny('explain'), this.#ofAny('protection')] : []),
      this.#ofAll('inner-layers/:identifier/drain'),
      this.#ofAll('inner-layers/:identifier/disconnect'),
      {
        method: 'GET',
        path: 'workers',
        answer: () => ({ count, isRestarting: pool.isRestarting, workers: pool.workers.map(worker => workerStatus(worker, undefined)) }),
      },
      {
        method: 'POST',
        path: 'workers/restart',
        answer: () => {
          if (pool.isRestarting) throw new GatewayError('CONFLICT', 'the workers are being restarted already')
          // What goes wrong is in the log, and in the list of workers.
          pool.restart().catch((thrown: unknown) => log.debug({ err: thrown }, 'the workers were not restarted'))
          return { workers: count }
        },
      },
    ]
  }

  /** A question to which all workers have the same answer. */
  #ofAny(path: string): AdminCall {
    const answer = ({ query }: CallFacts): Promise<unknown> => {
      const [first] = this.options.pool.serving
      if (first === undefined) throw new GatewayError('ADMIN_FAILED', 'no worker is up')
      return this.#ask(first, { path: `/api/${path}?${query.toString()}` })
    }
    return { method: 'GET', path, answer }
  }

  /** Something that whoever it concerns has to do; somebody has to be concerned. */
  #ofAll(path: string): AdminCall {
    const answer = async ({ params, body }: CallFacts): Promise<{ readonly links: number }> => {
      const place = path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params.get(name) ?? ''))
      const { workers } = this.options.pool
      const answers = await Promise.allSettled(
        workers.filter(({ isUp }) => isUp).map(worker => this.#ask(worker, { method: 'POST', path: `/api/${place}`, body })),
      )
      const done = answers.flatMap(each => (each.status === 'fulfilled' ? [each.value as { readonly links: number }] : []))
      const [refused] = answers.flatMap(each => (each.status === 'rejected' ? [asGatewayError(each.reason)] : []))
      if (done.length === 0) throw refused ?? new GatewayError('ADMIN_FAILED', 'no worker is up')
      return { links: done.reduce((sum, { links }) => sum + links, 0) }
    }
    return { method: 'POST', path, answer }
  }

  #ask(worker: Worker, question: WorkerQuestion): Promise<unknown> {
    return askWorker(worker.adminPath, question)
  }

  /** Those that do not answer are left out. */
  async #askAll(
    question: WorkerQuestion,
    workers: readonly Worker[],
  ): Promise<readonly { readonly worker: Worker; readonly answer: unknown }[]> {
    const answers = await Promise.all(
      workers
        .filter(({ isUp }) => isUp)
        .map(worker =>
          this.#ask(worker, question).then(
            answer => [{ worker, answer }],
            () => [],
          ),
        ),
    )
    return answers.flat()
  }
}

const workerStatus = ({ number, child, since, isUp, isLeaving }: Worker, status: OuterStatus | undefined): WorkerStatus => ({
  number,
  pid: child.pid,
  since: since.toISOString(),
  state: isLeaving ? 'leaving' : isUp ? 'up' : 'starting',
  requests: status?.requests.inFlight ?? null,
  innerLayers: status?.innerLayers.filter(({ node }) => node === undefined).length ?? null,
})
