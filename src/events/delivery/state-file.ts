import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../../errors.ts'

/** Events tell of people and of machines of a private network. */
const MODE = 0o600

/** One JSON value on disk, replaced in one step. What cannot be written is told once, until it can be again. */
export class StateFile {
  #next: (() => unknown) | undefined
  #work: Promise<void> | undefined
  #isFaulty = false

  constructor(
    private readonly path: string,
    private readonly onFault: (message: string) => void,
  ) {}

  /** Returns what the file holds, as it is; undefined where there is none, or none that can be read. */
  async read(): Promise<unknown> {
    try {
      return JSON.parse(await readFile(this.path, 'utf8')) as unknown
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') this.onFault(`${this.path} cannot be read: ${messageOf(thrown)}`)
      return undefined
    }
  }

  /** Writes a value, the last one where several are wanted while one is written. Resolves when it is on disk, or cannot be. */
  write(value: () => unknown): Promise<void> {
    this.#next = value
    this.#work ??= this.#run().finally(() => (this.#work = undefined))
    return this.#work
  }

  async #run(): Promise<void> {
    for (let value = this.#next; value !== undefined; value = this.#next) {
      this.#next = undefined
      await this.#write(value)
    }
  }

  async #write(value: () => unknown): Promise<void> {
    const temporary = `${this.path}.new`
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 })
      await rm(temporary, { force: true })
      const file = await open(temporary, 'wx', MODE)
      try {
        await file.writeFile(JSON.stringify(value()))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, this.path)
      this.#isFaulty = false
    } catch (thrown) {
      if (!this.#isFaulty) this.onFault(`${this.path} cannot be written: ${messageOf(thrown)}`)
      this.#isFaulty = true
    }
  }
}
