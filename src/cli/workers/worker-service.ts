import { createPublicKey } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import type { AccountAnswer, CertificateAnswer } from '../../service-host/ipc.ts'
import type { CertificatesAnswer } from '../../service-host/kept-certificates.ts'
import type { Log } from '../../telemetry/log.ts'
import { WorkerDirectory } from '../../workers/service/worker-directory.ts'
import type { WorkerSide } from '../../workers/worker-side.ts'
import { inspectionOf, readServiceFrame, servedBy, type OuterService, type OuterServiceOptions } from '../run/outer-service.ts'

const AWAY = { kind: 'away', why: 'the service process does not answer' } as const

/**
 * Makes the service as one worker has it: a directory that follows the one of the primary, beside which the service process is.
 * @param serviceKey  PEM of the public key of that process
 * @throws ConfigError CONFIG_INVALID, FILE_UNREADABLE
 */
export async function createWorkerService(
  options: OuterServiceOptions,
  { side, serviceKey }: { readonly side: WorkerSide; readonly serviceKey: string | undefined },
  log: Log,
): Promise<OuterService> {
  if (serviceKey === undefined) throw new GatewayError('INTERNAL', 'the primary has no service')
  const frame = await readServiceFrame(options)
  const onFault = (thrown: unknown): void => log.error({ err: thrown }, 'internal fault in what follows the service')
  const directory = new WorkerDirectory(frame.directory(createPublicKey(serviceKey)), {
    ask: (name, value) => side.calls.ask(name, value),
    tell: report => side.say({ type: 'service', report }),
    answers: (name, answerer) => side.answers(name, answerer),
    onFault,
  })
  const inspection = await inspectionOf(options, frame, { directory, log })
  directory.requests = inspection
  side.onService = news => directory.took(news)
  /** Never rejects. */
  const ask = <Answer>(name: string, value: unknown): Promise<Answer | typeof AWAY> =>
    side.calls.ask(name, value).then(
      answer => answer as Answer,
      () => AWAY,
    )
  return {
    ...servedBy(frame, directory, inspection),
    // One process counts for all workers.
    join: () => undefined,
    start: () => directory.start(),
    // The primary tells the service process where it is.
    serve: () => undefined,
    calls: [],
    who: credentials => ask<AccountAnswer>('who', credentials),
    held: {
      apiHost: frame.config.hosts.api,
      find: host => directory.heldSocket(host),
      certify: request => ask<CertificateAnswer>('certify', request),
    },
    certificates: frame.config.store.kind === 'postgres' ? request => ask<CertificatesAnswer>('certificates', request) : undefined,
    onSocketLogin: login => side.say({ type: 'service', report: { kind: 'login', login } }),
    close: async () => {
      directory.close()
      await inspection?.close()
    },
  }
}
