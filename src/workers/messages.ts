/** Messages of the primary process and its workers to each other, as JSON. Neither says anything that the other must not know: they are one program. */
import type { NodeFacts, ServedProcess } from '../cluster/presence.ts'
import type { EventName, StateName } from '../events/catalogue.ts'
import type { EventNote } from '../events/event.ts'
import type { CountsChange } from '../rates/shared-counts.ts'
import type { CallMessage } from './calls/call-book.ts'
import type { ServiceNews, ServiceReport } from './service/service-news.ts'

/** The facts that a worker needs before it begins. */
export interface Beginning {
  /** 1 … as many as there are; whoever takes the place of another one has its number. */
  readonly number: number
  /** The folder for sockets of this process and its workers, which nobody else may enter. */
  readonly directory: string
  /** Where it answers the primary about itself. */
  readonly adminPath: string
  /** PEM of the private key that makes a process one of the workers. */
  readonly privateKey: string
  /** Base64, for the cookies of those who have logged in by a password. */
  readonly secret: string
  /** The form of its log lines, which the primary writes. */
  readonly logFormat: 'json' | 'pretty'
  /** Two characters that no other worker has for a long time, behind the ids of what it records. */
  readonly tag: string
  /** Hosts that stand for sockets of the service manager, by the name of the option. */
  readonly inherited: Readonly<Record<string, string>>
  /** PEM of the public key of the service process; absent: there is none. */
  readonly serviceKey?: string
}

/** A change of what another worker serves. */
export type PresenceNews =
  | { readonly type: 'node'; readonly facts: NodeFacts }
  | { readonly type: 'node-gone'; readonly id: string }
  | { readonly type: 'served'; readonly id: string; readonly processes: readonly ServedProcess[] }
  | { readonly type: 'unserved'; readonly id: string; readonly numbers: readonly number[] }

/** A message of a worker about itself. */
export type PresenceReport =
  | { readonly type: 'facts'; readonly facts: NodeFacts }
  | { readonly type: 'serve'; readonly process: ServedProcess }
  | { readonly type: 'unserve'; readonly number: number }
  | { readonly type: 'leave' }

/** From the primary to a worker. */
export type ToWorker =
  | { readonly type: 'begin'; readonly beginning: Beginning }
  /** It drains, and ends. */
  | { readonly type: 'stop' }
  /** It orders certificates from now on: no other one does. */
  | { readonly type: 'lead' }
  /** Those that had its number before have ended. */
  | { readonly type: 'alone' }
  /** A client has asked another worker for a name that no certificate is for. */
  | { readonly type: 'missing'; readonly name: string }
  | CallMessage
  | { readonly type: 'service'; readonly news: ServiceNews }
  | PresenceNews
  | { readonly type: 'counts'; readonly from: string; readonly change: CountsChange }
  | { readonly type: 'counts-gone'; readonly from: string }
  | { readonly type: 'counts-repeat' }
  | { readonly type: 'news'; readonly topic: string; readonly message: unknown }

/** Something that has happened in a worker, told where the events of all of them are. */
export type EventReport =
  | { readonly type: 'tell'; readonly name: EventName; readonly note: EventNote }
  | {
      readonly type: 'turn'
      readonly state: StateName
      readonly isWell: boolean
      readonly note: EventNote
      readonly key?: string | undefined
    }
  | { readonly type: 'forget'; readonly state: StateName; readonly key: string }

/** From a worker to the primary. */
export type FromWorker =
  /** It listens: what was sent before is lost. */
  | { readonly type: 'hello' }
  /** Its ports are open. */
  | { readonly type: 'ready'; readonly ports: { readonly app: number; readonly socket: number; readonly service: number } }
  /** It orders no certificate any more. */
  | { readonly type: 'yielded' }
  | { readonly type: 'missing'; readonly name: string }
  | CallMessage
  | { readonly type: 'service'; readonly report: ServiceReport }
  | { readonly type: 'counts'; readonly change: CountsChange }
  /** For all other workers. */
  | { readonly type: 'news'; readonly topic: string; readonly message: unknown }
  | { readonly type: 'event'; readonly event: EventReport }
  | PresenceReport
