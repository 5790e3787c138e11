/** Files that a command creates: all of them or none, and never over existing ones unless it was said so. */
import { access, mkdtemp, open, rename, rm, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { GatewayError, messageOf } from '../../errors.ts'

/** A file to write, `mode` from its first moment on. */
export interface NewFile {
  readonly path: string
  readonly mode: number
  readonly text: string
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const isCode = (thrown: unknown, code: string): boolean => thrown instanceof Object && 'code' in thrown && thrown.code === code

const taken = (existing: string, files: readonly string[]): GatewayError =>
  new GatewayError('FILE_EXISTS', `${existing} exists, so neither ${files.join(' nor ')} was written; choose other paths, or pass --force`)

/** Creates one file with its mode from the first moment on; fails where anything, also a dangling link, has its name. */
async function create({ path, mode, text }: NewFile): Promise<void> {
  const handle = await open(path, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } catch (error) {
    await unlink(path)
    throw error
  } finally {
    await handle.close()
  }
}

/** Creates all of the files or none. */
async function createAll(files: readonly NewFile[]): Promise<void> {
  const created: string[] = []
  for (const file of files) {
    try {
      await create(file)
      created.push(file.path)
    } catch (cause) {
      await Promise.all(created.map(path => unlink(path)))
      if (isCode(cause, 'EEXIST'))
        throw taken(
          file.path,
          files.map(({ path }) => path),
        )
      throw new GatewayError(
        'FILE_UNREADABLE',
        `${file.path}: ${messageOf(cause)}; neither ${files.map(({ path }) => path).join(' nor ')} was written`,
        { cause },
      )
    }
  }
}

/** Writes each file in a directory beside its place, then moves all of them there: old files stay whole until new ones are. */
async function replaceAll(files: readonly NewFile[]): Promise<void> {
  const directories: string[] = []
  try {
    const staged: NewFile[] = []
    for (const file of files) {
      const directory = await mkdtemp(join(dirname(file.path), '.socket-gateway-'))
      directories.push(directory)
      staged.push({ ...file, path: join(directory, basename(file.path)) })
    }
    await createAll(staged)
    for (const [index, file] of files.entries()) await rename(staged[index]?.path ?? '', file.path)
  } catch (cause) {
    const paths = files.map(({ path }) => path).join(' and ')
    throw cause instanceof GatewayError ? cause : new GatewayError('FILE_UNREADABLE', `${paths}: ${messageOf(cause)}`, { cause })
  } finally {
    await Promise.all(directories.map(directory => rm(directory, { recursive: true, force: true })))
  }
}

/**
 * Writes all of the files or none.
 * @param force  replace existing files, which stay whole until the new ones are
 * @throws GatewayError FILE_EXISTS, FILE_UNREADABLE
 */
export const writeNewFiles = (files: readonly NewFile[], force: boolean): Promise<void> => (force ? replaceAll(files) : createAll(files))

/** Says early that a file is there, before anything is computed for it. @throws GatewayError FILE_EXISTS */
export async function refuseExisting(paths: readonly string[]): Promise<void> {
  for (const path of paths) if (await exists(path)) throw taken(path, paths)
}
