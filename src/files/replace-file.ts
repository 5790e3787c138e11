import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const OWNER_ONLY = 0o600

/** Puts a file in the place of the one before: whole at any moment, and for its owner only from the first one. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const next = join(dirname(path), `.${randomBytes(6).toString('hex')}.new`)
  try {
    const handle = await open(next, 'wx', OWNER_ONLY)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(next, path)
  } catch (error) {
    await rm(next, { force: true })
    throw error
  }
}
