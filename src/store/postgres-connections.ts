/** Clients of pg that can be ended, whatever the far end does. */
import { Socket } from 'node:net'
import type { Client, ClientConfig } from 'pg'
import { isFromServer } from './faults.ts'
import type { PostgresModule } from './postgres-pool.ts'

const END_MS = 2_000

type Query = (...values: unknown[]) => unknown

/**
 * Makes clients, and knows the socket of each. pg ends a connection by asking the server, which may have gone without a word; and a query that
 * has waited too long leaves a connection in the pool that everybody after it waits for as well.
 */
export class PostgresConnections {
  readonly Client: new (config?: ClientConfig) => Client
  readonly #sockets = new Set<Socket>()

  constructor({ Client }: PostgresModule) {
    const sockets = this.#sockets
    this.Client = class extends Client {
      constructor(config?: ClientConfig) {
        const socket = new Socket()
        // The pool hides the password from whoever copies its options.
        super({ ...config, password: config?.password, stream: () => socket })
        sockets.add(socket)
        socket.once('close', () => sockets.delete(socket))
        // The pool listens while a connection is idle only. One that breaks in a transaction, between two statements, would end the process.
        this.on('error', () => undefined)
        const query = this.query.bind(this) as Query
        const watched: Query = (...values) => {
          const result = query(...values)
          if (result instanceof Object && 'catch' in result)
            (result as Promise<unknown>).catch((thrown: unknown) => {
              if (isFromServer(thrown)) return
              // Said first, so that the pool does not hand it out again before the socket has closed.
              this.end().catch(() => undefined)
              socket.destroy()
            })
          return result
        }
        this.query = watched as typeof this.query
      }
    }
  }

  /** Does what ends them in order, and ends what is left of them after two seconds. */
  async end(inOrder: () => Promise<unknown>): Promise<void> {
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, END_MS)
    try {
      await inOrder()
    } finally {
      clearTimeout(timer)
    }
  }
}
