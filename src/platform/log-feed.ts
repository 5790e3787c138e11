import { GatewayError } from '../errors.ts'
import type { LogFeed, LogLine as ShownLine } from '../api/api-options.ts'
import { formatLogLine } from '../payload/log-line.ts'
import type { LogLine } from '../payload/log-note.ts'
import type { ServiceConfig } from '../service/config.ts'
import type { Service } from '../service/contract.ts'
import type { Actor } from '../service/model.ts'

/** Lines that wait for a reader; what is beyond is counted. */
const MAX_WAITING = 200

/** Options of the feed. */
export interface VisitorFeedOptions {
  readonly service: Pick<Service, 'sockets' | 'accounts'>
  readonly config: () => ServiceConfig
  /** Asks the outer layer for the visitors of a socket, or no longer. */
  readonly watch: (socketId: string, isWatched: boolean) => void
}

/** Visitors of sockets for whoever watches by the API: one subscription at the outer layer for each socket, however many watch it. */
export class VisitorFeed implements LogFeed {
  readonly #readers = new Map<string, Set<Reader>>()
  readonly #perAccount = new Map<string, number>()

  constructor(private readonly options: VisitorFeedOptions) {}

  /** @throws GatewayError NOT_FOUND, LIMIT_REACHED */
  async watch(actor: Actor, socketId: string, signal: AbortSignal): Promise<AsyncIterable<ShownLine>> {
    const { service, config } = this.options
    const socket = await service.sockets.get(actor, socketId)
    const { limits } = await service.accounts.get(actor, actor.accountId)
    const most = limits.logWatchers ?? config().limits.logWatchers
    const count = this.#perAccount.get(actor.accountId) ?? 0
    if (count >= most) throw new GatewayError('LIMIT_REACHED', `${most} log watchers of this account are there already; end one of them`)
    this.#perAccount.set(actor.accountId, count + 1)
    const reader = new Reader(() => this.#left(actor.accountId, socket.id, reader))
    this.#enter(socket.id, reader)
    signal.addEventListener('abort', () => reader.end(), { once: true })
    if (signal.aborted) reader.end()
    return reader
  }

  /** Passes visitors of a socket on. */
  visitors(socketId: string, lines: readonly LogLine[]): void {
    for (const reader of this.#readers.get(socketId) ?? []) reader.add(lines)
  }

  /** Ends what watches a socket that is gone. */
  ended(socketId: string): void {
    for (const reader of [...(this.#readers.get(socketId) ?? [])]) reader.end()
  }

  /** The outer layer has forgotten who watches what: it was told of sockets anew. */
  resume(): void {
    for (const socketId of this.#readers.keys()) this.options.watch(socketId, true)
  }

  #enter(socketId: string, reader: Reader): void {
    const readers = this.#readers.get(socketId)
    if (readers !== undefined) return void readers.add(reader)
    this.#readers.set(socketId, new Set([reader]))
    this.options.watch(socketId, true)
  }

  #left(accountId: string, socketId: string, reader: Reader): void {
    const count = (this.#perAccount.get(accountId) ?? 1) - 1
    if (count === 0) this.#perAccount.delete(accountId)
    else this.#perAccount.set(accountId, count)
    const readers = this.#readers.get(socketId)
    readers?.delete(reader)
    if (readers?.size !== 0) return
    this.#readers.delete(socketId)
    this.options.watch(socketId, false)
  }
}

/** The lines for one watcher. */
class Reader implements AsyncIterable<ShownLine> {
  #waiting: ShownLine[] = []
  #omitted = 0
  #hasEnded = false
  #wake: (() => void) | undefined

  constructor(private readonly onEnd: () => void) {}

  add(lines: readonly LogLine[]): void {
    for (const line of lines) {
      if (this.#waiting.length < MAX_WAITING) this.#waiting.push(shown(line))
      else this.#omitted++
    }
    this.#wake?.()
  }

  /** Idempotent. */
  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.onEnd()
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ShownLine> {
    try {
      for (;;) {
        if (this.#omitted > 0) this.#waiting.push(shown({ kind: 'omitted', at: Date.now(), count: this.#omitted }))
        this.#omitted = 0
        yield* this.#waiting.splice(0)
        if (this.#waiting.length > 0) continue
        if (this.#hasEnded) return
        await new Promise<void>(resolve => (this.#wake = resolve))
        this.#wake = undefined
      }
    } finally {
      this.end()
    }
  }
}

const shown = (line: LogLine): ShownLine => ({ text: formatLogLine(line), ...line })
