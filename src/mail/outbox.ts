/** Letters as files, for whoever has no mail server: the operator reads them, and gives the links to whom they are for. */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { DeliveryFault, type Deliver } from './smtp.ts'

/** Files that are kept; the oldest ones go. */
const MAX_FILES = 1_000
const NAME = /^\d{8}T\d{9}Z-[0-9a-f-]{36}\.txt$/

/** Writes a file for each letter, which only the owner may read, named so that a list of them is in order. */
export const createOutbox =
  (directory: string, from: string, now: () => number): Deliver =>
  async ({ letter: { to, subject, text }, messageId }) => {
    const date = new Date(now())
    const stamp = date.toISOString().replaceAll(/[-:.]/g, '')
    const id = /[0-9a-f-]{36}/.exec(messageId)?.[0] ?? ''
    const file = join(directory, `${stamp}-${id}.txt`)
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      // Written before a crash, which its sender does not know.
      if ((await readdir(directory)).some(name => name.endsWith(`-${id}.txt`))) return
      const handle = await open(`${file}.partial`, 'wx', 0o600)
      try {
        await handle.writeFile(`Date: ${date.toUTCString()}\nFrom: ${from}\nTo: ${to}\nSubject: ${subject}\n\n${text}`)
      } finally {
        await handle.close()
      }
      await rename(`${file}.partial`, file)
      await removeOldest(directory)
    } catch (thrown) {
      await rm(`${file}.partial`, { force: true }).catch(() => undefined)
      throw new DeliveryFault('server', messageOf(thrown))
    }
  }

async function removeOldest(directory: string): Promise<void> {
  const files = (await readdir(directory)).filter(name => NAME.test(name)).sort()
  for (const name of files.slice(0, Math.max(0, files.length - MAX_FILES))) await rm(join(directory, name), { force: true })
}
