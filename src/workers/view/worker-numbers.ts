import { keepCounts, type MetricValues } from '../../admin/exposition.ts'
import { sumOfReadings, type Pulse } from '../../admin/pulse.ts'
import { attempt } from '../../net/guard.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Worker } from '../worker-pool.ts'
import { askWorker } from './ask-worker.ts'

/** Time between two questions to workers how they are, milliseconds. */
const PULSE_MS = 500

type Reading = Pulse['reading']

/** The numbers of all workers, also of those that have ended: what was counted stays, so that no counter ever falls. */
export class WorkerNumbers {
  readonly #pulses = new Map<Worker, Pulse>()
  /** As they were told last. */
  readonly #metrics = new Map<Worker, readonly MetricValues[]>()
  #endedMetrics: readonly MetricValues[] = []
  #endedReading: Reading | undefined
  #timer: NodeJS.Timeout | undefined
  #isAsking = false
  #work: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly workers: () => readonly Worker[],
    private readonly log: Log,
  ) {}

  start(): void {
    this.#timer = setInterval(() => void this.#look(), PULSE_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** The last state that a worker has told of; undefined: none yet. */
  pulseOf(worker: Worker): Pulse | undefined {
    return this.#pulses.get(worker)
  }

  /** The sum of all. */
  get reading(): Reading {
    return sumOfReadings(
      [...this.#pulses.values()].map(({ reading }) => reading),
      this.#endedReading === undefined ? [] : [this.#endedReading],
    )
  }

  /** The metrics of all that answer, and what those had counted that have ended. */
  async metrics(): Promise<readonly (readonly MetricValues[])[]> {
    await Promise.all(this.workers().map(worker => this.#readMetrics(worker)))
    await this.#work
    return [...this.#metrics.values(), this.#endedMetrics]
  }

  /** A worker has ended. What it has counted since it was asked last is lost. */
  ended(worker: Worker): void {
    const [pulse, metrics] = [this.#pulses.get(worker), this.#metrics.get(worker)]
    this.#pulses.delete(worker)
    this.#metrics.delete(worker)
    if (pulse !== undefined)
      this.#endedReading = { ...sumOfReadings([pulse.reading], this.#endedReading === undefined ? [] : [this.#endedReading]), gauges: {} }
    if (metrics !== undefined)
      this.#work = this.#work.then(async () => (this.#endedMetrics = await keepCounts([this.#endedMetrics, metrics]))).catch(this.#onFault)
  }

  async #look(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    await Promise.all(
      this.workers()
        .filter(({ isUp }) => isUp)
        .map(async worker => {
          await this.#read(worker, 'api/worker/pulse', answer => this.#pulses.set(worker, answer as Pulse))
          // Soon there is nobody left to ask.
          if (worker.isLeaving) await this.#readMetrics(worker)
        }),
    )
    this.#isAsking = false
  }

  #readMetrics(worker: Worker): Promise<void> {
    return this.#read(worker, 'api/worker/metrics', answer => this.#metrics.set(worker, answer as readonly MetricValues[]))
  }

  async #read(worker: Worker, path: string, take: (answer: unknown) => void): Promise<void> {
    if (!worker.isUp) return
    const answer = await askWorker(worker.adminPath, { path: `/${path}` }).catch(() => undefined)
    // It may have ended meanwhile, and been counted.
    if (answer !== undefined && this.workers().includes(worker)) attempt(this.#onFault, () => take(answer))
  }

  readonly #onFault = (thrown: unknown): void => this.log.error({ err: thrown }, 'internal fault while the numbers of workers were read')
}
