import { open, readFile, rm } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { GatewayError, messageOf } from '../errors.ts'
import { replaceFile } from './replace-file.ts'

/** Others are waited for so long; what is done under a lock takes milliseconds. */
const PATIENCE_MS = 10_000
const BETWEEN_MS = 20
const OWNER_ONLY = 0o600

const codeOf = (thrown: unknown): unknown => (thrown as NodeJS.ErrnoException | null)?.code

/**
 * Changes a file of the gateway as a whole, readable by its owner only: one process after the other, each over what the one before has
 * written. Whoever reads it meanwhile sees it as it was before or as it is after. A lock that was left behind is not broken by itself, since
 * two who break it at once would both have it.
 * @param change  of the text, undefined while there is no file; may throw, and nothing is changed then
 * @throws GatewayError FILE_UNREADABLE, and whatever `change` throws
 */
export async function changeFile<Result>(
  file: string,
  change: (text: string | undefined) => { readonly text: string; readonly result: Result },
  patienceMs: number = PATIENCE_MS,
): Promise<Result> {
  const unlock = await lock(file, patienceMs)
  try {
    const { text, result } = change(await readIfAny(file))
    await replaceFile(file, text)
    return result
  } catch (cause) {
    throw cause instanceof GatewayError ? cause : new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
  } finally {
    await unlock()
  }
}

async function lock(file: string, patienceMs: number): Promise<() => Promise<void>> {
  const name = `${file}.lock`
  for (let waitedMs = 0; ; waitedMs += BETWEEN_MS) {
    try {
      await (await open(name, 'wx', OWNER_ONLY)).close()
      return () => rm(name, { force: true })
    } catch (cause) {
      if (codeOf(cause) !== 'EEXIST') throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
      if (waitedMs >= patienceMs)
        throw new GatewayError(
          'FILE_UNREADABLE',
          `${file}: another process changes it, as ${name} says; if there is none any more, remove that file`,
          { cause },
        )
    }
    await wait(BETWEEN_MS)
  }
}

/** Reads a file that may be missing. @returns undefined for none */
export async function readIfAny(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined
    throw cause
  }
}
