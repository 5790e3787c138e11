import type { DirectorySnapshot } from '../../directory/directory.ts'
import type { LiveDirectory } from '../../directory/live-directory.ts'
import type { Usage } from '../../directory/owner.ts'
import type { LogLine } from '../../payload/log-note.ts'
import type { DirectoryCopy } from '../../service-host/directory-copy.ts'
import type { ApplyFailure } from '../../service-host/ipc.ts'
import type { Log } from '../../telemetry/log.ts'
import type { DirectoryState, ServiceNews, ServiceReport } from './service-news.ts'
import type { ServingWorker } from './serving-worker.ts'
import type { SharedRequests } from './shared-requests.ts'

/** A worker that has not put a change in force by then is not waited for any longer, milliseconds. */
const APPLY_MS = 20_000

/** Somebody who hears of visitors of a socket. */
interface Watcher {
  /** The worker that has asked; undefined: the service process has. */
  readonly worker: ServingWorker | undefined
  readonly tell: (lines: readonly LogLine[]) => void
}

/** Options of the directory of all workers. */
export interface SharedDirectoryOptions {
  /** The directory in force, in the primary, which serves nothing by it. */
  readonly copy: LiveDirectory
  readonly requests: SharedRequests
  /** The fault that keeps the service from being whole. */
  readonly fault: () => string | undefined
  readonly log: Log
}

/** The directory as the host of the service process has it: each change goes to all workers before it is in force, and what they count and see comes together. */
export class SharedDirectory implements DirectoryCopy {
  readonly #workers = new Set<ServingWorker>()
  readonly #usage = new Map<string, Usage>()
  readonly #watchers = new Map<string, Set<Watcher>>()

  constructor(private readonly options: SharedDirectoryOptions) {}

  /** A worker is there, and gets all changes from now on. @returns what is in force */
  came(worker: ServingWorker): DirectoryState {
    const { copy, fault, requests } = this.options
    this.#workers.add(worker)
    const why = fault()
    return {
      snapshot: copy.snapshot(),
      ...(why !== undefined && { fault: why }),
      watched: [...this.#watchers.keys()],
      followed: requests.came(worker),
    }
  }

  /** It has ended. */
  gone(worker: ServingWorker): void {
    if (!this.#workers.delete(worker)) return
    this.options.requests.gone(worker)
    for (const [socketId, watchers] of this.#watchers)
      for (const watcher of watchers) if (watcher.worker === worker) this.#leave(socketId, watcher)
  }

  async apply(message: unknown): Promise<readonly ApplyFailure[]> {
    // Whoever comes behind this has it in its snapshot.
    const workers = [...this.#workers]
    const own = this.options.copy.apply(message)
    const all = await Promise.all([own, ...workers.map(worker => this.#applyAt(worker, message))])
    const failures = new Map<string, ApplyFailure>()
    for (const { socketId, message: why } of all.flat()) failures.set(socketId, { socketId, message: why })
    return [...failures.values()]
  }

  snapshot(): DirectorySnapshot {
    return this.options.copy.snapshot()
  }

  takeUsage(): readonly Usage[] {
    const rows = [...this.#usage.values()]
    this.#usage.clear()
    return rows
  }

  watch(socketId: string, tell: (line: LogLine) => void): (() => void) | undefined {
    if (this.options.copy.isInspected(socketId) === undefined) return undefined
    return this.#watch(socketId, { worker: undefined, tell: lines => lines.forEach(tell) })
  }

  /** Tells all workers. */
  tellAll(news: ServiceNews): void {
    for (const worker of this.#workers) worker.tell(news)
  }

  /** A worker has said this. */
  took(worker: ServingWorker, report: ServiceReport): void {
    switch (report.kind) {
      case 'usage':
        for (const row of report.rows) this.#count(row)
        return
      case 'visitors':
        for (const watcher of this.#watchers.get(report.socketId) ?? []) if (watcher.worker !== worker) watcher.tell(report.lines)
        return
      case 'watch': {
        const { socketId, isWatched } = report
        if (!isWatched) {
          for (const watcher of this.#watchers.get(socketId) ?? []) if (watcher.worker === worker) this.#leave(socketId, watcher)
        } else if (this.#workers.has(worker))
          this.#watch(socketId, { worker, tell: lines => worker.tell({ kind: 'visitors', socketId, lines }) })
        return
      }
      case 'followed':
        return this.options.requests.followed(worker, report.id, report.changes)
      case 'login':
        return
    }
  }

  async #applyAt(worker: ServingWorker, message: unknown): Promise<readonly ApplyFailure[]> {
    try {
      return (await worker.ask('apply', message, APPLY_MS)) as readonly ApplyFailure[]
    } catch (thrown) {
      // One that has ended has nothing in force any more.
      if (this.#workers.has(worker))
        this.options.log.error({ err: thrown, worker: worker.name }, 'a worker has not put a message of the service process in force')
      return []
    }
  }

  #watch(socketId: string, watcher: Watcher): () => void {
    const known = this.#watchers.get(socketId)
    if (known === undefined) {
      this.#watchers.set(socketId, new Set([watcher]))
      this.tellAll({ kind: 'watch', socketId, isWatched: true })
    } else known.add(watcher)
    return () => this.#leave(socketId, watcher)
  }

  #leave(socketId: string, watcher: Watcher): void {
    const watchers = this.#watchers.get(socketId)
    if (watchers?.delete(watcher) !== true || watchers.size > 0) return
    this.#watchers.delete(socketId)
    this.tellAll({ kind: 'watch', socketId, isWatched: false })
  }

  #count(row: Usage): void {
    const known = this.#usage.get(row.socketId)
    this.#usage.set(
      row.socketId,
      known === undefined
        ? row
        : {
            ...row,
            requests: known.requests + row.requests,
            connections: known.connections + row.connections,
            bytesIn: known.bytesIn + row.bytesIn,
            bytesOut: known.bytesOut + row.bytesOut,
          },
    )
  }
}
