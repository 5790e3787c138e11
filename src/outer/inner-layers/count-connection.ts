import { ERRORS } from '../../errors.ts'
import type { Owner } from '../../route/target.ts'
import type { ConnectionRecord } from '../../telemetry/connection-log.ts'

/** Counts a connection that has ended for the owner of the socket, and tells it where somebody watches. */
export function countConnection(owner: Owner, { client, error, bytesIn, bytesOut, durationMs, visitor }: ConnectionRecord): void {
  owner.countConnection(bytesIn, bytesOut)
  if (!owner.isWatched) return
  const status = error === undefined ? 200 : ERRORS[error].status || ERRORS.CANCELLED.status
  const who = visitor === undefined ? {} : { visitor }
  owner.tell({ kind: 'connection', at: Date.now() - durationMs, client, status, bytesOut, bytesIn, durationMs, ...who })
}
