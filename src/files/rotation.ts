/** Names of log files that were rotated: `gateway.log` becomes `gateway-2026-11-21T12-30-05.123.log`, as lumberjack and sokken have it. */
import { basename, dirname, extname, join } from 'node:path'

const TIME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/

const partsOf = (path: string): readonly [stem: string, extension: string] => {
  const extension = extname(path)
  return [`${basename(path, extension)}-`, extension]
}

/** The path that the file at `path` gets when it is rotated at `nowMs`. */
export function rotatedPath(path: string, nowMs: number): string {
  const [stem, extension] = partsOf(path)
  const time = new Date(nowMs).toISOString().replace('Z', '').replaceAll(':', '-')
  return join(dirname(path), `${stem}${time}${extension}`)
}

/**
 * Picks the old files of the one at `path`, the newest first, and no file of somebody else.
 * @param names  of all files in its directory
 */
export function rotatedPathsOf(path: string, names: readonly string[]): readonly string[] {
  const [stem, extension] = partsOf(path)
  const isRotated = (name: string): boolean =>
    name.startsWith(stem) && name.endsWith(extension) && TIME.test(name.slice(stem.length, name.length - extension.length))
  const old = names.filter(isRotated).sort().reverse()
  return old.map(name => join(dirname(path), name))
}
