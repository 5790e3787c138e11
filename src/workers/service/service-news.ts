/** Messages between the primary, beside which the service process is, and the workers, which serve its sockets. Questions are calls: `directory`, `who`, `certify`, `certificates`, `requests`. */
import type { DirectorySnapshot } from '../../directory/directory.ts'
import type { Usage } from '../../directory/owner.ts'
import type { RequestsChange, RequestsFollowing } from '../../directory/socket-requests.ts'
import type { LogLine } from '../../payload/log-note.ts'
import type { SocketLogin } from '../../service-host/ipc.ts'

/** From the primary. */
export type ServiceNews =
  /** The service process does not answer. */
  | { readonly kind: 'silent' }
  /** The state of the service; without a fault it is whole. */
  | { readonly kind: 'fault'; readonly fault?: string }
  /** Somebody wants to hear who comes to a socket, or nobody any more. */
  | { readonly kind: 'watch'; readonly socketId: string; readonly isWatched: boolean }
  /** Visitors of a socket that have come to other workers. */
  | { readonly kind: 'visitors'; readonly socketId: string; readonly lines: readonly LogLine[] }
  | { readonly kind: 'follow'; readonly id: number; readonly following: RequestsFollowing }
  | { readonly kind: 'unfollow'; readonly id: number }

/** From a worker. */
export type ServiceReport =
  | { readonly kind: 'usage'; readonly rows: readonly Usage[] }
  | { readonly kind: 'visitors'; readonly socketId: string; readonly lines: readonly LogLine[] }
  | { readonly kind: 'login'; readonly login: SocketLogin }
  /** An inner layer of this worker wants to hear who comes to its socket, or not any more. */
  | { readonly kind: 'watch'; readonly socketId: string; readonly isWatched: boolean }
  | { readonly kind: 'followed'; readonly id: number; readonly changes: readonly RequestsChange[] }

/** The state that a worker begins with: the answer to `directory`. */
export interface DirectoryState {
  readonly snapshot: DirectorySnapshot
  readonly fault?: string
  /** Sockets whose visitors somebody wants to hear of. */
  readonly watched: readonly string[]
  readonly followed: readonly { readonly id: number; readonly following: RequestsFollowing }[]
}
