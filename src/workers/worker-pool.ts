import { GatewayError } from '../errors.ts'
import { guarded } from '../net/guard.ts'
import type { Log } from '../telemetry/log.ts'
import type { Beginning, FromWorker, ToWorker } from './messages.ts'
import type { WorkerChild } from './worker-child.ts'

/** One worker. */
export interface Worker {
  readonly number: number
  readonly child: WorkerChild
  readonly since: Date
  /** Where it answers about itself. */
  readonly adminPath: string
  /** Its ports are open. */
  isUp: boolean
  /** It was told to end. */
  isLeaving: boolean
}

/** Options of the workers. */
export interface WorkerPoolOptions {
  readonly count: number
  readonly fork: () => WorkerChild
  readonly beginning: Omit<Beginning, 'number' | 'adminPath' | 'tag'>
  readonly log: Log
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** After it was told to end, a worker is killed, milliseconds. */
  readonly patienceMs: number
  /** One whose ports are not open by then is killed, milliseconds; the default suits everything but tests. */
  readonly startMs?: number
  readonly onMessage: (worker: Worker, message: FromWorker) => void
  readonly onOutput: (worker: Worker, text: string) => void
  /** Forgets all that it has said. */
  readonly onGone: (worker: Worker) => void
}

/** One that dies is started again after this time; twice as long each time after, milliseconds. */
const RETRY_MS = 500
const MAX_RETRY_MS = 30_000
/** Many targets on a busy machine take a minute. */
const START_MS = 300_000
/** One that has lived for so long was a good one. */
const GOOD_MS = 10_000

/** A worker that ended before its ports were open, and has said why itself. */
class StartFailure extends GatewayError {
  constructor(
    readonly status: number,
    text: string,
  ) {
    super('INTERNAL', text)
  }
}

/** The worker processes: starts them, starts those that die again, and lets others take their places one by one. */
export class WorkerPool {
  readonly #workers = new Set<Worker>()
  readonly #waiting = new Map<Worker, { readonly up: () => void; readonly failed: (error: StartFailure) => void }>()
  readonly #retries = new Map<number, { timer: NodeJS.Timeout; delayMs: number }>()
  #serial = 0
  #isStopping = false
  #restarting: Promise<void> | undefined
  #onEmpty: () => void = () => undefined

  constructor(private readonly options: WorkerPoolOptions) {}

  /** Those that live, by their numbers. */
  get workers(): readonly Worker[] {
    return [...this.#workers].sort((a, b) => a.number - b.number || a.since.getTime() - b.since.getTime())
  }

  /** Those whose ports are open, and that stay. */
  get serving(): readonly Worker[] {
    return this.workers.filter(({ isUp, isLeaving }) => isUp && !isLeaving)
  }

  get isRestarting(): boolean {
    return this.#restarting !== undefined
  }

  /**
   * Starts the first worker, and the others once it is up: what is wrong with options or files is said once.
   * @returns the exit status of one that could not start; undefined: all are up
   */
  async start(): Promise<number | undefined> {
    try {
      await this.#begin(1)
      await Promise.all(Array.from({ length: this.options.count - 1 }, (_, index) => this.#begin(index + 2)))
      return undefined
    } catch (thrown) {
      if (this.#isStopping) return undefined
      await this.stop()
      if (thrown instanceof StartFailure) return thrown.status
      throw thrown
    }
  }

  /** Puts a new worker into the place of each, one after the other; the old one drains once the new one serves. @throws GatewayError CONFLICT; INTERNAL when a new one does not start: the others stay */
  restart(): Promise<void> {
    if (this.#restarting !== undefined || this.#isStopping)
      return Promise.reject(new GatewayError('CONFLICT', 'the workers are being restarted already, or stop'))
    this.#restarting = this.#restart().finally(() => (this.#restarting = undefined))
    return this.#restarting
  }

  /** Lets all drain, and resolves when they have ended. */
  async stop(): Promise<void> {
    this.#isStopping = true
    for (const { timer } of this.#retries.values()) clearTimeout(timer)
    const empty = new Promise<void>(resolve => (this.#onEmpty = resolve))
    for (const worker of this.#workers) this.#end(worker)
    if (this.#workers.size > 0) await empty
  }

  /** Sends to all that live. @param except  but not to this one */
  tellAll(message: ToWorker, except?: Worker): void {
    for (const worker of this.#workers) if (worker !== except) worker.child.send(message)
  }

  async #restart(): Promise<void> {
    const { log, count } = this.options
    log.info({ workers: count }, 'restarting the workers, one after the other')
    for (let number = 1; number <= count; number++) {
      const old = this.workers.filter(worker => worker.number === number)
      this.#forgetRetry(number)
      await this.#begin(number).catch((thrown: unknown) => {
        const text = thrown instanceof GatewayError ? thrown.message : String(thrown)
        log.error({ worker: number }, `the new worker ${number} has not started, so that the old ones stay: ${text}`)
        throw thrown
      })
      await Promise.all(old.map(worker => this.#endOf(worker)))
      if (this.#isStopping) return
    }
    log.info({ workers: count }, 'the workers are restarted')
  }

  /** Starts one. Resolves when its ports are open. */
  #begin(number: number): Promise<void> {
    const { fork, beginning, onMessage, onOutput, startMs = START_MS } = this.options
    const child = fork()
    const serial = ++this.#serial
    const adminPath = `${beginning.directory}/admin-${serial}.sock`
    const worker: Worker = { number, child, since: new Date(), adminPath, isUp: false, isLeaving: false }
    const startedMs = this.options.clock()
    this.#workers.add(worker)
    const up = new Promise<void>((resolve, reject) => this.#waiting.set(worker, { up: resolve, failed: reject }))
    const timer = setTimeout(() => this.#late(worker), startMs).unref()
    child.onEnd(() => clearTimeout(timer))
    child.onMessage(message => {
      if (message.type === 'hello') {
        child.send({ type: 'begin', beginning: { ...beginning, number, adminPath, tag: tagOf(serial) } })
        this.#tellAlone(worker)
      }
      if (message.type === 'ready') this.#up(worker)
      onMessage(worker, message)
    })
    child.onOutput(text => onOutput(worker, text))
    child.onEnd(how => this.#ended(worker, how, startedMs))
    return up
  }

  /** It hangs: whoever waits for it hears that it has ended. */
  #late(worker: Worker): void {
    if (worker.isUp) return
    const { log, startMs = START_MS } = this.options
    log.error(
      { worker: worker.number, pid: worker.child.pid },
      `worker ${worker.number} has not opened its ports within ${startMs} ms; it is ended`,
    )
    worker.child.kill('SIGKILL')
  }

  #up(worker: Worker): void {
    worker.isUp = true
    this.#waiting.get(worker)?.up()
    this.#waiting.delete(worker)
  }

  #ended(worker: Worker, { status, text }: { readonly status: number | undefined; readonly text: string }, startedMs: number): void {
    const { log, onGone, clock } = this.options
    const { number, isUp, isLeaving, child } = worker
    this.#workers.delete(worker)
    onGone(worker)
    for (const other of this.workers) if (other.number === number) this.#tellAlone(other)
    if (this.#workers.size === 0) this.#onEmpty()
    this.#waiting.get(worker)?.failed(new StartFailure(status ?? 1, `worker ${number} ended before it was ready: ${text}`))
    const wasWaitedFor = this.#waiting.delete(worker)
    if (isLeaving || this.#isStopping || wasWaitedFor) return
    const known = this.#retries.get(number)
    const delayMs = known === undefined || clock() - startedMs >= GOOD_MS ? RETRY_MS : Math.min(MAX_RETRY_MS, 2 * known.delayMs)
    log.error(
      { worker: number, pid: child.pid, how: text, wasUp: isUp },
      `worker ${number} has ended: ${text}; it is started again in ${delayMs} ms`,
    )
    const again = guarded(
      thrown => log.error({ err: thrown }, 'internal fault while a worker was started'),
      () => this.#again(number),
    )
    this.#retries.set(number, { timer: setTimeout(again, delayMs), delayMs })
  }

  #again(number: number): void {
    const { log } = this.options
    // Unless it was restarted meanwhile.
    if (this.#isStopping || this.workers.some(worker => worker.number === number && !worker.isLeaving)) return
    const startedMs = this.options.clock()
    this.#begin(number).then(
      () => log.info({ worker: number }, `worker ${number} serves again`),
      () => {
        if (this.#isStopping) return
        const delayMs = Math.min(MAX_RETRY_MS, 2 * (this.#retries.get(number)?.delayMs ?? RETRY_MS))
        log.error(
          { worker: number, afterMs: Math.round(this.options.clock() - startedMs) },
          `worker ${number} does not start; it is tried again in ${delayMs} ms`,
        )
        this.#retries.set(number, { timer: setTimeout(() => this.#again(number), delayMs), delayMs })
      },
    )
  }

  /** A worker that has its number to itself may take over what only one of them can have, such as a folder. */
  #tellAlone(worker: Worker): void {
    if (!this.workers.some(other => other !== worker && other.number === worker.number)) worker.child.send({ type: 'alone' })
  }

  #forgetRetry(number: number): void {
    clearTimeout(this.#retries.get(number)?.timer)
    this.#retries.delete(number)
  }

  #endOf(worker: Worker): Promise<void> {
    if (!this.#workers.has(worker)) return Promise.resolve()
    return new Promise(resolve => {
      worker.child.onEnd(() => resolve())
      this.#end(worker)
    })
  }

  #end(worker: Worker): void {
    if (worker.isLeaving) return
    worker.isLeaving = true
    worker.child.send({ type: 'stop' })
    const timer = setTimeout(() => worker.child.kill('SIGKILL'), this.options.patienceMs)
    worker.child.onEnd(() => clearTimeout(timer))
  }
}

/** The same again after 1,296 workers. */
const tagOf = (serial: number): string => (serial % 36 ** 2).toString(36).padStart(2, '0')
