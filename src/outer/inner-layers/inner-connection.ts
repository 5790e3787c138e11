import type { Pool } from '../../route/target.ts'
import type { Carrier } from './carrier.ts'

/** One proven connection of an inner layer. */
export interface InnerConnection {
  readonly session: Carrier
  readonly identifier: string
  readonly pool: Pool
  /** The service has enrolled its key: it serves what names its identifier, and nothing that names nobody. */
  readonly isEnrolled?: boolean
  /** Thumbprint of the key that proved it. */
  readonly kid: string
  readonly address: string
  readonly agent: string
  /** The same for all connections of one process. */
  readonly instance: string
  /** Of a tunnel: its login among those of the tunnel, the newest with the highest; absent: the service has not said. */
  readonly login?: number | undefined
  /** The node of the cluster that has the connection; undefined: this process itself. */
  readonly node?: string
  readonly since: Date
}
