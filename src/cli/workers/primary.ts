import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { AdminOptions } from '../../admin/admin-server.ts'
import type { Events } from '../../events/events.ts'
import { guarded } from '../../net/guard.ts'
import type { Log } from '../../telemetry/log.ts'
import { VERSION } from '../../version.ts'
import { CallBook, type Answerer } from '../../workers/calls/call-book.ts'
import { Lead } from '../../workers/calls/lead.ts'
import type { WorkersInspector } from '../../workers/inspector/workers-inspector.ts'
import type { EventReport, FromWorker } from '../../workers/messages.ts'
import { PresenceBoard } from '../../workers/presence-board.ts'
import type { ServingWorker } from '../../workers/service/serving-worker.ts'
import { PrimaryView } from '../../workers/view/primary-view.ts'
import type { createForker } from '../../workers/worker-child.ts'
import { WorkerPool, type Worker } from '../../workers/worker-pool.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { tellReady, tellStopping, type InheritedHosts } from '../command/service-manager.ts'
import { keepWatchdog } from '../command/watchdog.ts'
import type { outerLayerOptions } from '../options/layers.ts'
import type { PrimaryInvitations } from './primary-invitations.ts'
import type { PrimaryService } from './primary-service.ts'
import { WorkerLines } from './worker-lines.ts'

/** Values of the options of an outer layer. */
export type OuterValues = ValuesOf<typeof outerLayerOptions>

/** Beyond its drain, a worker gets this before it is killed, milliseconds. */
const PATIENCE_MS = 10_000
/** A key that has joined is in force at a worker within its next looks at the files, or something is wrong with them, milliseconds. */
const IN_FORCE_MS = 12_000

/** A worker that does not answer the watchdog so often in a row hangs. */
const MAX_SILENT = 3

/** The parts of a primary process. */
export interface PrimaryOptions {
  readonly options: OuterValues
  readonly admin: AdminOptions | undefined
  readonly inherited: InheritedHosts
  readonly directory: string
  readonly fork: ReturnType<typeof createForker>
  readonly service: PrimaryService | undefined
  readonly invitations: PrimaryInvitations | undefined
  readonly events: Events
  readonly log: Log
  readonly context: CliContext
}

/** A worker, and the ways to it. */
interface Known extends ServingWorker {
  readonly worker: Worker
  readonly calls: CallBook
}

/** The primary process, from its start to its end. */
export class Primary {
  readonly #pool: WorkerPool
  readonly #board: PresenceBoard<Worker>
  readonly #lines: WorkerLines<Worker>
  readonly #known = new Map<Worker, Known>()
  /** Of those with the first number: one orders certificates at a time. */
  readonly #lead = new Lead<Worker>(worker => worker.child.send({ type: 'lead' }))
  #view: PrimaryView | undefined
  #inspector: WorkersInspector | undefined
  #isStopping = false
  /** Questions of the watchdog that each has not answered, in a row. */
  readonly #silent = new WeakMap<Worker, number>()
  #socketPort = 0
  readonly #onFault: (thrown: unknown) => void

  constructor(private readonly parts: PrimaryOptions) {
    const { options, directory, fork, inherited, service, invitations, log } = parts
    this.#onFault = thrown => log.error({ err: thrown }, 'internal fault with what a worker has said')
    this.#board = new PresenceBoard((to, news) => to.child.send(news))
    this.#lines = new WorkerLines(lines => log.write(lines))
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#pool = new WorkerPool({
      count: options.workers,
      fork,
      beginning: {
        directory,
        privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
        secret: randomBytes(32).toString('base64'),
        logFormat: log.format,
        inherited: inherited as Readonly<Record<string, string>>,
        ...(service !== undefined && { serviceKey: service.publicKey }),
      },
      log,
      clock: () => performance.now(),
      patienceMs: options['drain-delay'] + options['drain-timeout'] + PATIENCE_MS,
      onMessage: (worker, message) => this.#heard(this.#of(worker), message),
      onOutput: (worker, text) => this.#lines.take(worker, text),
      onGone: worker => this.#gone(worker),
    })
    if (invitations !== undefined) invitations.inForce = kid => this.#inForce(kid)
  }

  async run(): Promise<ExitStatus> {
    const { options, events, log, context, service, invitations } = this.parts
    let isUp = false
    const restart = (): void => {
      if (isUp) void this.#pool.restart().catch(() => undefined) // it has said so in the log
    }
    // Where nobody sits before it, the usual signal for "take your files anew" is taken for the program as well.
    const takesHangup = context.onUpgrade?.(guarded(this.#onFault, restart)) ?? false
    const stopped = context.untilStopped({ hangup: !takesHangup })
    const adminPort = await this.#openView()
    // The start and the end have limits of their own.
    const endWatchdog = keepWatchdog(context, log, withinMs => (isUp ? this.#isAnswered(withinMs) : Promise.resolve(true)))
    try {
      await service?.start(stopped)
      const started = await Promise.race([this.#pool.start(), stopped.then(() => 'stopped' as const)])
      if (typeof started === 'number') return started === 2 ? 2 : 1
      if (started === undefined) {
        events.tell('gateway.started', { subject: 'outer layer', fields: { version: VERSION } })
        isUp = true
        const operators = adminPort > 0 ? `, operators on port ${adminPort}, http://127.0.0.1:${adminPort}` : ''
        log.info({ workers: options.workers, ...(adminPort > 0 && { adminPort }) }, `${options.workers} workers are up${operators}`)
        await invitations?.announce(this.#socketPort)
        await tellReady(context, log)
        await stopped
        tellStopping(context)
      }
      isUp = false
      this.#isStopping = true
      events.mute()
      await this.#pool.stop()
      log.info({}, 'ended')
      return 0
    } finally {
      endWatchdog()
      this.#inspector?.close()
      await this.#view?.close()
    }
  }

  /** Opens the admin port. @returns 0 when there is none @throws GatewayError USAGE, LISTEN_FAILED */
  async #openView(): Promise<number> {
    const { options, admin, events, log, service } = this.parts
    if (admin === undefined) return 0
    if (options.inspect) {
      const { WorkersInspector: Inspector } = await import('../../workers/inspector/workers-inspector.ts')
      this.#inspector = new Inspector({ workers: () => this.#pool.workers.filter(({ isUp }) => isUp), onFault: this.#onFault })
    }
    this.#view = new PrimaryView({
      admin,
      pool: this.#pool,
      count: options.workers,
      events: events.book,
      isStopping: () => this.#isStopping,
      hasTable: options.targets !== undefined || options.target.length > 0,
      fault: () => service?.fault(),
      calls: service?.calls ?? [],
      others: this.#inspector === undefined ? [] : [this.#inspector.handle],
      features: [...(this.#inspector === undefined ? [] : ['inspector']), ...(service === undefined ? [] : ['accounts'])],
      log,
      clock: () => performance.now(),
      nowMs: Date.now,
    })
    return this.#view.start()
  }

  /** The facts that are known of a worker; begun with its first message. */
  #of(worker: Worker): Known {
    const known = this.#known.get(worker)
    if (known !== undefined) return known
    const calls = new CallBook({
      send: message => worker.child.send(message),
      answererOf: name => this.#answererOf(fresh, name),
      onFault: this.#onFault,
    })
    const fresh: Known = {
      worker,
      calls,
      name: nameOf(worker),
      ask: (name, value, withinMs) => calls.ask(name, value, withinMs),
      tell: news => worker.child.send({ type: 'service', news }),
    }
    this.#known.set(worker, fresh)
    return fresh
  }

  #answererOf(known: Known, name: string): Answerer | undefined {
    const { service, invitations } = this.parts
    return name === 'join' ? invitations?.join : service?.answererOf(known, name)
  }

  #heard(known: Known, message: FromWorker): void {
    const { worker } = known
    const { service } = this.parts
    switch (message.type) {
      case 'hello':
        return
      case 'ready':
        this.#socketPort = message.ports.socket
        if (message.ports.service > 0) service?.serve(message.ports.service)
        if (worker.number === 1) this.#lead.asks(worker)
        // Whoever is new has not heard what the others have.
        return this.#pool.tellAll({ type: 'counts-repeat' }, worker)
      case 'yielded':
        return this.#lead.over(worker)
      case 'missing':
        return this.#lead.lead?.child.send(message)
      case 'call':
      case 'answer':
      case 'refusal':
        return known.calls.take(message)
      case 'service':
        return service?.took(known, message.report)
      case 'counts':
        return this.#pool.tellAll({ type: 'counts', from: nameOf(worker), change: message.change }, worker)
      case 'news':
        return this.#pool.tellAll(message, worker)
      case 'event':
        return this.#event(worker, message.event)
      case 'facts':
      case 'serve':
      case 'unserve':
      case 'leave':
        service?.served(known, message)
        return this.#board.take(worker, message)
    }
  }

  /** Tells once of what all workers see; what each of them sees for itself is folded as if one had seen it. */
  #event(worker: Worker, event: EventReport): void {
    const { events } = this.parts
    if (event.type === 'turn') return events.turn(event.state, event.isWell, event.note, event.key)
    if (event.type === 'forget') return events.forget(event.state, event.key)
    if (event.name === 'gateway.started' || (event.name.startsWith('certificate.') && worker.number !== 1)) return
    events.tell(event.name, event.note)
  }

  /**
   * Does any worker answer? One that does not, while others do, is ended after some questions, for another one to take its place. Where all have ended,
   * others are being started, which needs nobody to begin anew.
   */
  async #isAnswered(withinMs: number): Promise<boolean> {
    const { log } = this.parts
    const { serving } = this.#pool
    if (serving.length === 0) return true
    const answers = await Promise.all(
      serving.map(worker =>
        this.#of(worker)
          .calls.ask('ping', undefined, withinMs)
          .then(
            () => true,
            () => false,
          ),
      ),
    )
    const isAny = answers.includes(true)
    if (!isAny) log.error({}, 'no worker answers, so the watchdog of the service manager is not told that all is well')
    serving.forEach((worker, index) => {
      const silent = answers[index] === true ? 0 : (this.#silent.get(worker) ?? 0) + 1
      this.#silent.set(worker, silent)
      if (!isAny || silent < MAX_SILENT) return
      log.error(
        { worker: worker.number, pid: worker.child.pid },
        `worker ${worker.number} has not answered ${silent} times in a row; it is ended`,
      )
      worker.child.kill('SIGKILL')
    })
    return isAny
  }

  /** Resolves when a key is in force at all workers that serve; one that does not say so has said why in its log. */
  async #inForce(kid: string): Promise<void> {
    await Promise.allSettled(this.#pool.serving.map(worker => this.#of(worker).calls.ask('key-in-force', kid, IN_FORCE_MS)))
  }

  #gone(worker: Worker): void {
    const known = this.#known.get(worker)
    this.#lines.end(worker)
    this.#board.gone(worker)
    this.#lead.over(worker)
    if (known !== undefined) {
      known.calls.gone()
      this.parts.service?.gone(known)
    }
    this.#known.delete(worker)
    this.#pool.tellAll({ type: 'counts-gone', from: nameOf(worker) })
    this.#view?.ended(worker)
  }
}

/** Of one process: with a number, its successor would be the same. */
const nameOf = ({ number, child }: Worker): string => `${number} ${child.pid}`
