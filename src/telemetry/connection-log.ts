import { formatHostPort } from '../address/host-port.ts'
import type { ErrorCode } from '../errors.ts'
import { formatBytes } from './access-log.ts'
import type { Log } from './log.ts'

/** One connection that was carried as it is, when it has ended. */
export interface ConnectionRecord {
  readonly connectionId: string
  /** Address of the client. */
  readonly client: string
  /** Port of the client. */
  readonly clientPort: number
  /** The public port or the tunnel that the client asked for. */
  readonly port: number | string
  /** Host and port of the origin; undefined when it was refused before one was found. */
  readonly target: string | undefined
  /** Of a socket of the service, of which there are too many for numbers of their own. */
  readonly isOfSocket?: boolean | undefined
  /** The TLS name that the client sent, where one was looked at. */
  readonly name?: string | undefined
  /** From the client. */
  readonly bytesIn: number
  /** To the client. */
  readonly bytesOut: number
  readonly durationMs: number
  /** Inner layer that served it, undefined when none did. */
  readonly identifier: string | undefined
  /** Somebody who has proven who they are; never a token. */
  readonly visitor?: string | undefined
  /** The way by which they have come in. */
  readonly lane?: string | undefined
  /** Undefined after a clean end. */
  readonly error: ErrorCode | undefined
  /** The exact reason, where `error` is set: may name the origin, so it is for the operator alone. */
  readonly reason: string
}

/** A client chose these bytes, and a log line is no place for all of them. */
const MAX_NAME = 255

/** Makes the function that writes the line of one connection, at level info: message `connection`, the facts as fields. */
export function createConnectionLog(log: Log): (record: ConnectionRecord) => void {
  if (!log.isEnabled('info')) return () => undefined
  if (log.format === 'pretty') return record => log.info({ connectionId: record.connectionId }, sentenceOf(record))
  return ({ name, durationMs, reason, isOfSocket: _isOfSocket, ...facts }) =>
    log.info(
      {
        ...facts,
        ...(name !== undefined && { name: name.slice(0, MAX_NAME) }),
        durationMs: Math.round(durationMs * 1000) / 1000,
        ...(reason !== '' && { reason }),
      },
      'connection',
    )
}

function sentenceOf({
  client,
  clientPort,
  port,
  target,
  name,
  bytesIn,
  bytesOut,
  durationMs,
  identifier,
  visitor,
  error,
  reason,
}: ConnectionRecord): string {
  const from = formatHostPort({ host: client, port: clientPort })
  const to = target === undefined ? '' : ` → ${target}`
  const asked = name === undefined ? '' : ` for ${name.slice(0, MAX_NAME)}`
  const by = identifier === undefined ? '' : ` by ${identifier}`
  const who = visitor === undefined ? '' : ` as ${visitor}`
  const end = error === undefined ? '' : ` ${error}${reason === '' ? '' : ` (${reason})`}`
  return `connection ${from}${who} → ${port}${asked}${to}${end} ${(durationMs / 1000).toFixed(1)} s in ${formatBytes(bytesIn)} out ${formatBytes(bytesOut)}${by}`
}
