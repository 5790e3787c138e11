import type { ConnectionRecord } from './connection-log.ts'
import { MAX_NAMES, OTHER, SOCKETS } from './request-metrics.ts'

/** The sums over the connections to one origin since the start. */
export interface ConnectionNumbers {
  connections: number
  errors: number
  bytesIn: number
  bytesOut: number
}

/** Connections that are carried as they are, by origin: public ports and tunnels. */
export class ConnectionMetrics {
  readonly #targets = new Map<string, ConnectionNumbers>()

  /** Host and port of the origin, as the targets file has it → its numbers; empty: refused before one was found. */
  get targets(): ReadonlyMap<string, ConnectionNumbers> {
    return this.#targets
  }

  /** Takes a connection that has ended. */
  count(record: Pick<ConnectionRecord, 'target' | 'isOfSocket' | 'error' | 'bytesIn' | 'bytesOut'>): void {
    const { error, bytesIn, bytesOut } = record
    const target = record.isOfSocket === true ? SOCKETS : (record.target ?? '')
    const name = this.#targets.has(target) || this.#targets.size < MAX_NAMES ? target : OTHER
    let numbers = this.#targets.get(name)
    if (numbers === undefined) this.#targets.set(name, (numbers = { connections: 0, errors: 0, bytesIn: 0, bytesOut: 0 }))
    numbers.connections++
    if (error !== undefined) numbers.errors++
    numbers.bytesIn += bytesIn
    numbers.bytesOut += bytesOut
  }
}
