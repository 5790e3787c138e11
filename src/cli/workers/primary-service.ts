import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import type { AdminCall } from '../../admin/calls.ts'
import { LiveDirectory } from '../../directory/live-directory.ts'
import { guarded } from '../../net/guard.ts'
import type { AccountCredentials, HolderRequest } from '../../service-host/ipc.ts'
import type { CertificatesRequest } from '../../service-host/kept-certificates.ts'
import { ServiceHost } from '../../service-host/service-host.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Answerer } from '../../workers/calls/call-book.ts'
import type { PresenceReport } from '../../workers/messages.ts'
import { ServedBook } from '../../workers/service/served-book.ts'
import type { ServiceReport } from '../../workers/service/service-news.ts'
import type { ServingWorker } from '../../workers/service/serving-worker.ts'
import { SharedDirectory } from '../../workers/service/shared-directory.ts'
import { SharedRequests } from '../../workers/service/shared-requests.ts'
import type { CliContext } from '../command/context.ts'
import { accountCalls } from '../run/account-calls.ts'
import { readServiceFrame, serviceStarter, type OuterServiceOptions } from '../run/outer-service.ts'

/** Between two looks at whether the service is whole, milliseconds. */
const LOOK_MS = 500

/** The service of an outer layer of several processes: its process, and the directory that all workers follow. */
export interface PrimaryService {
  /** PEM of the public key of its process. */
  readonly publicKey: string
  /** Calls of the admin port about its accounts. */
  readonly calls: readonly AdminCall[]
  /** The fault that keeps it from being whole; undefined: it is. */
  readonly fault: () => string | undefined
  /** Starts the process; resolves when its directory is in force, or as much as there is. */
  start(asked?: Promise<unknown>): Promise<void>
  /** Answers of questions of a worker. */
  answererOf(worker: ServingWorker, name: string): Answerer | undefined
  /** A worker has said this. */
  took(worker: ServingWorker, report: ServiceReport): void
  /** A worker has said this of the inner layers that it has. */
  served(worker: ServingWorker, report: PresenceReport): void
  /** Workers take links of the process on this port of this machine. */
  serve(port: number): void
  gone(worker: ServingWorker): void
  close(): Promise<void>
}

/** Reads the file of the service and prepares its process. @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE */
export async function createPrimaryService(options: OuterServiceOptions, log: Log, context: CliContext): Promise<PrimaryService> {
  const frame = await readServiceFrame(options)
  const fork = serviceStarter(frame, log, context)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const own = frame.directory(createPublicKey(privateKey))
  const copy = new LiveDirectory(own)
  const book = new ServedBook<ServingWorker>({
    isOfService: kid => kid === own.serviceKey.kid,
    isKey: kid => copy.hasKey(kid),
    onTunnel: (id, address) => host.tunnels(address === undefined ? [] : [{ id, address }], address === undefined ? [id] : []),
    onKey: (id, address) => host.keys(address === undefined ? [] : [{ id, address }], address === undefined ? [id] : []),
  })
  const requests = new SharedRequests()
  const directory = new SharedDirectory({ copy, requests, fault: () => host.fault, log })
  const host: ServiceHost = new ServiceHost({
    fork,
    directory,
    tunnels: () => book.tunnels,
    keys: () => book.keys,
    onSilent: () => directory.tellAll({ kind: 'silent' }),
    onTurn: (state, isWell, reason) =>
      options.events.turn(state, isWell, { subject: state, fields: reason === undefined ? {} : { reason } }),
    onEvent: options.events.book.add,
    ...(frame.isInspected && { requests }),
    stateFile: join(frame.config.stateDirectory, 'directory.json'),
    log,
    clock: () => performance.now(),
  })
  let told = host.fault
  const look = (): void => {
    if (host.fault === told) return
    told = host.fault
    directory.tellAll({ kind: 'fault', ...(told !== undefined && { fault: told }) })
  }
  const fail = (thrown: unknown): void => log.error({ err: thrown }, 'internal fault while the state of the service was told')
  const timer = setInterval(guarded(fail, look), LOOK_MS).unref()
  return {
    publicKey: createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string,
    calls: accountCalls(request => host.operate(request)),
    fault: () => host.fault,
    start: asked => host.start(asked),
    answererOf: (worker, name) => {
      switch (name) {
        case 'directory':
          return () => directory.came(worker)
        case 'who':
          return credentials => host.who(credentials as AccountCredentials)
        case 'certify':
          return request => host.certify(request as HolderRequest)
        case 'certificates':
          return request => host.certificates(request as CertificatesRequest)
        default:
          return undefined
      }
    },
    took: (worker, report) => (report.kind === 'login' ? host.socketLogin(report.login) : directory.took(worker, report)),
    served: (worker, report) => {
      if (report.type === 'serve') book.serve(worker, report.process)
      else if (report.type === 'unserve') book.unserve(worker, report.number)
      else if (report.type === 'leave') book.gone(worker)
    },
    serve: port => host.link({ url: `ws://127.0.0.1:${port}`, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string }),
    gone: worker => {
      directory.gone(worker)
      book.gone(worker)
    },
    close: async () => {
      clearInterval(timer)
      await host.close()
    },
  }
}
