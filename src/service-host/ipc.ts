import type { DirectoryMessage } from '../directory/directory.ts'
import type { Usage } from '../directory/owner.ts'
import type { RequestsAnswer, RequestsChange, RequestsFollowing, RequestsQuestion } from '../directory/socket-requests.ts'
import type { EventName, EventNote } from '../events/event.ts'
import type { Happening } from '../events/turning-states.ts'
import type { LogLine } from '../payload/log-note.ts'
import type { LogFields, LogLevel } from '../telemetry/log.ts'
import type { CertificatesAnswer, CertificatesRequest } from './kept-certificates.ts'

/** A socket of the directory that could not be put in force, such as one whose port is taken. */
export interface ApplyFailure {
  readonly socketId: string
  readonly message: string
}

/** The way from the service process to the outer layer. */
export interface ServiceLink {
  /** ws: URL of the private port. */
  readonly url: string
  /** PEM of the key that the outer layer takes there. */
  readonly privateKey: string
}

/** Somebody who wants to log in as an account of the service. */
export interface AccountCredentials {
  readonly email: string
  readonly password: string
  /** Of the browser. */
  readonly address: string
}

/** Whose credentials they are. */
export type AccountAnswer =
  | { readonly kind: 'account'; readonly accountId: string; readonly email: string; readonly name: string; readonly role: string }
  | { readonly kind: 'refused' }
  /** There were too many wrong ones. */
  | { readonly kind: 'limited'; readonly waitS: number }
  | { readonly kind: 'away'; readonly why: string }

/** A certificate for somebody who has logged in, and may come to a socket. */
export interface HolderRequest {
  readonly kind: 'tls' | 'ssh'
  /** PEM of a request for a certificate; a line of authorized_keys. */
  readonly text: string
  readonly who: string
  readonly names: readonly string[]
  /** Milliseconds since 1970. */
  readonly validUntil: number
}

/** The certificate, or why there is none. */
export type CertificateAnswer =
  | { readonly kind: 'certificate'; readonly text: string }
  /** The answer to what is no request. */
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'away'; readonly why: string }

/** Somebody who has come in at a socket by a login, or by a link. */
export interface SocketLogin {
  readonly socketId: string
  /** An address or a name, as the provider vouches for it. */
  readonly who: string
  readonly provider: string
  readonly by: 'browser' | 'program'
  /** Of the browser or the program. */
  readonly address: string
  /** The link of its owner that it was. */
  readonly shareId?: string
}

/** Something that an operator wants of the service, at the admin port. */
export type OperatorRequest =
  | { readonly kind: 'accounts' | 'audit'; readonly cursor?: string | undefined }
  | { readonly kind: 'suspend' | 'resume'; readonly accountId: string }

/** The answer, as the API of the service has it. */
export type OperatorAnswer =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly code: string; readonly why: string }
  | { readonly kind: 'away'; readonly why: string }

/** A message of the service process. */
export type FromService =
  /** It can take requests now. */
  | { readonly type: 'ready' }
  /** Answered by `applied` with the same number. */
  | { readonly type: 'directory'; readonly id: number; readonly message: DirectoryMessage }
  /** A line of its log, for the one log of both processes. */
  | { readonly type: 'log'; readonly level: LogLevel; readonly fields: LogFields; readonly message: string }
  /** Why it cannot start; it ends after this. */
  | { readonly type: 'failed'; readonly message: string }
  /** It wants to hear who visits a socket, or no longer. */
  | { readonly type: 'watch'; readonly socketId: string; readonly isWatched: boolean }
  /** It answers nothing until it has done this, such as the steps of a large database. */
  | { readonly type: 'busy'; readonly what: string }
  /** Something has happened to an account. */
  | { readonly type: 'event'; readonly name: EventName; readonly note: EventNote; readonly happening: Happening }
  /** The answer to `ping`. */
  | { readonly type: 'pong' }
  /** The answer to `who` with the same number. */
  | { readonly type: 'who'; readonly id: number; readonly answer: AccountAnswer }
  /** The answer to `operate` with the same number. */
  | { readonly type: 'operated'; readonly id: number; readonly answer: OperatorAnswer }
  /** The answer to `certify` with the same number. */
  | { readonly type: 'certified'; readonly id: number; readonly answer: CertificateAnswer }
  /** The answer to `certificates` with the same number. */
  | { readonly type: 'certificates'; readonly id: number; readonly answer: CertificatesAnswer }
  /** Asks for recorded requests; answered by `requests` with the same number. */
  | { readonly type: 'requests'; readonly id: number; readonly question: RequestsQuestion }
  /** Wants to hear what changes among them, as `followed` with the same number, until it says `unfollow`. */
  | { readonly type: 'follow'; readonly id: number; readonly following: RequestsFollowing }
  | { readonly type: 'unfollow'; readonly id: number }
  /** Tells the services of other outer layers something of a topic. */
  | { readonly type: 'tell'; readonly topic: string; readonly message: unknown }
  /** The state of its store. */
  | { readonly type: 'health'; readonly isHealthy: boolean }

/** A message to the service process. */
export type ToService =
  /** The way to the outer layer, once that takes its links. */
  | { readonly type: 'link'; readonly link: ServiceLink }
  | { readonly type: 'applied'; readonly id: number; readonly failures: readonly ApplyFailure[] }
  /** Tunnels that have come up and gone; the first message has all that are up. */
  | {
      readonly type: 'tunnels'
      readonly up: readonly { readonly id: string; readonly address: string }[]
      readonly down: readonly string[]
    }
  /** The same of keys by which enrolled inner layers are connected. */
  | { readonly type: 'keys'; readonly up: readonly { readonly id: string; readonly address: string }[]; readonly down: readonly string[] }
  | { readonly type: 'usage'; readonly rows: readonly Usage[] }
  /** Visitors of a socket that it watches. */
  | { readonly type: 'visitors'; readonly socketId: string; readonly lines: readonly LogLine[] }
  | { readonly type: 'socket-login'; readonly login: SocketLogin }
  /** Asks whose credentials they are; answered by `who`. */
  | { readonly type: 'who'; readonly id: number; readonly credentials: AccountCredentials }
  /** Asks for a certificate; answered by `certified`. */
  | { readonly type: 'certify'; readonly id: number; readonly request: HolderRequest }
  /** Something that an operator wants; answered by `operated`. */
  | { readonly type: 'operate'; readonly id: number; readonly request: OperatorRequest }
  /** Asks for a certificate of a host, or has it kept; answered by `certificates`. */
  | { readonly type: 'certificates'; readonly id: number; readonly request: CertificatesRequest }
  /** The answer to `requests` with the same number. */
  | { readonly type: 'requests'; readonly id: number; readonly answer: RequestsAnswer }
  | { readonly type: 'followed'; readonly id: number; readonly changes: readonly RequestsChange[] }
  /** The service of another outer layer has told this. */
  | { readonly type: 'told'; readonly topic: string; readonly message: unknown }
  /** Asks whether it is there; answered by `pong`, in whatever state its store and its links are. */
  | { readonly type: 'ping' }
  /** Asks it to finish what is under way and to end. */
  | { readonly type: 'stop' }

/** The service process, as its host sees it. */
export interface ServiceChild {
  readonly pid: number | undefined
  /** Nothing happens when it is gone. @param taken  called once it has been handed over, or will not be */
  readonly send: (message: ToService, taken?: () => void) => void
  onMessage(listener: (message: FromService) => void): void
  /** Told once. @param how  exit status or signal */
  onEnd(listener: (how: string) => void): void
  /** Ends it at once. */
  kill(): void
}
