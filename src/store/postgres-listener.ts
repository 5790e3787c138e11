/** NOTIFY of other processes, so that they need not wait for the next look. */
import type { Client, ClientConfig } from 'pg'
import type { PostgresConnections } from './postgres-connections.ts'

export const CHANNEL = 'socket_gateway_changes'

const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 10_000

/** One connection that listens for as long as it may, and comes back when it breaks. Nothing is lost meanwhile: followers look by themselves. */
export class PostgresListener {
  readonly #connections: PostgresConnections
  readonly #config: ClientConfig
  readonly #onSignal: () => void
  #client: Client | undefined
  #timer: NodeJS.Timeout | undefined
  #retryMs = FIRST_RETRY_MS
  #isClosed = false

  constructor(connections: PostgresConnections, config: ClientConfig, onSignal: () => void) {
    this.#connections = connections
    this.#config = config
    this.#onSignal = onSignal
  }

  start(): void {
    if (this.#isClosed) return
    const client = new this.#connections.Client({ ...this.#config, idle_in_transaction_session_timeout: 0 })
    this.#client = client
    let isLost = false
    const lost = (): void => {
      if (isLost) return
      isLost = true
      client.end().catch(() => undefined)
      if (this.#client !== client || this.#isClosed) return
      this.#client = undefined
      this.#timer = setTimeout(() => this.start(), this.#retryMs).unref()
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS)
    }
    client.on('error', lost)
    client.on('end', lost)
    client.on('notification', () => this.#onSignal())
    client
      .connect()
      .then(() => client.query(`listen ${CHANNEL}`))
      .then(() => {
        this.#retryMs = FIRST_RETRY_MS
        // What came while nobody listened.
        this.#onSignal()
      })
      .catch(lost)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    const client = this.#client
    this.#client = undefined
    await client?.end().catch(() => undefined)
  }
}
