/** The targets file on disk, read again whenever it changes. */
import { readFile } from 'node:fs/promises'
import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../errors.ts'
import { fingerprintOf } from '../files/fingerprint.ts'
import type { RouteTable } from '../route/table.ts'
import { ConfigError, unreadableTargets } from './document/fault.ts'
import { parseTargetsInSlices } from './targets.ts'

/** Callbacks for changes of the file. */
export interface TargetsFileHandlers {
  /** A good file is in force: also when a bad one was changed back to what is in force already. */
  onChange(table: RouteTable): void
  /** The file is bad or gone and the last good table stays. Once per content, however often the file is touched. */
  onFault(error: ConfigError): void
}

/** Notifications get lost (NFS, container mounts, inotify limits), so the file is looked at this often in any case. */
const POLL_MS = 500
/** A file counts once it was read twice the same this far apart, so that a half-written one is never in force. */
const SETTLE_MS = 100
/** Notifications come in bursts. */
const BURST_MS = 25

type Content = { readonly text: string } | { readonly error: unknown }

const keyOf = (content: Content): string => ('text' in content ? `text ${content.text}` : `error ${messageOf(content.error)}`)

/**
 * Reads a targets file and keeps its last good table. A change is in force within a second: edits in place, replacement by rename, and
 * symlinks that are swapped (Kubernetes) alike.
 * `close()` is idempotent and resolves when nothing is read or watched any more; no handler is called after it.
 */
export class TargetsFile {
  readonly #listeners = new Set<() => void>()
  #table: RouteTable | undefined
  #loadedAt = new Date(0)
  #fault: ConfigError | undefined
  #watcher: FSWatcher | undefined
  #poll: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #work: Promise<void> = Promise.resolve()
  #closed = false
  /** Of the file, before the last read. */
  #signature = ''
  /** The content as last read, judged once it is read the same again. */
  #pending = ''
  #pendingSince = 0
  /** The content as last judged, and the one in force. */
  #judged = ''
  #inForce = ''

  constructor(
    /** Path as given. */
    readonly file: string,
    private readonly handlers: TargetsFileHandlers,
    private readonly clock: () => Date = () => new Date(),
  ) {}

  /** Calls `listener` whenever a good file is in force, after the handlers; until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The table in force. @throws Error before `start` has resolved */
  get table(): RouteTable {
    if (this.#table === undefined) throw new Error('TargetsFile is used before it is started')
    return this.#table
  }

  /** When the table in force was read. */
  get loadedAt(): Date {
    return this.#loadedAt
  }

  /** The fault of the file as it is now, undefined while it is the one in force. */
  get fault(): ConfigError | undefined {
    return this.#fault
  }

  /**
   * Reads the file once, then watches it.
   * @throws ConfigError CONFIG_INVALID with every fault, FILE_UNREADABLE when it cannot be read; nothing is watched then
   */
  async start(): Promise<RouteTable> {
    this.#signature = await fingerprintOf(this.file)
    const content = await this.#read()
    const table = await this.#parse(content)
    this.#judged = this.#inForce = this.#pending = keyOf(content)
    this.#accept(table)
    if (this.#closed) return table
    this.#watch()
    this.#poll = setInterval(() => this.#look(), POLL_MS).unref()
    return table
  }

  /** Stops watching. */
  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#poll)
    clearTimeout(this.#timer)
    this.#watcher?.close()
    await this.#work
  }

  /** Watches the directory, since a watch on the file would stay with the old inode after a rename. */
  #watch(): void {
    const giveUp = (): void => this.#watcher?.close() // the poll goes on
    try {
      this.#watcher = watch(path.dirname(this.file), { persistent: false }, () => this.#schedule(BURST_MS)).on('error', giveUp)
    } catch {
      giveUp()
    }
  }

  #schedule(delayMs: number): void {
    if (this.#closed || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#look()
    }, delayMs).unref()
  }

  /** Queues one look at the file behind the one under way. */
  #look(): void {
    this.#work = this.#work.then(() => this.#check())
  }

  async #check(): Promise<void> {
    const signature = this.#closed ? this.#signature : await fingerprintOf(this.file)
    if (signature === this.#signature && this.#pending === this.#judged) return
    this.#signature = signature
    const content = await this.#read()
    const key = keyOf(content)
    if (this.#closed) return
    if (key !== this.#pending) {
      this.#pending = key
      this.#pendingSince = performance.now()
    }
    if (key === this.#judged) return
    // A poll or a notification may fall between the two reads that count.
    if (performance.now() - this.#pendingSince < SETTLE_MS) this.#schedule(SETTLE_MS)
    else await this.#judge(content, key)
  }

  async #judge(content: Content, key: string): Promise<void> {
    this.#judged = key
    try {
      const table = key === this.#inForce ? this.table : await this.#parse(content)
      if (this.#closed) return
      this.#accept(table)
      this.#inForce = key
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      if (this.#closed) return
      this.#fault = error
      this.handlers.onFault(error)
      return
    }
    this.handlers.onChange(this.table)
    for (const listener of this.#listeners) listener()
  }

  #accept(table: RouteTable): void {
    this.#table = table
    this.#loadedAt = this.clock()
    this.#fault = undefined
  }

  /** In slices: a table of thousands of hosts takes seconds, and requests go on meanwhile. */
  async #parse(content: Content): Promise<RouteTable> {
    if ('text' in content) return parseTargetsInSlices(content.text, this.file)
    throw unreadableTargets(this.file, content.error, `, check it with: socket-gateway targets check ${this.file}`)
  }

  async #read(): Promise<Content> {
    try {
      return { text: await readFile(this.file, 'utf8') }
    } catch (error) {
      return { error }
    }
  }
}
