import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError, messageOf } from '../errors.ts'
import { rotatedPath, rotatedPathsOf } from '../files/rotation.ts'

/** Where a log goes, when it goes into a new file, and how many old ones are kept. */
export interface LogFileOptions {
  readonly path: string
  /** Lines that would make the file larger go to a new one. */
  readonly maxBytes: number
  /** A file is closed when it is older, milliseconds. */
  readonly maxAgeMs: number
  /** Old files beyond this many are deleted, the oldest first; 0: all of them. */
  readonly maxFiles: number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Told once when the file cannot be written or rotated any more, and once when it can be again. */
  readonly onFault: (message: string) => void
}

/** The lines name hosts of a private network. */
const MODE = 0o640
/** Lines are written together up to this many characters. */
const BATCH_CHARS = 131_072
/** With a disk that is slower than the log, or full, lines beyond this are dropped rather than kept in memory. */
const MAX_QUEUED_CHARS = 16 * 1024 * 1024
const RETRY_MS = 1_000
/** The time between two looks whether somebody has moved or deleted the file. */
const LOOK_MS = 5_000
const FLUSH_MS = 2_000

/**
 * A log file that rotates itself: `gateway.log` becomes `gateway-2026-11-21T12-30-05.123.log`. Written in the background, in whole lines and
 * in order; a rotation loses none. A disk that is full or gone never ends the process: lines wait up to 16 MiB, what does not fit is
 * dropped and counted. (rotating-file-stream destroys itself over an error of the disk, and keeps its history in a file of its own.)
 */
export class LogFile {
  #handle: FileHandle | undefined
  #bytes = 0
  #bornMs = 0
  #inode = 0
  #lookedMs = 0
  #queue: string[] = []
  #queuedChars = 0
  #dropped = 0
  #isFaulty = false
  #retryRotationMs = 0
  #pumping: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(private readonly options: LogFileOptions) {}

  /** Opens the file, and deletes old ones. @throws GatewayError FILE_UNREADABLE */
  async open(): Promise<void> {
    try {
      await this.#open()
    } catch (cause) {
      throw new GatewayError('FILE_UNREADABLE', `--log-file ${this.options.path}: ${messageOf(cause)}`, { cause })
    }
    await this.#deleteOld()
  }

  /** Appends whole lines. Never throws. */
  write(lines: string): void {
    if (this.#queuedChars + lines.length > MAX_QUEUED_CHARS) {
      this.#dropped++
      return
    }
    this.#queue.push(lines)
    this.#queuedChars += lines.length
    if (this.#retry === undefined) this.#pumpSoon()
  }

  /** Resolves when everything is written, or cannot be, after two seconds at the latest. */
  async flush(): Promise<void> {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#pumpSoon()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, FLUSH_MS)
    })
    await Promise.race([this.#pumping, late])
    clearTimeout(timer)
  }

  /** Writes what is left, and closes the file. */
  async close(): Promise<void> {
    await this.flush()
    clearTimeout(this.#retry)
    await this.#close()
  }

  #pumpSoon(): void {
    this.#pumping ??= this.#pump().finally(() => {
      this.#pumping = undefined
      if (this.#queue.length > 0 && this.#retry === undefined) this.#pumpSoon()
    })
  }

  async #pump(): Promise<void> {
    // What is written in this turn of the event loop leaves together.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const count = this.#countOfBatch()
      const bytes = Buffer.from(count === 1 ? this.#queue[0]! : this.#queue.slice(0, count).join(''))
      try {
        await this.#prepare(bytes.length)
        await this.#append(bytes)
      } catch (error) {
        return this.#failed(`the log file ${this.options.path} cannot be written: ${messageOf(error)}; lines wait in memory, up to 16 MiB`)
      }
      const written = this.#queue.splice(0, count)
      for (const lines of written) this.#queuedChars -= lines.length
      if (this.#isFaulty) this.#recovered()
    }
  }

  #countOfBatch(): number {
    let chars = 0
    let count = 0
    while (count < this.#queue.length && (count === 0 || chars + this.#queue[count]!.length <= BATCH_CHARS))
      chars += this.#queue[count++]!.length
    return count
  }

  /** Opens the file if it has to be, and takes a new one where `bytes` more are too many or the file is too old. */
  async #prepare(bytes: number): Promise<void> {
    const { path, maxBytes, maxAgeMs, nowMs } = this.options
    const now = nowMs()
    if (this.#handle !== undefined && now - this.#lookedMs >= LOOK_MS) {
      this.#lookedMs = now
      const there = await stat(path).catch(() => undefined)
      if (there?.ino !== this.#inode) await this.#close()
    }
    if (this.#handle === undefined) await this.#open()
    const isDue = this.#bytes > 0 && (this.#bytes + bytes > maxBytes || now - this.#bornMs >= maxAgeMs)
    if (isDue && now >= this.#retryRotationMs) await this.#rotate(now)
  }

  async #append(bytes: Buffer): Promise<void> {
    let offset = 0
    try {
      while (offset < bytes.length) offset += (await this.#handle!.write(bytes, offset)).bytesWritten
    } finally {
      this.#bytes += offset
      // The rest comes again as a whole, so the part of it is taken back; where that fails, a piece of a line stays.
      if (offset > 0 && offset < bytes.length) {
        this.#bytes -= offset
        await this.#handle!.truncate(this.#bytes).catch(() => undefined)
      }
    }
  }

  async #open(): Promise<void> {
    const handle = await open(this.options.path, 'a', MODE)
    const { size, birthtimeMs, ino } = await handle.stat()
    const now = this.options.nowMs()
    this.#handle = handle
    this.#bytes = size
    this.#inode = ino
    this.#lookedMs = now
    this.#bornMs = size > 0 && birthtimeMs > 0 ? Math.min(birthtimeMs, now) : now
  }

  async #close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close().catch(() => undefined)
  }

  async #rotate(now: number): Promise<void> {
    const { path } = this.options
    try {
      await rename(path, rotatedPath(path, now))
    } catch (error) {
      // The lines are more important than the size of the file.
      this.#retryRotationMs = now + 60 * RETRY_MS
      this.options.onFault(`the log file ${path} cannot be rotated: ${messageOf(error)}; it grows until it can be`)
      return
    }
    await this.#close()
    await this.#open()
    await this.#deleteOld()
  }

  async #deleteOld(): Promise<void> {
    const { path, maxFiles } = this.options
    try {
      const old = rotatedPathsOf(path, await readdir(dirname(path)))
      await Promise.all(old.slice(maxFiles).map(file => rm(file, { force: true })))
    } catch {
      // What cannot be deleted stays; the next rotation tries again.
    }
  }

  #failed(message: string): void {
    if (!this.#isFaulty) this.options.onFault(message)
    this.#isFaulty = true
    this.#lookedMs = 0 // perhaps somebody has put another file there
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#pumpSoon()
    }, RETRY_MS)
    this.#retry.unref()
  }

  #recovered(): void {
    this.#isFaulty = false
    const lost = this.#dropped === 0 ? '' : `; ${this.#dropped} pieces of it are lost`
    this.#dropped = 0
    this.options.onFault(`the log file ${this.options.path} can be written again${lost}`)
  }
}
