/** A driver that opens its database when it is first asked, again when that has failed, and whose faults say whether the database is to be had. */
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult, TransactionSettings } from 'kysely'
import { GatewayError } from '../errors.ts'
import { unavailable } from './faults.ts'
import { Turns } from './turns.ts'

export interface DriverGuard {
  /** The most that may be in use; more wait. pg would count that wait as one for the server. */
  readonly connections: number
  /** A driver that is initialized, over a database that is up to date. */
  readonly open: () => Promise<Driver>
  /** The fault to be thrown instead. */
  readonly faultOf: (thrown: unknown) => unknown
  readonly onAway: (fault: GatewayError) => void
}

const isAway = (fault: unknown): fault is GatewayError => fault instanceof GatewayError && fault.code === 'STORE_UNAVAILABLE'

type Run = <T>(action: () => Promise<T>) => Promise<T>

class GuardedConnection implements DatabaseConnection {
  readonly inner: DatabaseConnection
  readonly #run: Run

  constructor(inner: DatabaseConnection, run: Run) {
    this.inner = inner
    this.#run = run
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.#run(() => this.inner.executeQuery<R>(query))
  }

  async *streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    const rows = this.inner.streamQuery<R>(query, chunkSize)
    try {
      for (;;) {
        const next = await this.#run(() => rows.next() as Promise<IteratorResult<QueryResult<R>, undefined>>)
        if (next.done === true) return
        yield next.value
      }
    } finally {
      await rows.return?.()
    }
  }
}

const innerOf = (connection: DatabaseConnection): DatabaseConnection =>
  connection instanceof GuardedConnection ? connection.inner : connection

export class GuardedDriver implements Driver {
  readonly #guard: DriverGuard
  readonly #connections = new WeakMap<DatabaseConnection, GuardedConnection>()
  readonly #turns: Turns
  #driver: Driver | undefined

  constructor(guard: DriverGuard) {
    this.#guard = guard
    this.#turns = new Turns(guard.connections)
  }

  readonly #run: Run = async action => {
    try {
      return await action()
    } catch (thrown) {
      const fault = this.#guard.faultOf(thrown)
      if (isAway(fault)) this.#guard.onAway(fault)
      throw fault
    }
  }

  /** Called by kysely before the first statement, and again before the next one where it has failed. */
  async init(): Promise<void> {
    this.#driver = await this.#run(async () => {
      try {
        return await this.#guard.open()
      } catch (thrown) {
        // Whoever asks for a row cannot do anything about it either; the reason goes along for whoever opens the store.
        if (thrown instanceof GatewayError && thrown.code === 'STORE_INVALID') throw unavailable(thrown.message, thrown)
        throw thrown
      }
    })
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    await this.#turns.take()
    let inner: DatabaseConnection
    try {
      inner = await this.#run(() => this.#driver!.acquireConnection())
    } catch (thrown) {
      this.#turns.give()
      throw thrown
    }
    const known = this.#connections.get(inner)
    if (known !== undefined) return known
    const connection = new GuardedConnection(inner, this.#run)
    this.#connections.set(inner, connection)
    return connection
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    try {
      await this.#driver!.releaseConnection(innerOf(connection))
    } finally {
      this.#turns.give()
    }
  }

  beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    return this.#run(() => this.#driver!.beginTransaction(innerOf(connection), settings))
  }

  commitTransaction(connection: DatabaseConnection): Promise<void> {
    return this.#run(() => this.#driver!.commitTransaction(innerOf(connection)))
  }

  /** Kysely throws what this throws in place of the fault that made it roll back, and that one says more; the driver has given the connection up then. */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await this.#driver!.rollbackTransaction(innerOf(connection)).catch(() => undefined)
  }

  async destroy(): Promise<void> {
    await this.#driver?.destroy()
  }
}
