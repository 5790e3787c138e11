import type { Pool } from '../../route/target.ts'
import type { ToldLists } from '../../payload/field-lists.ts'
import type { SessionOptions } from '../../mux/session.ts'
import type { Carrier } from './carrier.ts'

/** The other end of a link that has proven who it is. */
export interface PeerFacts {
  readonly instance: string
  readonly limits: SessionOptions['limits']
  /** As it has named them. */
  readonly features?: unknown
}

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
  /** Lists of fields that it has been told; undefined: it takes none. */
  readonly lists?: ToldLists | undefined
  readonly since: Date
}
