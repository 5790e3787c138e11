import type { EventSink } from '../../events/event-sink.ts'
import type { Store } from '../../store/store.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ServiceConfig } from '../config.ts'
import type { Mail } from '../contract.ts'
import type { RandomInteger } from '../names/socket-names.ts'
import type { AccountTurns } from './account-turns.ts'
import type { AuditLog } from './audit-log.ts'
import type { ServiceClock } from './clock.ts'
import type { DirectoryFeed } from './directory-feed.ts'
import type { LiveTunnels } from './live-tunnels.ts'
import type { NewPlaces } from './new-places.ts'

/** Parts that all rules share. */
export interface Parts {
  readonly store: Store
  /** The configuration in force. */
  readonly config: () => ServiceConfig
  readonly clock: ServiceClock
  readonly log: Log
  readonly mail: Mail
  readonly random: RandomInteger
  /** Origin of the API, such as https://api.example.com: of links in mails, and less its port the issuer of tokens. */
  readonly apiUrl: string
  /** URLs of the socket ports, for inner layers. */
  readonly linkUrls: () => readonly string[]
  /** Name of this process among several of one service. */
  readonly nodeId: string
  /** Address of this gateway, as tunnels are shown to have been connected to. */
  readonly serverAddress: string
  readonly audit: AuditLog
  readonly events: EventSink
  readonly places: NewPlaces
  readonly directory: DirectoryFeed
  readonly live: LiveTunnels
  /** The TXT records of a name, undefined where the DNS does not answer; absent: nobody asks for them. */
  readonly textRecords: ((name: string) => Promise<readonly string[] | undefined>) | undefined
  readonly turns: AccountTurns
}
