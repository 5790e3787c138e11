import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

const OF_WORKER = /^worker-(\d{1,3})$/

/** The folder in which one of several processes keeps what it has inspected: the first one's is that of a process that is alone. */
export const storeFolderOf = (folder: string, number: number): string => (number === 1 ? folder : join(folder, `worker-${number}`))

/** Removes folders of processes beyond `count`: nobody would read them, nor delete what is too old. Does not reject: what is left over is no reason not to start. */
export async function removeOtherFolders(folder: string, count: number): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  const others = names.filter(name => Number(OF_WORKER.exec(name)?.[1] ?? 0) > Math.max(1, count))
  await Promise.all(others.map(name => rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined)))
}
