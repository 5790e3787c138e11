import { LiveDirectory, type LiveDirectoryOptions } from '../../directory/live-directory.ts'
import type { RequestsQuestion } from '../../directory/socket-requests.ts'
import { guarded } from '../../net/guard.ts'
import type { LogLine } from '../../payload/log-note.ts'
import type { RequestSource } from '../../service-host/recorded-requests.ts'
import { VisitorLines } from '../../service-host/visitor-lines.ts'
import type { Answerer } from '../calls/call-book.ts'
import type { DirectoryState, ServiceNews, ServiceReport } from './service-news.ts'

/** Between two reports of what sockets have moved, milliseconds. */
const USAGE_MS = 5_000

/** The way of a worker to the primary, as far as the service matters. */
export interface PrimaryEnd {
  /** @throws GatewayError as a rejection */
  ask(name: string, value?: unknown): Promise<unknown>
  tell(report: ServiceReport): void
  /** Has questions of the primary answered. */
  answers(name: string, answerer: Answerer): void
  readonly onFault: (thrown: unknown) => void
}

/** The directory of the service in a worker: follows that of the primary, and tells it what is counted and seen here. */
export class WorkerDirectory extends LiveDirectory {
  #fault: string | undefined = 'the service process is starting'
  /** The lines of visitors here that are sent, by socket. */
  readonly #watched = new Map<string, VisitorLines>()
  /** Inner layers of this worker that hear of visitors, by socket. */
  readonly #listeners = new Map<string, Set<(line: LogLine) => void>>()
  readonly #followed = new Map<number, () => void>()
  #applying: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  /** Records of requests for owners; undefined: nothing is recorded. */
  requests: RequestSource | undefined

  constructor(
    options: LiveDirectoryOptions,
    private readonly primary: PrimaryEnd,
  ) {
    super(options)
  }

  override get fault(): string | undefined {
    return this.#fault
  }

  /** Puts in force what the primary has, and follows it. @throws GatewayError as a rejection, when that cannot be */
  async start(): Promise<void> {
    const { primary } = this
    primary.answers('apply', message => this.#apply(message))
    primary.answers('requests', question => this.requests?.answer(question as RequestsQuestion))
    const asked = primary.ask('directory') as Promise<DirectoryState>
    // Changes may come right behind the answer.
    this.#applying = asked.then(({ snapshot }) => this.apply(snapshot))
    await this.#applying
    const { fault, watched, followed } = await asked
    this.#fault = fault
    for (const socketId of watched) this.#watch(socketId)
    for (const { id, following } of followed) this.took({ kind: 'follow', id, following })
    this.#timer = setInterval(
      guarded(primary.onFault, () => this.#tellUsage()),
      USAGE_MS,
    ).unref()
  }

  /** Tells what is left. */
  close(): void {
    clearInterval(this.#timer)
    this.#tellUsage()
    for (const socketId of [...this.#watched.keys()]) this.#unwatch(socketId)
    for (const id of [...this.#followed.keys()]) this.#unfollow(id)
  }

  /** The primary has said this. */
  took(news: ServiceNews): void {
    switch (news.kind) {
      case 'silent':
        return this.serviceSilent()
      case 'fault':
        this.#fault = news.fault
        return
      case 'watch': {
        // Behind the change that has brought the socket.
        const watch = (): void => (news.isWatched ? this.#watch(news.socketId) : this.#unwatch(news.socketId))
        return void this.#applying.catch(() => undefined).then(guarded(this.primary.onFault, watch))
      }
      case 'visitors':
        for (const line of news.lines) for (const listener of this.#listeners.get(news.socketId) ?? []) listener(line)
        return
      case 'follow':
        return this.#follow(news)
      case 'unfollow':
        return this.#unfollow(news.id)
    }
  }

  /** The watcher hears of visitors of all workers. */
  override watchTunnel(tunnelId: string, watcher: (line: LogLine) => void): (() => void) | undefined {
    const owner = this.ownerOf(tunnelId)
    if (owner === undefined) return undefined
    const leave = owner.watch(watcher)
    const unlisten = this.#listen(owner.socketId, watcher)
    return () => {
      leave()
      unlisten()
    }
  }

  #listen(socketId: string, watcher: (line: LogLine) => void): () => void {
    const known = this.#listeners.get(socketId) ?? new Set()
    if (known.size === 0) this.primary.tell({ kind: 'watch', socketId, isWatched: true })
    this.#listeners.set(socketId, known.add(watcher))
    return () => {
      if (!known.delete(watcher) || known.size > 0) return
      this.#listeners.delete(socketId)
      this.primary.tell({ kind: 'watch', socketId, isWatched: false })
    }
  }

  /** One behind the other, as they came. */
  #apply(message: unknown): Promise<unknown> {
    const applied = this.#applying.catch(() => undefined).then(() => this.apply(message))
    this.#applying = applied
    return applied
  }

  #watch(socketId: string): void {
    if (this.#watched.has(socketId)) return
    const lines = new VisitorLines(batch => this.primary.tell({ kind: 'visitors', socketId, lines: batch }))
    const end = this.watch(socketId, line => lines.add(line))
    if (end === undefined) return
    lines.onClose = end
    this.#watched.set(socketId, lines)
  }

  #unwatch(socketId: string): void {
    this.#watched.get(socketId)?.close()
    this.#watched.delete(socketId)
  }

  #follow({ id, following }: Extract<ServiceNews, { readonly kind: 'follow' }>): void {
    this.#unfollow(id)
    const tell: Parameters<RequestSource['follow']>[1] = changes => this.primary.tell({ kind: 'followed', id, changes })
    try {
      if (this.requests === undefined) tell([{ type: 'end' }])
      else this.#followed.set(id, this.requests.follow(following, tell))
    } catch {
      // Its filter was read before, so there are too many who follow.
      tell([{ type: 'end' }])
    }
  }

  #unfollow(id: number): void {
    this.#followed.get(id)?.()
    this.#followed.delete(id)
  }

  #tellUsage(): void {
    const rows = this.takeUsage()
    if (rows.length > 0) this.primary.tell({ kind: 'usage', rows })
  }
}
