import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GatewayError, messageOf } from '../../errors.ts'
import { Events } from '../../events/events.ts'
import { createForker } from '../../workers/worker-child.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import { createServiceLog } from '../command/serve.ts'
import { handedDown, inheritedHosts } from '../command/service-manager.ts'
import type { Told } from '../events/open-events.ts'
import { readAdminOptions } from '../options/admin.ts'
import { openState } from '../run/outer-state.ts'
import { Primary, type OuterValues } from './primary.ts'
import { openPrimaryInvitations, type PrimaryInvitations } from './primary-invitations.ts'
import type { PrimaryService } from './primary-service.ts'

/** The word by which workers are started, in the place of `outer-layer` or another name of it. */
const WORKER_COMMAND = 'outer-layer-worker'

/** Options that make one process of their own. */
const ALONE = [['cluster', '--cluster: each node is one process']] as const satisfies readonly (readonly [keyof OuterValues, string])[]

/** @throws GatewayError USAGE */
function checkOptions(options: OuterValues): void {
  for (const [name, reason] of ALONE)
    if (options[name] !== undefined)
      throw new GatewayError('USAGE', `--workers ${options.workers} does not go together with ${reason}; leave one of them out`)
}

/**
 * Runs an outer layer of several processes: starts them and keeps them up, and has what there is once for all of them: ports, log, admin port, events,
 * invitations, the service process.
 * @returns the exit status of a worker that could not start, which has said why
 * @throws GatewayError USAGE, and for what the primary opens itself
 */
export async function runPrimary(given: OuterValues, context: CliContext): Promise<ExitStatus> {
  const { program, argv, execArgv = [] } = context
  checkOptions(given)
  if (program === undefined) throw new GatewayError('USAGE', '--workers needs the program as a file, to start more processes of it')
  const inherited = inheritedHosts(context)
  const state = await openState(given)
  const sockets = handedDown(inherited)
  const options = { ...(state?.options ?? given), ...inherited }
  const admin = await readAdminOptions(options)
  if (options.inspect && admin === undefined)
    throw new GatewayError('USAGE', '--inspect: the inspector of an outer layer is at its admin port, and --admin-port none opens none')
  const log = await createServiceLog(options, context)
  const events = new Events({ nowMs: Date.now, onFault: thrown => log.error({ err: thrown }, 'internal fault while events were told') })
  let told: Told | undefined
  let directory: string | undefined
  let service: PrimaryService | undefined
  let invitations: PrimaryInvitations | undefined
  try {
    if (options.events !== undefined) told = await (await import('../events/open-events.ts')).openEvents(options.events, events, log)
    if (options.acme !== undefined) await (await import('../acme/open-acme.ts')).prepareFolder({ ...options, acme: options.acme })
    const store = options['inspect-store']
    if (store !== undefined) await (await import('../inspect/store-folders.ts')).removeOtherFolders(store, options.workers)
    if (options.service !== undefined) service = await createService({ ...options, service: options.service }, events, log, context)
    if (state !== undefined) invitations = await openPrimaryInvitations(state, log, context)
    directory = await makeDirectory()
    const fork = createForker({ file: program, args: workerArguments(argv), execArgv, sockets: sockets.fds })
    return await new Primary({
      options,
      admin,
      inherited: sockets.hosts,
      directory,
      fork,
      service,
      invitations,
      events,
      log,
      context,
    }).run()
  } finally {
    events.close()
    await service?.close()
    await invitations?.close()
    await told?.close()
    if (directory !== undefined) await rm(directory, { recursive: true, force: true }).catch(() => undefined)
    await log.flush()
  }
}

/** Prepares the service; without one, nothing of it is loaded. */
async function createService(
  options: OuterValues & { readonly service: string },
  events: Events,
  ...[log, context]: [log: Awaited<ReturnType<typeof createServiceLog>>, context: CliContext]
): Promise<PrimaryService> {
  const [{ createPrimaryService }, { serviceOptionsOf }] = await Promise.all([
    import('./primary-service.ts'),
    import('../run/outer-service.ts'),
  ])
  const isTls = {
    app: options['tls-certificate'].length > 0 || options.acme !== undefined,
    socket: options['socket-tls-certificate'].length > 0,
  }
  return createPrimaryService(serviceOptionsOf(options, { isTls, events }), log, context)
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
