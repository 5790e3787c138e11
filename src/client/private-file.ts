import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError, messageOf } from '../errors.ts'
import { parseJson } from './api-error.ts'

/** A file of secrets in JSON, readable for its owner alone and replaced in one step. */
export class PrivateFile {
  constructor(readonly path: string) {}

  /** Its value; undefined where there is no file. @throws GatewayError FILE_UNREADABLE, also for a file that others can read */
  async read(): Promise<unknown> {
    try {
      const { mode } = await stat(this.path)
      // Windows has no such bits; there Node.js says 0o666 for every file.
      if ((mode & 0o077) !== 0 && (mode & 0o777) !== 0o666)
        throw new GatewayError('FILE_UNREADABLE', `${this.path}: other accounts of this machine can read it; chmod 600 it, or log in again`)
      return parseJson(await readFile(this.path, 'utf8')) ?? null
    } catch (cause) {
      if ((cause as { code?: unknown }).code === 'ENOENT') return undefined
      if (cause instanceof GatewayError) throw cause
      throw new GatewayError('FILE_UNREADABLE', `${this.path}: ${messageOf(cause)}`, { cause })
    }
  }

  /** Writes it, with the folder that it is in. @throws GatewayError FILE_UNREADABLE */
  async write(value: object): Promise<void> {
    const staged = `${this.path}.${randomBytes(6).toString('hex')}`
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 })
      const file = await open(staged, 'wx', 0o600)
      try {
        await file.writeFile(`${JSON.stringify(value, null, 2)}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await chmod(staged, 0o600) // whatever the umask is
      await rename(staged, this.path)
    } catch (cause) {
      await rm(staged, { force: true }).catch(() => undefined)
      throw new GatewayError('FILE_UNREADABLE', `${this.path} cannot be written: ${messageOf(cause)}`, { cause })
    }
  }
}
