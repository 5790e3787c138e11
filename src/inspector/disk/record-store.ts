import { randomBytes } from 'node:crypto'
import { appendFile, chmod, mkdir, readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, messageOf } from '../../errors.ts'
import { guarded } from '../../net/guard.ts'
import type { ExchangeRecord } from '../exchange-record.ts'
import type { Inspector } from '../inspector.ts'
import { dumpRecord, restoreRecord } from './record-dump.ts'
import { fileKey, seal, storeKeys, unseal } from './sealed-file.ts'

const KEY_FILE = 'key'
const KEY_BYTES = 32
/** A file takes no more after this time, or this size. */
const FILE_MS = 3_600_000
const FILE_BYTES = 16_777_216
/** A record that waits to be written. */
const MAX_WAITING = 1_000
const WRITE_MS = 1_000
const NAME = /^requests-(\d{13})\.sealed$/

/** Where records are kept, and how long. */
export interface RecordStoreOptions {
  readonly folder: string
  readonly hours: number
  /** Most that the files may take, bytes. */
  readonly maxBytes: number
  readonly nowMs: () => number
  /** Files cannot be written, or can again. */
  readonly onFault: (message: string) => void
}

/** A file that is written to. */
interface OpenFile {
  readonly name: string
  readonly startedMs: number
  readonly key: Buffer
  /** Records in it. */
  count: number
  bytes: number
}

/** Keeps settled records in encrypted files, hour by hour, so that they survive the process. A disk that fails costs records, and nothing else. */
export class RecordStore {
  /** The first one seals, each of them opens. */
  #keys: readonly Buffer[] = []
  /** Ids of records that are written, or wait for it. */
  readonly #known = new Set<string>()
  #waiting: ExchangeRecord[] = []
  #file: OpenFile | undefined
  #bytes = 0
  #fault: string | null = null
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  #unlisten = (): void => undefined

  constructor(
    private readonly inspector: Inspector,
    private readonly options: RecordStoreOptions,
  ) {}

  /**
   * Reads what is there, and follows the inspector.
   * @param secrets  keys of the service, 32 bytes each, of which the first one seals and the others, which it has replaced, still open; undefined: a key of the folder's own
   * @throws GatewayError FILE_UNREADABLE, KEY_INVALID
   */
  async start(secrets?: Buffer): Promise<void> {
    const { folder, hours } = this.options
    await mkdir(folder, { recursive: true, mode: 0o700 }).catch(this.#unusable)
    const own = await this.#readKey(secrets === undefined)
    // What was kept before there was a service stays readable as long as it is kept.
    this.#keys = [...(secrets === undefined ? [] : storeKeys(secrets)), ...(own === undefined ? [] : [own])]
    await this.#clean()
    // Those that were there before the folder was free.
    const early = [...this.inspector.newestFirst()].reverse()
    for (const name of await this.#names()) {
      const bytes = await readFile(join(folder, name)).catch(this.#unusable)
      for (const key of this.#keys) {
        let count = 0
        for (const text of unseal(fileKey(key, name), bytes)) {
          this.#restore(text)
          count++
        }
        if (count > 0) break
      }
    }
    this.inspector.store = () => ({ hours, bytes: this.#bytes, fault: this.#fault })
    this.#unlisten = this.inspector.listen({
      changed: record => this.#add(record),
      gone: () => undefined,
    })
    for (const record of early) this.#add(record)
    this.#timer = setInterval(
      guarded(this.#failed, () => this.#write()),
      WRITE_MS,
    ).unref()
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    this.#unlisten()
    clearInterval(this.#timer)
    this.#write()
    await this.#writing
  }

  #restore(text: string): void {
    try {
      const id = restoreRecord(this.inspector, text)
      if (id !== undefined) this.#known.add(id)
    } catch {
      // Of another release.
    }
  }

  #add(record: ExchangeRecord): void {
    if (!record.isSettled || this.#known.has(record.id) || this.#waiting.length >= MAX_WAITING) return
    this.#known.add(record.id)
    this.#waiting.push(record)
  }

  #write(): void {
    const records = this.#waiting
    this.#waiting = []
    if (records.length === 0) return
    this.#writing = this.#writing
      .then(() => this.#append(records))
      .then(
        () => this.#worked(),
        (thrown: unknown) => this.#failed(thrown),
      )
  }

  async #append(records: readonly ExchangeRecord[]): Promise<void> {
    const { folder, nowMs } = this.options
    for (const record of records) {
      if (record.isGone) continue
      const file = this.#current(nowMs())
      const sealed = seal(file.key, file.count, dumpRecord(record))
      await appendFile(join(folder, file.name), sealed, { mode: 0o600 })
      file.count++
      file.bytes += sealed.length
      this.#bytes += sealed.length
    }
    // Ids of what is long gone are of no use.
    if (this.#known.size > 100_000) this.#known.clear()
    if (this.#bytes > this.options.maxBytes) await this.#clean()
  }

  #current(now: number): OpenFile {
    if (this.#file === undefined || now - this.#file.startedMs > FILE_MS || this.#file.bytes > FILE_BYTES) {
      const name = `requests-${String(now).padStart(13, '0')}.sealed`
      this.#file = { name, startedMs: now, key: fileKey(this.#keys[0]!, name), count: 0, bytes: 0 }
      this.#clean().catch(guarded(this.#failed, this.#failed))
    }
    return this.#file
  }

  /** Deletes what is too old, and the oldest of what is too much. */
  async #clean(): Promise<void> {
    const { folder, hours, maxBytes, nowMs } = this.options
    const oldest = nowMs() - hours * 3_600_000
    const names = await this.#names()
    const files = await Promise.all(names.map(async name => ({ name, facts: await stat(join(folder, name)).catch(() => undefined) })))
    let total = files.reduce((sum, { facts }) => sum + (facts?.size ?? 0), 0)
    for (const { name, facts } of files) {
      if (name === this.#file?.name || facts === undefined) continue
      if (facts.mtimeMs >= oldest && total <= maxBytes) continue
      await unlink(join(folder, name)).catch(() => undefined)
      total -= facts.size
    }
    this.#bytes = total
  }

  async #names(): Promise<string[]> {
    const names = await readdir(this.options.folder).catch(this.#unusable)
    return names.filter(name => NAME.test(name)).sort()
  }

  /** The key of the folder. @param isNeeded  makes one where there is none */
  async #readKey(isNeeded: boolean): Promise<Buffer | undefined> {
    const path = join(this.options.folder, KEY_FILE)
    const key = await readFile(path).catch(() => undefined)
    if (key === undefined) {
      if (!isNeeded) return undefined
      const fresh = randomBytes(KEY_BYTES)
      await writeFile(path, fresh, { mode: 0o600, flag: 'wx' }).catch(this.#unusable)
      return fresh
    }
    const { mode } = await stat(path)
    if (key.length !== KEY_BYTES)
      throw new GatewayError('KEY_INVALID', `${path}: expected ${KEY_BYTES} bytes; delete the folder to begin anew`)
    if ((mode & 0o077) !== 0) {
      await chmod(path, 0o600).catch(this.#unusable)
      throw new GatewayError(
        'KEY_INVALID',
        `${path}: others could read this key, so what it has sealed is not secret; delete the folder to begin anew`,
      )
    }
    return key
  }

  readonly #unusable = (cause: unknown): never => {
    throw new GatewayError(
      'FILE_UNREADABLE',
      `--inspect-store ${this.options.folder}: ${messageOf(cause)}; expected a folder that this account may write to`,
      { cause },
    )
  }

  readonly #failed = (thrown: unknown): void => {
    const message = messageOf(thrown)
    if (this.#fault === null) this.options.onFault(`requests are not kept on disk: ${message}`)
    this.#fault = message
    // What was begun may be broken.
    this.#file = undefined
  }

  #worked(): void {
    if (this.#fault !== null) this.options.onFault('requests are kept on disk again')
    this.#fault = null
  }
}
