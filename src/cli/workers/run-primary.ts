import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AdminOptions } from '../../admin/admin-server.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { Events } from '../../events/events.ts'
import { guarded } from '../../net/guard.ts'
import type { Log } from '../../telemetry/log.ts'
import { VERSION } from '../../version.ts'
import type { EventReport, FromWorker } from '../../workers/messages.ts'
import { PresenceBoard } from '../../workers/presence-board.ts'
import { PrimaryView } from '../../workers/view/primary-view.ts'
import { createForker } from '../../workers/worker-child.ts'
import { WorkerPool, type Worker } from '../../workers/worker-pool.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { createServiceLog } from '../command/serve.ts'
import { inheritedHosts, tellReady, tellStopping } from '../command/service-manager.ts'
import type { Told } from '../events/open-events.ts'
import { readAdminOptions } from '../options/admin.ts'
import type { outerLayerOptions } from '../options/layers.ts'
import { WorkerLines } from './worker-lines.ts'

type OuterValues = ValuesOf<typeof outerLayerOptions>

/** The word by which workers are started, in the place of `outer-layer` or another name of it. */
const WORKER_COMMAND = 'outer-layer-worker'
/** Beyond its drain, a worker gets this before it is killed, milliseconds. */
const PATIENCE_MS = 10_000

/** Options that make one process of their own, or keep something in the memory of one. */
const ALONE = [
  ['service', '--service: its process belongs to one outer layer'],
  ['cluster', '--cluster: each node is one process'],
  ['inspect', '--inspect: requests are kept in the memory of one process'],
  ['invite', '--invite: invitations are kept in the memory of one process'],
] as const satisfies readonly (readonly [keyof OuterValues, string])[]

/** @throws GatewayError USAGE */
function checkOptions(options: OuterValues): void {
  for (const [name, reason] of ALONE) {
    const value = options[name]
    const isGiven = Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false
    if (isGiven) throw new GatewayError('USAGE', `--workers ${options.workers} does not go together with ${reason}; leave one of them out`)
  }
}

/**
 * Runs an outer layer of several processes: starts them and keeps them up, and has what there is once for all of them: ports, log, admin port, events.
 * @returns the exit status of a worker that could not start, which has said why
 * @throws GatewayError USAGE, and for what the primary opens itself
 */
export async function runPrimary(options: OuterValues, context: CliContext): Promise<ExitStatus> {
  const { program, argv, execArgv = [] } = context
  checkOptions(options)
  if (Object.keys(inheritedHosts(context)).length > 0)
    throw new GatewayError('USAGE', '--workers: the primary opens the ports of workers itself; leave out the socket units')
  if (program === undefined) throw new GatewayError('USAGE', '--workers needs the program as a file, to start more processes of it')
  const admin = await readAdminOptions(options)
  const log = await createServiceLog(options, context)
  const events = new Events({ nowMs: Date.now, onFault: thrown => log.error({ err: thrown }, 'internal fault while events were told') })
  let told: Told | undefined
  let directory: string | undefined
  try {
    if (options.events !== undefined) told = await (await import('../events/open-events.ts')).openEvents(options.events, events, log)
    if (options.acme !== undefined) await (await import('../acme/open-acme.ts')).prepareFolder({ ...options, acme: options.acme })
    directory = await makeDirectory()
    const fork = createForker({ file: program, args: workerArguments(argv), execArgv })
    return await new Primary({ options, admin, directory, fork, events, log, context }).run()
  } finally {
    events.close()
    await told?.close()
    if (directory !== undefined) await rm(directory, { recursive: true, force: true }).catch(() => undefined)
    await log.flush()
  }
}

/** The same command line for a worker. */
function workerArguments(argv: readonly string[]): readonly string[] {
  const at = argv.findIndex(word => word === 'outer-layer' || word === 'server')
  return argv.map((word, index) => (index === at ? WORKER_COMMAND : word))
}

/** A folder that nobody else may enter: `mkdtemp` makes it so. @throws GatewayError FILE_UNREADABLE */
const makeDirectory = (): Promise<string> =>
  mkdtemp(join(tmpdir(), 'socket-gateway-')).catch((cause: unknown) => {
    throw new GatewayError(
      'FILE_UNREADABLE',
      `a folder for sockets of the workers: ${messageOf(cause)}; set TMPDIR to one that this account may write to`,
      {
        cause,
      },
    )
  })

interface PrimaryOptions {
  readonly options: OuterValues
  readonly admin: AdminOptions | undefined
  readonly directory: string
  readonly fork: ReturnType<typeof createForker>
  readonly events: Events
  readonly log: Log
  readonly context: CliContext
}

/** The primary process, from its start to its end. */
class Primary {
  readonly #pool: WorkerPool
  readonly #board: PresenceBoard<Worker>
  readonly #lines: WorkerLines<Worker>
  readonly #view: PrimaryView | undefined
  #isStopping = false

  constructor(private readonly parts: PrimaryOptions) {
    const { options, admin, directory, fork, events, log } = parts
    this.#board = new PresenceBoard((to, news) => to.child.send(news))
    this.#lines = new WorkerLines(lines => log.write(lines))
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const clock = (): number => performance.now()
    this.#pool = new WorkerPool({
      count: options.workers,
      fork,
      beginning: {
        directory,
        privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
        secret: randomBytes(32).toString('base64'),
        logFormat: log.format,
      },
      log,
      clock,
      patienceMs: options['drain-delay'] + options['drain-timeout'] + PATIENCE_MS,
      onMessage: (worker, message) => this.#heard(worker, message),
      onOutput: (worker, text) => this.#lines.take(worker, text),
      onGone: worker => this.#gone(worker),
    })
    if (admin === undefined) return
    this.#view = new PrimaryView({
      admin,
      pool: this.#pool,
      count: options.workers,
      events: events.book,
      isStopping: () => this.#isStopping,
      hasTable: options.targets !== undefined || options.target.length > 0,
      log,
      clock,
      nowMs: Date.now,
    })
  }

  async run(): Promise<ExitStatus> {
    const { options, events, log, context } = this.parts
    const stopped = context.untilStopped({ hangup: true })
    const adminPort = (await this.#view?.start()) ?? 0
    try {
      const started = await Promise.race([this.#pool.start(), stopped.then(() => 'stopped' as const)])
      if (typeof started === 'number') return started === 2 ? 2 : 1
      if (started === undefined) {
        events.tell('gateway.started', { subject: 'outer layer', fields: { version: VERSION } })
        context.onUpgrade?.(
          guarded(
            thrown => log.error({ err: thrown }, 'internal fault while workers were restarted'),
            () => void this.#pool.restart().catch(() => undefined), // it has said so in the log
          ),
        )
        const operators = adminPort > 0 ? `, operators on port ${adminPort}, http://127.0.0.1:${adminPort}` : ''
        log.info({ workers: options.workers, ...(adminPort > 0 && { adminPort }) }, `${options.workers} workers are up${operators}`)
        await tellReady(context, log)
        await stopped
        tellStopping(context)
      }
      this.#isStopping = true
      events.mute()
      await this.#pool.stop()
      log.info({}, 'ended')
      return 0
    } finally {
      await this.#view?.close()
    }
  }

  #heard(worker: Worker, message: FromWorker): void {
    switch (message.type) {
      case 'hello':
        return
      case 'ready':
        // Whoever is new has not heard what the others have.
        return this.#pool.tellAll({ type: 'counts-repeat' }, worker)
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

  #gone(worker: Worker): void {
    this.#lines.end(worker)
    this.#board.gone(worker)
    this.#pool.tellAll({ type: 'counts-gone', from: nameOf(worker) })
    this.#view?.ended(worker)
  }
}

/** Of one process: with a number, its successor would be the same. */
const nameOf = ({ number, child }: Worker): string => `${number} ${child.pid}`
