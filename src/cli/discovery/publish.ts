import { readFile } from 'node:fs/promises'
import { unreadableTargets } from '../../config/document/fault.ts'
import { withAllowedHosts } from '../../discovery/allowed-hosts.ts'
import type { Findings, RefusedService } from '../../discovery/found.ts'
import { targetsDocument, type BaseTargets } from '../../discovery/targets-document.ts'
import { watch, type Source } from '../../discovery/watcher.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { changeFile, readIfAny } from '../../files/change-file.ts'
import type { Socket } from '../../client/wire.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Session } from '../../client/session.ts'
import { openSession } from '../client/open.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import { createServiceLog } from '../command/serve.ts'
import type { dockerOptions } from '../options/discovery.ts'

type Values = Omit<ValuesOf<typeof dockerOptions>, 'engine' | 'network' | 'by'>

/** The place where what is found is published. */
interface Sink {
  /** @returns what cannot be published */
  apply(findings: Required<Findings>): Promise<readonly RefusedService[]>
  close(): Promise<void>
}

async function readBase(file: string): Promise<BaseTargets> {
  try {
    return { file, text: await readFile(file, 'utf8') }
  } catch (cause) {
    throw unreadableTargets(file, cause)
  }
}

/** Targets in a file, which is written when it would be another one. The base is read each time: people change it. */
function targetsSink(file: string, { base, identifier, 'allow-issuer': issuers }: Values, log: Log): Sink {
  let published: ReadonlyMap<string, string> = new Map()
  return {
    apply: async ({ found, hosts }) => {
      const document = targetsDocument([...found, ...hosts], {
        file,
        base: base === undefined ? undefined : await readBase(base),
        identifiers: identifier,
        issuers,
      })
      if ((await readIfAny(file)) !== document.text) await changeFile(file, () => ({ text: document.text, result: undefined }))
      for (const [host, service] of document.hosts) if (published.get(host) !== service) log.info({ service, host }, 'published')
      for (const [host, service] of published) if (!document.hosts.has(host)) log.info({ service, host }, 'gone')
      published = document.hosts
      return document.refused
    },
    // What is in the file goes on being served.
    close: async () => undefined,
  }
}

/** Sockets of the service, and the connections that serve them. */
async function serviceSink(session: Session, { values, log, context }: Means, onChanged: Changed | undefined): Promise<Sink> {
  const { Publications } = await import('./publications.ts')
  const publications = new Publications({
    session,
    log,
    context,
    drainTimeoutMs: values['drain-timeout'],
    isInsecureAllowed: values.insecure,
    caFile: values.ca,
    keepMs: values.keep,
    ...(onChanged !== undefined && { onChanged }),
  })
  const stopRenewing = session.keepAlive(error => log.warn({ err: error }, 'connections stay until their keys are over'))
  return {
    apply: async ({ found, hosts }) => {
      publications.apply(found)
      return hosts.map(({ name }) => ({ name, reason: 'sockets of the service have no routes; publish by --targets' }))
    },
    close: async () => {
      stopRenewing()
      await publications.close()
    },
  }
}

interface Means {
  readonly values: Values
  readonly log: Log
  readonly context: CliContext
}

/** Told of each service that has got a public name, or has lost it. */
type Changed = (name: string, socket: Socket | undefined) => void

/** Those who want to know what becomes of what is found. */
export interface PublishHooks {
  readonly changed?: Changed
  /** Once for each reason. */
  readonly refused?: (refused: RefusedService) => void
  /** Each time that what is found has been published, with all that could not be. */
  readonly applied?: (refused: readonly RefusedService[]) => void
}

/** Faults that have been told: each once, and again when it is another one. */
class Told {
  #before = new Map<string, string>()
  #trouble = ''

  refused(all: readonly RefusedService[], say: (refused: RefusedService) => void): void {
    for (const one of all) if (this.#before.get(one.name) !== one.reason) say(one)
    this.#before = new Map(all.map(({ name, reason }) => [name, reason]))
  }

  trouble(message: string, say: () => void): void {
    if (message !== this.#trouble) say()
    this.#trouble = message
  }

  /** @param say  called when there was trouble before */
  well(say: () => void): void {
    if (this.#trouble !== '') say()
    this.#trouble = ''
  }
}

/** Follows a source until `signal` is aborted. */
export type Publish = (source: Source, signal: AbortSignal, hooks?: PublishHooks) => Promise<void>

/**
 * Publishes what is found, until the process is asked to end.
 * @param body  what is to be followed, and when; awaited
 * @throws GatewayError when an option or a file is wrong, or there is no login
 */
export async function publishing(
  values: Values,
  context: CliContext,
  body: (publish: Publish, signal: AbortSignal, log: Log) => Promise<void>,
): Promise<ExitStatus> {
  const { targets, base } = values
  if (base !== undefined && targets === undefined) throw new GatewayError('USAGE', '--base is for --targets, which is missing')
  if (base !== undefined && base === targets)
    throw new GatewayError('USAGE', '--base and --targets are the same file, which would be written over')
  const session = targets === undefined ? await openSession({ ...values, json: false }, context) : undefined
  const log = await createServiceLog(values, context)
  const stop = new AbortController()
  void context.untilStopped({ hangup: true }).then(() => stop.abort())
  const told = new Told()
  const publish: Publish = async (source, signal, { changed, refused, applied } = {}) => {
    const sink =
      session === undefined ? targetsSink(targets ?? '', values, log) : await serviceSink(session, { values, log, context }, changed)
    const findings = async (there: Findings): Promise<void> => {
      const allowed = withAllowedHosts(there, values['allow-host'])
      const all = [...allowed.refused, ...(await sink.apply(allowed))]
      applied?.(all)
      told.refused(all, one => {
        log.warn({ service: one.name, reason: one.reason }, 'cannot be published')
        refused?.(one)
      })
      told.well(() => log.info({ services: allowed.found.length + allowed.hosts.length }, 'looking again'))
    }
    const trouble = (error: unknown): void =>
      told.trouble(messageOf(error), () => log.warn({ err: error }, 'what is published stays; looking again until it works'))
    try {
      await watch(source, { findings, trouble }, signal)
    } finally {
      await sink.close()
    }
  }
  try {
    await body(publish, stop.signal, log)
  } finally {
    log.info({}, 'ended')
    await log.flush()
  }
  return 0
}
