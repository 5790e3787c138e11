import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DirectorySnapshot } from '../directory/directory.ts'
import { messageOf } from '../errors.ts'

/** Milliseconds between a change and the file that has it. */
const WRITE_AFTER_MS = 1_000
/** Of a file with passwords' hashes and public keys. */
const MODE = 0o600

/** Options of the file. */
export interface DirectoryFileOptions {
  readonly path: string
  /** All that is in force. */
  readonly snapshot: () => DirectorySnapshot
  /** It could not be written; told again only after it was written once. */
  readonly onFault: (message: string) => void
}

/** The last directory that was in force, on disk, for a start without the service: at most a second old, replaced in one step. */
export class DirectoryFile {
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  #isFaulty = false

  constructor(private readonly options: DirectoryFileOptions) {}

  /** Returns what the file holds, as it is; undefined when there is none. */
  async read(): Promise<unknown> {
    try {
      return JSON.parse(await readFile(this.options.path, 'utf8')) as unknown
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') this.#tell(thrown)
      return undefined
    }
  }

  /** The directory has changed. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#writing = this.#writing.then(() => this.#write())
    }, WRITE_AFTER_MS)
  }

  /** Writes what is not written yet, and ends. */
  async close(): Promise<void> {
    const isDue = this.#timer !== undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#writing
    if (isDue) await this.#write()
  }

  async #write(): Promise<void> {
    const { path, snapshot } = this.options
    const temporary = `${path}.new`
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const file = await open(temporary, 'w', MODE)
      try {
        await file.chmod(MODE)
        await file.writeFile(JSON.stringify(snapshot()))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, path)
      this.#isFaulty = false
    } catch (thrown) {
      this.#tell(thrown)
    }
  }

  #tell(thrown: unknown): void {
    if (!this.#isFaulty) this.options.onFault(`${this.options.path}: ${messageOf(thrown)}`)
    this.#isFaulty = true
  }
}
