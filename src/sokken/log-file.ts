import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { GatewayError, messageOf } from '../errors.ts'
import { rotatedPath, rotatedPathsOf } from '../files/rotation.ts'

/** When a log file is rotated, and what becomes of the old ones. */
export interface LogFileOptions {
  readonly path: string
  /** A line that would make the file larger goes to a new one. */
  readonly maxBytes: number
  /** Old files are deleted when they are older, milliseconds; 0: never. */
  readonly maxAgeMs: number
  /** Old files beyond this many are deleted, the oldest first; 0: none. */
  readonly maxRotated: number
  readonly now: () => Date
}

const DAY_MS = 86_400_000
/** Only the owner may read: the lines name hosts of a private network. As lumberjack has it. */
const MODE = 0o600

/**
 * A log file that rotates itself, with the names of the old files that sokken gives (`name-2006-01-02T15-04-05.000.log`). Lines are written
 * at once and one at a time, a few for each connection: none is lost, whatever ends the process. A full disk loses lines, never the process.
 */
export class LogFile {
  #fd: number
  #bytes: number

  /** @throws GatewayError FILE_UNREADABLE when the file cannot be opened */
  constructor(private readonly options: LogFileOptions) {
    try {
      mkdirSync(dirname(options.path), { recursive: true })
      this.#fd = openSync(options.path, 'a', MODE)
      this.#bytes = fstatSync(this.#fd).size
    } catch (cause) {
      throw new GatewayError('FILE_UNREADABLE', `${options.path}: ${messageOf(cause)}`, { cause })
    }
    this.#deleteOld()
  }

  /** Appends a line; never throws. */
  write(line: string): void {
    const bytes = Buffer.from(line)
    try {
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.options.maxBytes) this.#rotate()
      this.#bytes += writeSync(this.#fd, bytes)
    } catch {
      // There is nowhere left to say it.
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#fd < 0) return
    closeSync(this.#fd)
    this.#fd = -1
  }

  #rotate(): void {
    const { path, now } = this.options
    renameSync(path, rotatedPath(path, now().getTime()))
    const fd = openSync(path, 'a', MODE)
    closeSync(this.#fd)
    this.#fd = fd
    this.#bytes = 0
    this.#deleteOld()
  }

  #deleteOld(): void {
    const { path, maxAgeMs, maxRotated, now } = this.options
    try {
      const old = rotatedPathsOf(path, readdirSync(dirname(path)))
      for (const [index, file] of old.entries()) {
        const isTooMany = maxRotated > 0 && index >= maxRotated
        if (isTooMany || (maxAgeMs > 0 && now().getTime() - statSync(file).mtimeMs > maxAgeMs)) rmSync(file, { force: true })
      }
    } catch {
      // What cannot be deleted stays.
    }
  }
}

/** Days as milliseconds. */
export const daysMs = (days: number): number => days * DAY_MS
