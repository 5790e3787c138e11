import type { AdminOptions } from '../../admin/admin.ts'
import type { JoinEndpoint } from '../../enrolment/join-endpoint.ts'
import type { Events } from '../../events/events.ts'
import type { KeyFiles } from '../../identity/public-keys.ts'
import type { OuterLayerOptions } from '../../outer/options/outer-options.ts'
import type { OuterLayer } from '../../outer/outer-layer.ts'
import type { Log } from '../../telemetry/log.ts'
import type { AcmeWorker } from '../acme/open-acme.ts'
import type { InheritedHosts } from '../command/service-manager.ts'
import type { OuterService, OuterServiceOptions } from './outer-service.ts'

/** The part that one process has among several which serve the same ports. */
export interface WorkerRole extends Pick<OuterLayerOptions, 'cluster' | 'shared'>, AcmeWorker {
  /** Told with those of the others. */
  readonly events: Events
  /** The socket at which it answers the primary about itself. */
  readonly admin: AdminOptions
  readonly inherited: InheritedHosts
  /** Makes what takes inner layers that were invited, by the secrets that the primary has. */
  readonly joining: (keys: KeyFiles, log: Log) => JoinEndpoint
  /** Behind the ids of what it records. */
  readonly tag: string
  /** Have those ended that had its number before? */
  readonly isAlone: () => boolean
  /** Resolves when they have. */
  readonly alone: Promise<void>
  /** Makes its part of the service, whose process is beside the primary. */
  readonly service: (options: OuterServiceOptions, log: Log) => Promise<OuterService>
  /** It orders no certificate any more. */
  readonly onYielded: () => void
  readonly onStarted: (layer: OuterLayer) => void
}
