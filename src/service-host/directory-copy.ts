import type { DirectorySnapshot } from '../directory/directory.ts'
import type { Usage } from '../directory/owner.ts'
import type { LogLine } from '../payload/log-note.ts'
import type { ApplyFailure } from './ipc.ts'

/** The copy of the directory that requests are served from. */
export interface DirectoryCopy {
  /**
   * Checks the message and puts it in force, whatever its sender.
   * @param message  foreign: of another process, or of a file
   * @throws GatewayError CONFIG_INVALID with the place, and nothing is changed
   */
  apply(message: unknown): Promise<readonly ApplyFailure[]>
  snapshot(): DirectorySnapshot
  /** The use of the sockets since the last call. */
  takeUsage(): readonly Usage[]
  /** Tells `watcher` who visits a socket. @returns ends it; undefined for a socket that is not there */
  watch(socketId: string, watcher: (line: LogLine) => void): (() => void) | undefined
}
